"""Samplers that fail in known ways, for the trial of the numbers that samples are judged by. One function each, found by itself."""

"""Samplers that fail in known ways, to put on trial what samples are judged by. One function each, found by itself."""

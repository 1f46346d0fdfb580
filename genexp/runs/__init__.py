"""Run folders after the run: found, read, opened, measured and sampled again."""

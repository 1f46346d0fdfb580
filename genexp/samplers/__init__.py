"""From random bits to samples: sources of bits, what turns their numbers into a distribution, and tests of both."""

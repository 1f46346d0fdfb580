"""How the threads of a matrix product wait for one another. No torch here: it has to be said before torch is imported."""

import os

SPINS = 1000  # looks at a barrier before a thread lets another run: a few microseconds
SAID_BY_USERS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def wait_politely() -> None:
    """Let threads spin at a barrier for microseconds, and then sleep.

    A thread of libgomp that waits for the others spins millions of times by default, on a core that one of these others may need:
    on a machine that is busy with anything else, training then takes up to ten times as long. On a quiet one this costs a
    training of many small products (the QR code) a tenth of its steps a second, and the others nothing; GOMP_SPINCOUNT=100000 in
    the environment gives these back.

    libgomp reads the variable once, as it is loaded, and processes that this one starts inherit it. What the user has set stays.
    """
    if not any(name in os.environ for name in SAID_BY_USERS):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)

"""How threads wait is said before the library that reads it is loaded."""

import os
import subprocess
import sys

import pytest

LIBRARY = """
import genexp, ctypes, glob, importlib.util

for path in glob.glob(importlib.util.find_spec("torch").submodule_search_locations[0] + "/lib/libgomp*"):
    ctypes.CDLL(path)  # alone: all of torch takes seconds
"""
SHOWN = {"OMP_DISPLAY_ENV": "verbose"}  # libgomp prints what it has read


def told(code: str, **variables: str) -> str:
    """What libgomp says of itself when `code` has loaded it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment = {**kept, **SHOWN, **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch has another OpenMP than libgomp")
    return done.stderr


def test_threads_spin_for_microseconds_only() -> None:
    assert "GOMP_SPINCOUNT = '1000'" in told("import genexp.cli, torch")


def test_processes_that_genexp_starts_inherit_it_and_what_a_user_has_set_stays() -> None:
    from genexp.machine.threads import SPINS

    assert os.environ.get("GOMP_SPINCOUNT") == str(SPINS) or any(name in os.environ for name in ("OMP_WAIT_POLICY",))
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told(LIBRARY, OMP_WAIT_POLICY="passive")
    assert "GOMP_SPINCOUNT = '0'" in told(LIBRARY, OMP_WAIT_POLICY="passive"), "what the policy asks for"
    assert "GOMP_SPINCOUNT = '77'" in told(LIBRARY, GOMP_SPINCOUNT="77")

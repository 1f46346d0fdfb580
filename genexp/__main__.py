"""`python -m genexp` is `genexp`."""

import os
import sys

from genexp.cli import main
from genexp.machine.launch import launch

if __name__ == "__main__":
    code = main()
    if launch().size > 1:  # threads of torch.distributed may still be about, and Python's own ending may then abort
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)

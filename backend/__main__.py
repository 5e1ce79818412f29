"""`python -m backend` is the command `boxstrap`."""

import sys

from backend.cli import main

if __name__ == "__main__":
    sys.exit(main())

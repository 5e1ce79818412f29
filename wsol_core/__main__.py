"""`python -m wsol_core` says what the package is and where to begin."""

import sys

import wsol_core

if __name__ == "__main__":
    sys.stdout.write(f"wsol_core {wsol_core.__version__}\n\n{wsol_core.__doc__}\n")
    sys.stdout.write("It is a library: see help(wsol_core), or run the command `boxstrap`.\n")

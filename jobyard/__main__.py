"""`python -m jobyard`: the command, where its name is not on the PATH."""

import sys

from jobyard.command import main

if __name__ == "__main__":
    sys.exit(main())

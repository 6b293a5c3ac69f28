"""`python -m dataplat` is the command `dataplat`."""

import sys

from dataplat.cli import main

if __name__ == "__main__":
    sys.exit(main())

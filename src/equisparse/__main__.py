"""Run the command line as ``python -m equisparse``."""

import sys

from equisparse.cli import main

if __name__ == "__main__":
    sys.exit(main())

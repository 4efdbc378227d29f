"""`python -m trioproxy` is `trioproxy`."""

import sys

from trioproxy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

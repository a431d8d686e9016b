"""`python -m infra.keys`: `fillrate keys` by its former name, with the same options."""

import sys

from fillrate.cli.main import main

if __name__ == "__main__":
    main(["keys", *sys.argv[1:]])

"""`python -m infra.redrive`: `fillrate redrive` by its former name, with the same options."""

import sys

from fillrate.cli.main import main

if __name__ == "__main__":
    main(["redrive", *sys.argv[1:]])

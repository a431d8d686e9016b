"""`python -m infra.redrive`: an entry point alone, see operations/redrive.py."""

from operations.redrive import main

if __name__ == "__main__":
    raise SystemExit(main())

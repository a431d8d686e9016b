"""`python -m infra.limits`: an entry point alone, see operations/limits.py."""

from operations.limits import main

if __name__ == "__main__":
    raise SystemExit(main())

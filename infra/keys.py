"""`python -m infra.keys`: an entry point alone, see operations/keys.py."""

from operations.keys import main

if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m infra.halt`: an entry point alone, see operations/halt.py."""

from operations.halt import main

if __name__ == "__main__":
    raise SystemExit(main())

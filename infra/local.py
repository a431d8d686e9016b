"""`python -m infra.local`: an entry point alone, see infra/local_stack/commands.py."""

from infra.local_stack.commands import main

if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m infra.halt halt|resume|status`: `fillrate halt` and `fillrate resume` by their former names."""

import sys

from fillrate.cli.main import main

_COMMANDS = {"halt": ["halt"], "resume": ["resume"], "status": ["halt", "--status"]}


def words(arguments: list[str]) -> list[str]:
    """The arguments as `fillrate` takes them; the command may stand anywhere among them."""
    ordered = sorted(arguments, key=lambda word: word not in _COMMANDS)
    return [word for first in ordered[:1] for word in _COMMANDS.get(first, [first])] + ordered[1:]


if __name__ == "__main__":
    main(words(sys.argv[1:]))

"""`python -m infra.limits show|set`: `fillrate limits` by its former name, with an option for each limit."""

import sys

from fillrate.cli.main import main

from operations.limits import OPTIONS, option_of

_COMMANDS = ("show", "set")
_LIMITS = {f"--{option_of(name)}": option_of(name) for name in OPTIONS}


def words(arguments: list[str]) -> list[str]:
    """The arguments as `fillrate` takes them: `--slippage 0.02` is `slippage=0.02`, and JSON is what is printed."""
    others, changes = [], []
    given = iter(arguments)
    for word in given:
        option, equals, value = word.partition("=")
        if option in _LIMITS:
            changes.append(f"{_LIMITS[option]}={value if equals else next(given, '')}")
        else:
            others.append(word)
    return ["limits", *sorted(others, key=lambda word: word not in _COMMANDS), "--json", *changes]


if __name__ == "__main__":
    main(words(sys.argv[1:]))

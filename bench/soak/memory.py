"""How much memory the stack's processes hold, by what they do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

# The emulator unpacks each function's code into a directory of its name and runs it from there.
_FUNCTION = re.compile(r"ministack-lambda-fillrate-local-([A-Za-z]+)-")

CHAIN, EMULATOR = "localnet", "emulator"


def memory_of(localnet: Sequence[int], emulator: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Processes and resident bytes by group: the localnet, the emulator itself, each function's workers."""
    groups: dict[str, tuple[int, int]] = {}
    for pids, name in ((localnet, CHAIN), (emulator, EMULATOR)):
        for rss, command in _processes(pids):
            function = _FUNCTION.search(command)
            group = function[1] if function else name
            number, size = groups.get(group, (0, 0))
            groups[group] = (number + 1, size + rss)
    return groups


def _processes(pids: Sequence[int]) -> list[tuple[int, str]]:
    """Resident bytes and command of each that still lives."""
    if not pids:
        return []
    listing = subprocess.run(
        ["ps", "-ww", "-o", "rss=,command=", "-p", ",".join(map(str, pids))],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = (line.split(None, 1) for line in listing.stdout.splitlines())
    return [(int(row[0]) * 1024, row[1]) for row in rows if len(row) == 2]

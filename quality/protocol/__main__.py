"""`make protocol`: visits every state of the never-twice protocol, and has each planted mistake found.

Some minutes on one core. Names of checks, or parts of them, run those alone. Exit code 1 where a promise breaks that
must hold, or a mistake is not found; 2 where SPIN or a C compiler is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from quality.protocol import spin
from quality.protocol.checks import MISTAKES, RIGHT, Check


def main(parts: Sequence[str]) -> int:
    missing = spin.missing()
    if missing:
        print(f"missing: {', '.join(missing)}; in Debian: apt-get install spin gcc", file=sys.stderr)
        return 2
    chosen = [check for check in (*RIGHT, *MISTAKES) if not parts or any(part in check.name for part in parts)]
    if not chosen:
        print("no check has that in its name", file=sys.stderr)
        return 2
    print("| protocol | found | states | s of a processor |\n|---|---|---:|---:|", flush=True)
    return max([_run(check) for check in chosen])


def _run(check: Check) -> int:
    """0 where what was found is what must be."""
    try:
        found = spin.run(check)
    except spin.CheckerFailed as failure:
        print(f"{check.name}: {failure}", file=sys.stderr)
        return 1
    told = "all promises hold" if found.broken is None else f"breaks: {found.broken}"
    print(f"| {check.name} | {told} | {found.states:,} | {found.seconds:.0f} |", flush=True)
    if found.broken == check.breaks:
        return 0
    print(f"{check.name}: must break {check.breaks or 'nothing'}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

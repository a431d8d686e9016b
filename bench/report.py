"""The results as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence

from bench.measurement import AGAIN, FIRST, FROM_ACCOUNTS, SDK, SDK_FROM_ACCOUNTS, Row

_NONE = "–"
_COLUMNS = (FIRST, AGAIN, SDK, FROM_ACCOUNTS, SDK_FROM_ACCOUNTS)

_PAGE = """\
# How long a quote takes

Microseconds per quote, the fastest of {rounds} rounds in which Fillrate and the SDKs took turns, on the same pools from
the same bytes; `×` is how many times faster Fillrate is.

- *first quote*: from decoded accounts, none of the pool's bins walked before. *next quote*: up to the first's size.
- *SDK quote*: from decoded accounts. {sdks}
- *from accounts*: the accounts' bytes decoded, then quoted. The SDK is given only the bin arrays that the swap enters.

{table}

Measured on: {machine}. Again with `make bench`.

![The same as a chart](quotes.svg)
"""


def page(rows: Sequence[Row], rounds: int, machine: str, sdks: str) -> str:
    return _PAGE.format(rounds=rounds, machine=machine, sdks=sdks, table=table(rows))


def table(rows: Sequence[Row]) -> str:
    """`×` after each of the SDK's columns compares it with the slowest of ours that does the same."""
    heads = ["", FIRST, AGAIN, SDK, "×", FROM_ACCOUNTS, SDK_FROM_ACCOUNTS, "×"]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    for row in rows:
        first, again, sdk, raw, sdk_raw = (row.nanoseconds.get(column) for column in _COLUMNS)
        cells = [_time(first), _time(again), _time(sdk), _ratio(sdk, first)]
        lines.append(_line([row.name, *cells, _time(raw), _time(sdk_raw), _ratio(sdk_raw, raw)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(nanoseconds: float | None) -> str:
    if nanoseconds is None:
        return _NONE
    microseconds = nanoseconds / 1e3
    return f"{microseconds:.2f}" if microseconds < 10 else f"{microseconds:,.0f}"


def _ratio(theirs: float | None, ours: float | None) -> str:
    return _NONE if theirs is None or ours is None else f"{theirs / ours:.1f}"

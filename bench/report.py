"""The results as a Markdown page."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.measurement import AGAIN, FIRST, FROM_ACCOUNTS, SDK, SDK_FROM_ACCOUNTS, Row

_NONE = "–"
_COLUMNS = (FIRST, AGAIN, SDK, FROM_ACCOUNTS, SDK_FROM_ACCOUNTS)

_PAGE = """\
# How long a quote takes

Microseconds per quote, in the fastest batch of {rounds} rounds in which Fillrate and the SDKs took turns, on the same
pools from the same bytes; `×` is how many times faster Fillrate is.

- *first quote*: from decoded accounts, no bin or tick of the pool walked before. *next quote*: up to the first's size.
- *SDK quote*: from decoded accounts, always as if it were the first. {sdks}
- *from accounts*: the accounts' bytes decoded, then quoted. The SDK is given only the arrays that the swap names.

A quote of ours is all that an order needs: the direction told by the mint, whether the pool is open, transfer fees,
what the vaults can pay and hold, compute units, the accounts to name. Of an SDK its own function is timed that answers
with an amount. These do less at some programs and more at others:

- CPMM: the curve and its fees alone. The direction, transfer fees, opening and vaults are left to the caller. *CPMM,
  its curve alone* is ours of the same.
- CLMM: the walk over the ticks of the arrays that it is given; no transfer fees, opening or vaults.
- AMM v4: the curve and the price impact, for the fee that most pools have; no opening.
- DLMM: the walk over the bins, transfer fees and price impact; no opening or reserves.
- DAMM v2: opening, fees, price impact; no vaults. It could take transfer fees off, and isn't asked to.
- DAMM v1: opening, vaults, fees, price impact.

Neither side's process is new: addresses that are derived, and at ours the prices of ticks, have been worked out before.

A CPMM quote in CPython can't take half the time of the SDK's curve. The curve's arithmetic is a third of it, a fifth is
the making of the tuple, a tenth the direction; calls, checks and reading what the pool knows are the rest.

{table}

Measured on: {machine}. Again with `make bench`.

![The same as a chart](quotes.svg)
"""


def page(rows: Sequence[Row], rounds: int, machine: str, sdks: str) -> str:
    return _PAGE.format(rounds=rounds, machine=machine, sdks=sdks, table=table(rows))


def to_json(rows: Sequence[Row]) -> str:
    """Each row's name and nanoseconds, by what was timed."""
    return json.dumps([{"name": row.name, **row.nanoseconds} for row in rows], indent=1) + "\n"


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

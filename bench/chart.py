"""The results as a chart: bars on a logarithmic scale, drawn as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from bench.measurement import AGAIN, FIRST, FROM_ACCOUNTS, SDK, SDK_FROM_ACCOUNTS, Row
from bench.svg import drawing

_COLOURS = {
    AGAIN: "#0b6e4f",
    FIRST: "#2fa57a",
    SDK: "#d1495b",
    FROM_ACCOUNTS: "#8fd0b5",
    SDK_FROM_ACCOUNTS: "#edae9b",
}
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 240, 70, 60, 30
_BAR, _GAP = 13, 16


def chart(rows: Sequence[Row]) -> str:
    """One group of bars a row, in nanoseconds."""
    times = [nanoseconds for row in rows for nanoseconds in row.nanoseconds.values()]
    low, high = floor(log10(min(times))), ceil(log10(max(times)))
    height = _TOP + sum(_GAP + _BAR * len(row.nanoseconds) for row in rows) + _BOTTOM

    def x(nanoseconds: float) -> float:
        return _LEFT + (log10(nanoseconds) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    parts = [*_legend(), *(_tick(x(10.0**power), power, height) for power in range(low, high + 1))]
    y = _TOP + _GAP // 2
    for row in rows:
        middle = y + _BAR * len(row.nanoseconds) / 2 + 4
        parts.append(f'<text x="{_LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(row.name)}</text>')
        for kind in _COLOURS:
            if kind in row.nanoseconds:
                parts.append(_bar(y, x(row.nanoseconds[kind]), kind, row.nanoseconds[kind]))
                y += _BAR
        y += _GAP
    return drawing(_WIDTH, height, "Time per quote, logarithmic", parts)


def _legend() -> list[str]:
    step = (_WIDTH - 40) // len(_COLOURS)
    return [
        f'<rect x="{20 + index * step}" y="14" width="12" height="12" fill="{colour}"/>'
        f'<text x="{38 + index * step}" y="24">{escape(kind)}</text>'
        for index, (kind, colour) in enumerate(_COLOURS.items())
    ]


def _tick(x: float, power: int, height: int) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - _BOTTOM}" stroke="#ddd"/>'
        f'<text x="{x:.1f}" y="{_TOP - 6}" text-anchor="middle" fill="#555">{_text(10.0**power)}</text>'
    )


def _bar(y: int, x: float, kind: str, nanoseconds: float) -> str:
    return (
        f'<rect x="{_LEFT}" y="{y}" width="{max(1.0, x - _LEFT):.1f}" height="{_BAR - 2}" fill="{_COLOURS[kind]}"/>'
        f'<text x="{x + 4:.1f}" y="{y + _BAR - 3}" font-size="10" fill="#333">{_text(nanoseconds)}</text>'
    )


def _text(nanoseconds: float) -> str:
    """With three digits that count."""
    for unit, scale in (("ms", 1e6), ("µs", 1e3), ("ns", 1.0)):
        if nanoseconds >= scale:
            return f"{nanoseconds / scale:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"

"""What was found, as a Markdown page and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.routing.gains import SIZES, Gain
from bench.routing.plans import PlanTime
from bench.svg import drawing

_PAGE = """\
# What routing gains, and how long it takes

## Beside the best single pool

Every pair of the genesis market both ways ({pairs} orders of each size), routed as the worker does: over the pair's
own pools, or over SOL, USDC or USDT, each hop split, in one transaction of version 1. Basis points more than the pair's
best pool alone pays for the same order.

| order worth | median | best tenth | most | no single pool takes it | legs on average | over a third token |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{gains}

![The same as a chart](routing.svg)

## How long a plan takes

24 candidates of one pair, four of each of the six programs, from decoded accounts that were never quoted before to the
plan of a transaction: each pool's own offer, the best division, as many legs as fit, the instructions. Milliseconds of
the one thread that does it.

| order | legs | quotes | a plan, fastest | usual | of which the quotes alone |
| --- | ---: | ---: | ---: | ---: | ---: |
{plans}

The largest order is what the deepest pool holds: all 24 pools would take part, more than a transaction carries, so the
division is searched again for those that fit. What isn't quotes is the search itself, in Python: at each price every
outlet's amount is guessed, and what an answer leaves in doubt is worked out anew.

Measured on: {machine}. Again with `python -m bench.routing`.
"""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 320, 70, 20, 56, 46
_COLOURS = {"median": "#0b6e4f", "best tenth": "#8fd0b5"}
_BAR = 34


def page(found: Sequence[Gain], plans: Sequence[PlanTime], machine: str) -> str:
    return _PAGE.format(
        pairs=len(found) // len(SIZES),
        gains="\n".join(_gain_row(size, [gain for gain in found if gain.dollars == size]) for size in SIZES),
        plans="\n".join(_plan_row(plan) for plan in plans),
        machine=machine,
    )


def chart(found: Sequence[Gain]) -> str:
    """Two bars a size: the median order's basis points, and those that the best tenth has at least."""
    bars = {size: _figures([gain for gain in found if gain.dollars == size])[:2] for size in SIZES}
    top = max(best for _, best in bars.values())
    base = _HEIGHT - _BOTTOM
    slot = (_WIDTH - _LEFT - _RIGHT) // len(SIZES)

    def y(basis_points: float) -> float:
        return base - basis_points / top * (base - _TOP)

    parts = [f'<text x="{_LEFT}" y="20">Basis points more than the best single pool pays, by the order\'s worth</text>']
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + number * 120
        parts.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="40">{name}</text>')
    parts.append(f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _RIGHT}" y2="{base}" stroke="#999"/>')
    for number, (size, figures) in enumerate(bars.items()):
        left = _LEFT + number * slot + (slot - 2 * _BAR) // 2
        parts.append(f'<text x="{left + _BAR}" y="{base + 20}" text-anchor="middle">${size:,}</text>')
        for place, (figure, colour) in enumerate(zip(figures, _COLOURS.values(), strict=True)):
            x, height = left + place * _BAR, max(base - y(figure), 1.0)
            parts.append(
                f'<rect x="{x}" y="{base - height:.1f}" width="{_BAR - 4}" height="{height:.1f}" fill="{colour}"/>'
                f'<text x="{x + (_BAR - 4) / 2:.0f}" y="{base - height - 4:.1f}" text-anchor="middle" font-size="10"'
                f' fill="#333">{_text(figure)}</text>'
            )
    return drawing(_WIDTH, _HEIGHT, "Basis points gained by routing, by an order's worth", parts)


def _figures(of_size: Sequence[Gain]) -> tuple[float, float, float]:
    """The median, what the best tenth has at least, and the most."""
    ranked = sorted(gain.basis_points for gain in of_size if gain.basis_points is not None)
    return median(ranked), ranked[len(ranked) * 9 // 10], ranked[-1]


def _gain_row(size: int, of_size: Sequence[Gain]) -> str:
    middle, best, most = _figures(of_size)
    alone = sum(gain.basis_points is None for gain in of_size)
    legs = sum(gain.legs for gain in of_size) / len(of_size)
    hops = sum(gain.hops > 1 for gain in of_size)
    cells = [f"${size:,}", _text(middle), _text(best), _text(most), str(alone), f"{legs:.1f}", str(hops)]
    return f"| {' | '.join(cells)} |"


def _plan_row(plan: PlanTime) -> str:
    order = "all of it" if plan.part == 1 else f"1/{plan.part:,} of the deepest pool"
    times = (f"{each:.1f}" for each in (plan.fastest, plan.usual, plan.quoting))
    return f"| {' | '.join([order, str(plan.legs), str(plan.quotes), *times])} |"


def _text(basis_points: float) -> str:
    return f"{basis_points:.1f}" if basis_points < 100 else f"{basis_points:,.0f}"

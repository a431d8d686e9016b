"""What a soak found, as a table, a page and a chart of memory over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bench.svg import drawing
from chalicelib.amounts import ceil_div

_COLOURS = ("#0b6e4f", "#d1495b", "#30638e", "#edae49", "#6b4e71", "#2fa57a", "#8d6a4f", "#555555", "#c06c84")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 380, 60, 210, 30, 40
_ROWS = 20

_PAGE = """\
# Soak

{minutes:g} minutes of market orders over all pairs at a steady pace, on a localnet that drops {drops} of the
transactions and answers {errors} of the calls with an error (seed {seed}). Then every order is compared with the chain:
the swaps that landed, by the order id in their memo, and the wallet's balances with what the orders say.

{table}

*Stuck*: not ended 2 minutes after the last order. *Double*: more than one landed swap. *Disagreeing*: confirmed without
a landed swap, or the reverse. *Left between*: base units of a token on the way that a swap over two pools found more of
than its second part was signed for; they are in the wallet. *Missing*: base units by which the wallet is not what
orders, fees and those make of it.
Memory is resident memory, shared pages counted in each process; the number of processes is in parentheses.

Measured on: {machine}. Again with `make soak MINUTES={minutes:g}`.

![Memory over time](soak.svg)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The run so far: `memory` is processes and resident bytes by group."""

    at_seconds: float
    orders: int
    fills: int
    memory: Mapping[str, tuple[int, int]]

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.memory.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the orders. `failed` is by error code, `left_between` and `missing` by token in base units."""

    orders: int
    refused: int
    confirmed: int
    failed: Counter[str]
    retries: int
    reverted: int
    stuck: int
    double: int
    disagreeing: int
    left_between: Mapping[str, int]
    missing: Mapping[str, int]

    @property
    def sound(self) -> bool:
        return not (self.stuck or self.double or self.disagreeing or self.missing)


def page(
    outcome: Outcome, samples: Sequence[Sample], minutes: float, seed: int, faults: Mapping[str, float], machine: str
) -> str:
    return _PAGE.format(
        minutes=minutes,
        drops=f"{faults['dropRate']:.0%}",
        errors=f"{faults['rpcErrorRate']:.0%}",
        seed=seed,
        table=table(outcome, samples),
        machine=machine,
    )


def table(outcome: Outcome, samples: Sequence[Sample]) -> str:
    """The outcome, then memory over time, as Markdown."""
    failed = ", ".join(f"{number} {code}" for code, number in sorted(outcome.failed.items()))
    figures = {
        "orders": outcome.orders,
        "refused": outcome.refused,
        "fills": outcome.confirmed,
        "retries": outcome.retries,
        "reverted": outcome.reverted,
        "failed": f"{outcome.failed.total()}{f' ({failed})' if failed else ''}",
        "stuck": outcome.stuck,
        "double": outcome.double,
        "disagreeing": outcome.disagreeing,
        "left between": _units(outcome.left_between),
        "missing": _units(outcome.missing),
    }
    lines = [_line(figures.keys()), _line(["---:"] * len(figures)), _line(map(str, figures.values())), ""]
    return "\n".join(lines + _memory_table(samples))


def _units(by_token: Mapping[str, int]) -> str:
    return ", ".join(f"{units} {symbol}" for symbol, units in sorted(by_token.items())) or "0"


def _memory_table(samples: Sequence[Sample]) -> list[str]:
    groups = _groups(samples)
    step = ceil_div(len(samples), _ROWS)
    shown = [*samples[:-1:step], samples[-1]]
    heads = ["s", "orders", "fills", *(f"{group} MB" for group in groups), "all MB"]
    lines = [_line(heads), _line(["---:"] * len(heads))]
    for sample in shown:
        memory = [_memory(sample.memory.get(group)) for group in groups]
        cells = [f"{sample.at_seconds:.0f}", str(sample.orders), str(sample.fills), *memory]
        lines.append(_line([*cells, f"{sample.total_bytes / 1e6:.0f}"]))
    return lines


def _memory(held: tuple[int, int] | None) -> str:
    if held is None:
        return "–"
    number, size = held
    return f"{size / 1e6:.0f}" + (f" ({number})" if number > 1 else "")


def _groups(samples: Sequence[Sample]) -> list[str]:
    """In the order in which they came to be."""
    return list(dict.fromkeys(group for sample in samples for group in sample.memory))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def chart(samples: Sequence[Sample]) -> str:
    """Resident memory of each group over the run."""
    last = max(samples[-1].at_seconds, 1.0)
    top = _round_up(max(size for sample in samples for _, size in sample.memory.values()) / 1e6)

    def x(seconds: float) -> float:
        return _LEFT + seconds / last * (_WIDTH - _LEFT - _RIGHT)

    def y(megabytes: float) -> float:
        return _HEIGHT - _BOTTOM - megabytes / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_level(y(top * part / 4), f"{top * part / 4:.0f} MB") for part in range(5)]
    parts += [
        f'<text x="{x(last * part / 4):.0f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle" fill="#555">'
        f"{last * part / 4:.0f} s</text>"
        for part in range(5)
    ]
    for index, group in enumerate(_groups(samples)):
        colour = _COLOURS[index % len(_COLOURS)]
        points = " ".join(
            f"{x(sample.at_seconds):.1f},{y(sample.memory[group][1] / 1e6):.1f}"
            for sample in samples
            if group in sample.memory
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_legend(index, group, colour))
    return drawing(_WIDTH, _HEIGHT, "Resident memory of the stack's processes over time", parts)


def _level(y: float, text: str) -> str:
    return (
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{text}</text>'
    )


def _legend(index: int, group: str, colour: str) -> str:
    left, top = _WIDTH - _RIGHT + 20, _TOP + 20 * index
    return (
        f'<rect x="{left}" y="{top}" width="12" height="12" fill="{colour}"/>'
        f'<text x="{left + 18}" y="{top + 10}">{escape(group)}</text>'
    )


def _round_up(megabytes: float) -> float:
    """The next of 1, 2, 4, 10 … above."""
    scale = 1.0
    while True:
        for step in (1, 2, 4):
            if step * scale >= megabytes:
                return step * scale
        scale *= 10

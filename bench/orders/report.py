"""A run as a Markdown page."""

from __future__ import annotations

from bench.orders.run import PERCENTS, OrdersRun

_PAGE = """\
# How fast and how cheap orders are

One run of the local stack on one machine, which also runs the clients, the emulator and the chain (slots of 200 ms):
{calm} orders one after the other, each with a WebSocket of its own; {crowd} orders from many clients at once, whose
account's stream is heard; {counted} orders whose calls are counted.

## How long an order takes

{times}

*POST*: from the request's first byte to its answer. *To submitted*, *to confirmed*: from the request's first byte to
the WebSocket message with that status. *Final to confirmed*: from the moment at which the order's slot was seen to be
final, by somebody who asks each 5 ms, to that message.

## How many

{accepted:.1f} orders a second accepted, {confirmed:.1f} a second confirmed, with {crowd} of them at once.

## What an order takes

| | |
| --- | ---: |
{costs}

Processor time of an order, in ms:

{processors}

{others} The machine's load was {load:.1f} before the run; a loop of pure Python, whose time tells how fast it was, took
{loop:.1f} ms.

Measured on: {machine}. Again with `python -m bench.orders`.
"""


def page(run: OrdersRun) -> str:
    return _PAGE.format(
        calm=run.orders["one by one"],
        crowd=run.orders["at once"],
        counted=run.orders["counted"],
        times=times(run),
        accepted=run.accepted_a_second,
        confirmed=run.confirmed_a_second,
        costs=costs(run),
        processors=processors(run),
        others="Calls: " + ", ".join(f"{name} {number:g}" for name, number in run.calls.items()) + ".",
        load=run.load_before,
        loop=run.reference_loop_ms,
        machine=run.machine,
    )


def times(run: OrdersRun) -> str:
    names = [f"p{percent}" for percent in PERCENTS]
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    lines += [f"| {what} | {' | '.join(f'{ms[name]:,.0f} ms' for name in names)} |" for what, ms in run.ms.items()]
    return "\n".join(lines)


def costs(run: OrdersRun) -> str:
    functions = run.functions_ms
    rows = {
        "AWS calls": f"{sum(run.calls.values()):.1f}",
        "DynamoDB write units": f"{run.write_units:.1f}",
        "DynamoDB read units": f"{run.read_units:.1f}",
        "$ a million orders": f"{run.usd_a_million:.2f}",
        **{f"functions' processor time, {part}": f"{ms:.1f} ms" for part, ms in functions.items()},
        "deployment zip": f"{run.package_bytes / 1e6:.1f} MB",
    }
    return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def processors(run: OrdersRun) -> str:
    parts = list(run.processor_ms)
    names = sorted({name for by in run.processor_ms.values() for name in by})
    lines = [f"| | {' | '.join(parts)} |", f"| --- |{' ---: |' * len(parts)}"]
    for name in names:
        lines.append(f"| {name} | {' | '.join(f'{run.processor_ms[part].get(name, 0.0):.1f}' for part in parts)} |")
    return "\n".join(lines)


def table(run: OrdersRun) -> str:
    """All figures, for the terminal."""
    rates = f"{run.accepted_a_second:.1f} orders/s accepted, {run.confirmed_a_second:.1f} orders/s confirmed"
    return "\n\n".join([times(run), rates, costs(run), processors(run)])

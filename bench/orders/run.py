"""One run on a stack of its own: how long an order takes, how many are carried, what each costs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from bench.cost.bill import order_bill, total
from bench.cost.measuring import CountedStack, Measurement, counted_stack
from bench.cost.prices import tariff
from bench.finality import Finality
from bench.orders.clients import Placed, Unconfirmed, account_stream, many_at_once, one_by_one, stored_at
from bench.orders.processor_time import CLIENTS, ProcessorTime, kinds_of
from bench.orders.reference_loop import reference_loop_ms
from bench.percentiles import percentile
from infra.deployment.package import local_dependencies
from testing.chain import Chain
from testing.client import Client

PERCENTS = (50, 95, 99)
WARM_UP = 8
# So many of those at once may end otherwise: others trade on the pools too.
UNCONFIRMED_PERCENT = 5
LONGEST_SECONDS = 300.0

Report = Callable[[str], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many orders each part of the run has."""

    one_by_one: int
    at_once: int
    clients: int
    counted: int
    orders_at_once: int


@dataclass
class OrdersRun:
    """What was measured. `ms` is by what was timed, then by percentile; `processor_ms` by the run's part, then by
    process. Processor time, calls (by function) and units are of one order.
    """

    orders: dict[str, int]
    ms: dict[str, dict[str, float]]
    accepted_a_second: float
    confirmed_a_second: float
    processor_ms: dict[str, dict[str, float]]
    calls: dict[str, float]
    write_units: float
    read_units: float
    usd_a_million: float
    package_bytes: int
    packaged_for: str
    reference_loop_ms: float
    load_before: float
    machine: str

    def to_json(self) -> str:
        """As `load` reads it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> OrdersRun:
        """Raises OSError, ValueError or TypeError where there is none, or one of another shape."""
        return cls(**json.loads(path.read_text()))

    @property
    def functions_ms(self) -> dict[str, float]:
        """Processor time of the functions for one order, by the run's part."""
        return {
            part: sum(ms for name, ms in by.items() if name not in ("emulator", "chain", CLIENTS))
            for part, by in self.processor_ms.items()
        }


def run(sizes: Sizes, machine: str, report: Report) -> OrdersRun:
    """All parts one after the other. Raises Unconfirmed where orders end otherwise."""
    load = os.getloadavg()[0]
    loop_ms = reference_loop_ms()
    with counted_stack(report, sizes.orders_at_once) as stack:
        client = Client(stack.description["restUrl"])
        list(one_by_one(client, WARM_UP))
        report(f"{sizes.one_by_one} orders, one after the other")
        calm, calm_ms, final_to_pushed = _calm(stack, client, sizes.one_by_one)
        ended = _percentiles([one.ms_until("confirmed") for one in calm])
        report(f"ms of processor time an order: {calm_ms}")
        report(f"confirmed after {ended} ms; {sizes.at_once} orders from {sizes.clients} clients at once")
        _at_once(stack, client, sizes.clients * 2, sizes.clients)  # so that as many processes are there as it takes
        crowd, crowd_ms = _at_once(stack, client, sizes.at_once, sizes.clients)
        confirmed = stored_at(client, crowd, "confirmed")
        if (len(crowd) - len(confirmed)) * 100 > len(crowd) * UNCONFIRMED_PERCENT:
            raise Unconfirmed(f"{len(crowd) - len(confirmed)} of {len(crowd)} orders were not confirmed")
        report(f"ms of processor time an order: {crowd_ms}; {sizes.counted} orders, whose calls are counted")
        counted = _counted(stack, sizes.counted, machine)
        package = (stack.layout.directory / "package" / "deployment.zip").stat().st_size
    first = min(one.posted_at for one in crowd)
    return OrdersRun(
        orders={"one by one": len(calm), "at once": len(crowd), "counted": counted.orders},
        ms={
            "POST": _percentiles([one.post_ms for one in calm]),
            "POST to submitted": _percentiles([one.ms_until("submitted") for one in calm]),
            "POST to confirmed": _percentiles([one.ms_until("confirmed") for one in calm]),
            "final to confirmed": _percentiles(final_to_pushed),
            "POST, many at once": _percentiles([one.post_ms for one in crowd]),
        },
        accepted_a_second=len(crowd) / (max(one.answered_at for one in crowd) - first),
        confirmed_a_second=len(confirmed) / (max(confirmed) - first),
        processor_ms={"one by one": calm_ms, "at once": crowd_ms},
        calls=_calls(counted),
        write_units=sum(counted.write_units.values()) / counted.orders,
        read_units=sum(map(float, counted.read_units.values())) / counted.orders,
        usd_a_million=float(total(order_bill(counted, tariff()))),
        package_bytes=package,
        packaged_for=local_dependencies(),
        reference_loop_ms=loop_ms,
        load_before=load,
        machine=machine,
    )


def _calm(stack: CountedStack, client: Client, number: int) -> tuple[list[Placed], dict[str, float], list[float]]:
    finality, chain = Finality(stack.layout.rpc_url), Chain(stack.layout.rpc_url)
    try:
        placed, taken = _with_processor_time(stack, lambda: list(one_by_one(client, number)))
        pushed = [(one.heard["confirmed"] - _final_at(finality, chain, one)) * 1000 for one in placed]
    finally:
        finality.stop()
    return placed, _each(taken, number), pushed


def _final_at(finality: Finality, chain: Chain, one: Placed) -> float:
    if one.signature is None:
        raise Unconfirmed(f"{one.order_id} has no signature")
    return finality.of(int(chain.transaction(one.signature)["slot"]))


def _at_once(stack: CountedStack, client: Client, number: int, clients: int) -> tuple[list[Placed], dict[str, float]]:
    with account_stream(client) as stream:
        rest_url = stack.description["restUrl"]
        placed, taken = _with_processor_time(
            stack, lambda: many_at_once(rest_url, number, clients, stream, LONGEST_SECONDS)
        )
    return placed, _each(taken, number)


def _with_processor_time(stack: CountedStack, work: Callable[[], _T]) -> tuple[_T, dict[str, float]]:
    watched = ProcessorTime(lambda: kinds_of(stack.layout, stack.functions))
    try:
        done = work()
    finally:
        taken = watched.stop()
    return done, taken


def _counted(stack: CountedStack, number: int, machine: str) -> Measurement:
    stack.lead_through()
    return stack.counted(number, machine)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(percentile(values, percent), 1) for percent in PERCENTS}


def _each(seconds: dict[str, float], number: int) -> dict[str, float]:
    """Milliseconds of one order."""
    return {name: round(taken * 1000 / number, 2) for name, taken in sorted(seconds.items())}


def _calls(counted: Measurement) -> dict[str, float]:
    calls: dict[str, float] = {}
    for name, number in counted.aws_calls.items():
        function = name.partition(" ")[0]
        calls[function] = calls.get(function, 0.0) + number
    return {function: round(number / counted.orders, 2) for function, number in sorted(calls.items())}

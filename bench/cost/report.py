"""The bill as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import mean, median

from bench.cost.bill import MILLION, MINUTES_A_MONTH, Line, month_bill, order_bill, storage_gb, total
from bench.cost.measuring import Measurement
from bench.cost.prices import Tariff

_VOLUMES = (10, 1_000, 100_000)

_PAGE = """\
# What an order costs on AWS

**${variable} for a million orders, and ${fixed} a month if nobody trades.** List prices of {region}, {as_of}
(`bench/cost/prices.json` names each page); no free tier, no discount for volume.

## For each order

Counted, not estimated: {orders} confirmed orders on the emulator, each placed by one request and watched by one
WebSocket from beginning to end. All calls of the functions passed a proxy that counted them; DynamoDB's units follow
from the items' sizes in these calls, by AWS's rules.

{order_table}

Storage is besides: a million orders are {storage} GB in the table and its indexes, ${storage_usd} a month for as long
as they are kept, and ${backup_usd} for point-in-time recovery.

A `GET`, a quote or a list is one more REST request and one more run of the API's function. A second watcher adds its
messages and minutes. A retry adds about what the first attempt took in the worker. Stages other than `local` also run
the authorizer, once for a key in 30 s.

## In a month without orders

{month_table}

## By volume

| orders a minute | a month | in all |
| ---: | ---: | ---: |
{volumes}

## What the functions did

| function | runs an order | ms a run, median (mean) | MB | calls an order |
| --- | ---: | ---: | ---: | --- |
{functions}

From placed to confirmed: {order_ms} ms (median), on a chain with slots of 200 ms.

Solana, for each order: {solana}. Your provider has a price for these. The network's fee was {fee} lamports (median)
for {units} compute units.

## What this is not

Nothing of this ran on AWS. Milliseconds are those of the emulator on this machine, whose cores also run the emulator,
the chain and the clients; AWS's services and a Solana provider answer over a network. Lambda's time is {lambda_share} %
of the bill for an order, so twice the time is that much more. $connect's and $disconnect's times are those between
their first call and their last, because the emulator keeps no log of them.
{signing}

Measured on: {machine}. Again with `python -m bench.cost`.
"""


def page(counted: Measurement, tariff: Tariff) -> str:
    bill, month = order_bill(counted, tariff), month_bill(counted, tariff)
    storage = storage_gb(counted)
    by_name = {line.what: line for line in bill}
    time = by_name[tariff["lambdaGbSecond"].unit]
    return _PAGE.format(
        variable=_usd(total(bill)),
        fixed=_usd(total(month)),
        region=tariff.region,
        as_of=tariff.as_of,
        orders=counted.orders,
        order_table=_table(("", "an order", "$ a million orders"), bill),
        month_table=_table(("", "a month", "$"), month),
        storage=f"{storage:.1f}",
        storage_usd=_usd(tariff["dynamodbGbMonth"].of(storage)),
        backup_usd=_usd(tariff["dynamodbBackupGbMonth"].of(storage)),
        volumes="\n".join(_volume(per_minute, total(bill), total(month)) for per_minute in _VOLUMES),
        functions="\n".join(_function(name, counted) for name in sorted(counted.invocation_ms)),
        order_ms=round(median(counted.order_ms)),
        solana=_solana(counted),
        fee=f"{median(counted.fee_lamports):,.0f}",
        units=f"{median(counted.compute_units):,.0f}",
        lambda_share=round(100 * time.usd / total(bill)),
        signing=_signing(counted),
        machine=counted.machine,
    )


def table(counted: Measurement, tariff: Tariff) -> str:
    """The bill for an order, for the terminal."""
    return _table(("", "an order", "$ a million orders"), order_bill(counted, tariff))


def _table(heads: Sequence[str], lines: Sequence[Line]) -> str:
    rows = [f"| {line.what} | {_amount(line.amount)} | {_usd(line.usd)} |" for line in lines]
    return "\n".join(
        [f"| {' | '.join(heads)} |", "| --- | ---: | ---: |", *rows, f"| **in all** | | **{_usd(total(lines))}** |"]
    )


def _volume(per_minute: int, variable: Decimal, fixed: Decimal) -> str:
    a_month = per_minute * MINUTES_A_MONTH
    usd = fixed + variable * a_month / MILLION
    return f"| {per_minute:,} | {Decimal(a_month) / MILLION:,.2f} million | ${usd:,.0f} |"


def _function(name: str, counted: Measurement) -> str:
    times = counted.invocation_ms[name]
    calls = _per_order(
        {one.partition(" ")[2]: number for one, number in counted.aws_calls.items() if one.startswith(f"{name} ")},
        counted.orders,
    )
    runs = Decimal(len(times)) / counted.orders
    return f"| {name} | {runs:.1f} | {median(times):.0f} ({mean(times):.0f}) | {counted.memory_mb[name]} | {calls} |"


def _solana(counted: Measurement) -> str:
    methods: dict[str, int] = {}
    for name, number in counted.solana_calls.items():
        method = name.rpartition(" ")[2]
        methods[method] = methods.get(method, 0) + number
    return f"{Decimal(sum(methods.values())) / counted.orders:.1f} calls ({_per_order(methods, counted.orders)})"


def _per_order(calls: dict[str, int], orders: int) -> str:
    return ", ".join(f"{name} {Decimal(number) / orders:.1f}" for name, number in _by_number(calls))


def _by_number(calls: dict[str, int]) -> Iterable[tuple[str, int]]:
    return sorted(calls.items(), key=lambda entry: (-entry[1], entry[0]))


def _signing(counted: Measurement) -> str:
    if any(name.endswith(" Sign") for name in counted.aws_calls):
        return "The wallet's key was in the emulator's KMS."
    return "The measured stage signs with a wallet file: KMS's line is one signature for each transaction sent."


def _amount(amount: Decimal) -> str:
    return f"{amount:,.0f}" if amount == amount.to_integral() else f"{amount:.3g}" if amount < 1 else f"{amount:,.2f}"


def _usd(usd: Decimal) -> str:
    return f"{usd:,.2f}"

"""Limits: `python -m infra.limits show|set [--account NAME | --default] [--largest-order 50000 …]`.

Amounts are in whole USDC (or what the stage values orders in), fractions as clients write slippage: 0.02 is two
percent. `none` is no limit, `inherit` is what holds for accounts without limits of their own.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from chalicelib.amounts import parse_decimal, to_text
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.problems import InvalidRequest
from chalicelib.risk.counters import day_of
from chalicelib.risk.limits import PPM, Limits, ReferenceCurrency
from operations.control import add_scope_options, add_target_options, run, scope_of

_NO_LIMIT, _INHERIT = "none", "inherit"
_MOST_FRACTION = 10


def _amount(text: str, option: str, currency: ReferenceCurrency) -> int:
    return _scaled(text, option, currency.decimals)


def _fraction(text: str, option: str, currency: ReferenceCurrency) -> int:
    ppm = _scaled(text, option, 6)
    if ppm > _MOST_FRACTION * PPM:
        raise ValueError(f"{option} is a fraction: 0.02 is two percent")
    return ppm


def _count(text: str, option: str, currency: ReferenceCurrency) -> int:
    return _scaled(text, option, 0)


def _switch(text: str, option: str, currency: ReferenceCurrency) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{option} is yes or no")
    return text == "yes"


def _mints(text: str, option: str, currency: ReferenceCurrency) -> frozenset[str]:
    return frozenset(one for one in map(str.strip, text.split(",")) if one)


Parser = Callable[[str, str, ReferenceCurrency], object]
# By the limit's field: how its option is read, and what it is.
OPTIONS: dict[str, tuple[Parser, str]] = {
    "largest_order": (_amount, "most that one order may be worth"),
    "daily_notional": (_amount, "most that orders of one UTC day may be worth together"),
    "open_orders": (_count, "most orders that may be open at once"),
    "slippage_ppm": (_fraction, "most slippage that an order may allow"),
    "price_impact_ppm": (_fraction, "most price impact of an order, fees included"),
    "price_deviation_ppm": (_fraction, "how far from other pools' price a route's may be"),
    "tokens": (_mints, "the only mints that may be traded, by commas"),
    "allow_unvalued": (_switch, "yes or no: let orders through whose value can't be told"),
    "allow_unreferenced": (_switch, "yes or no: let orders through that no other pool vouches for"),
}


def option_of(name: str) -> str:
    """The command line's name for a limit: `slippage_ppm` is --slippage."""
    return f"--{name.removesuffix('_ppm').replace('_', '-')}"


def read_changes(texts: dict[str, str], currency: ReferenceCurrency) -> tuple[dict[str, object], list[str]]:
    """The limits to set and those to inherit, by field. Raises ValueError naming the option that is wrong."""
    changes: dict[str, object] = {}
    for name, text in texts.items():
        if text == _NO_LIMIT and not name.startswith("allow_"):
            changes[name] = None
        elif text != _INHERIT:
            changes[name] = OPTIONS[name][0](text, option_of(name), currency)
    return changes, [name for name, text in texts.items() if text == _INHERIT]


def shown(limits: Limits, used: tuple[int, int], currency: ReferenceCurrency) -> str:
    """The limits and what is used of them, as JSON, in the units of the options."""
    lines: dict[str, Any] = {}
    for name, (parser, _) in OPTIONS.items():
        value = getattr(limits, name)
        decimals = currency.decimals if parser is _amount else 6 if parser is _fraction else None
        if value is not None and decimals is not None:
            value = to_text(value, decimals)
        elif isinstance(value, frozenset):
            value = sorted(value)
        lines[option_of(name).removeprefix("--")] = value
    open_orders, notional = used
    lines["used"] = {"open-orders": open_orders, "daily-notional": to_text(notional, currency.decimals)}
    return json.dumps(lines, indent=2)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.limits", description="Show and set limits.")
    parser.add_argument("command", choices=("show", "set"))
    for name, (_, meaning) in OPTIONS.items():
        parser.add_argument(option_of(name), dest=name, metavar="VALUE", help=meaning)
    parser.add_argument("--reference-decimals", type=int, default=ReferenceCurrency().decimals)
    add_scope_options(parser, defaults=True)
    add_target_options(parser)
    options = parser.parse_args(arguments)
    scope, currency = scope_of(options), ReferenceCurrency(decimals=options.reference_decimals)
    texts = {name: text for name in OPTIONS if (text := getattr(options, name)) is not None}
    if (options.command == "set") != bool(texts):
        parser.error("set wants at least one limit, show wants none")

    def command(table: ControlTable) -> str:
        if options.command == "set":
            table.set_limits(scope, *read_changes(texts, currency))
        used = table.usage(scope, day_of(time.time_ns() // 1_000_000))
        return shown(table.limits_in(scope), used, currency)

    return run(parser.prog, options, command)


def _scaled(text: str, option: str, decimals: int) -> int:
    """A decimal that isn't negative, times 10^decimals, exactly."""
    try:
        number = parse_decimal(text, option)
    except InvalidRequest as error:
        raise ValueError(str(error)) from None
    if number < 0 or number.adjusted() > 20:
        raise ValueError(f"{option} is no amount: {text}")
    scaled = number.scaleb(decimals)
    if scaled != int(scaled):
        raise ValueError(f"{option} has more than {decimals} decimals")
    return int(scaled)


if __name__ == "__main__":
    raise SystemExit(main())

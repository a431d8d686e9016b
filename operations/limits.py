"""Limits as the operator writes them, and back.

Amounts are in whole USDC (or what the stage values orders in), network fees in SOL, fractions as clients write
slippage: 0.02 is two percent. `none` is no limit, `inherit` is what holds for accounts without limits of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from chalicelib.amounts import PPM, PPM_DECIMALS, SOL_DECIMALS, parse_decimal, to_text
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.problems import InvalidRequest
from chalicelib.risk.counters import Usage, day_of
from chalicelib.risk.limits import Limits, ReferenceCurrency
from operations.clock import now_ms
from operations.errors import UnfitOption

_NO_LIMIT, _INHERIT = "none", "inherit"
_MOST_FRACTION = 10

Shown = str | int | bool | list[str] | None


@dataclass(frozen=True, slots=True)
class LimitsReport:
    """A scope's limits, and what is used of them, by the options' names and in the options' units."""

    limits: dict[str, Shown]
    used: dict[str, Shown]


def _amount(text: str, option: str, currency: ReferenceCurrency) -> int:
    return _scaled(text, option, currency.decimals)


def _sol(text: str, option: str, currency: ReferenceCurrency) -> int:
    return _scaled(text, option, SOL_DECIMALS)


def _fraction(text: str, option: str, currency: ReferenceCurrency) -> int:
    ppm = _scaled(text, option, PPM_DECIMALS)
    if ppm > _MOST_FRACTION * PPM:
        raise UnfitOption(f"{option} is a fraction: 0.02 is two percent")
    return ppm


def _count(text: str, option: str, currency: ReferenceCurrency) -> int:
    return _scaled(text, option, 0)


def _switch(text: str, option: str, currency: ReferenceCurrency) -> bool:
    if text not in ("yes", "no"):
        raise UnfitOption(f"{option} is yes or no")
    return text == "yes"


def _mints(text: str, option: str, currency: ReferenceCurrency) -> frozenset[str]:
    return frozenset(one for one in map(str.strip, text.split(",")) if one)


class Option(NamedTuple):
    """How a limit's text is read, and what the limit is."""

    parse: Callable[[str, str, ReferenceCurrency], object]
    meaning: str


# By the limit's field.
OPTIONS: dict[str, Option] = {
    "smallest_order": Option(_amount, "least that one order may be worth"),
    "largest_order": Option(_amount, "most that one order may be worth"),
    "daily_notional": Option(_amount, "most that orders of one UTC day may be worth together"),
    "open_orders": Option(_count, "most orders that may be open at once"),
    "waiting_orders": Option(_count, "most orders that may wait for a price at once"),
    "slippage_ppm": Option(_fraction, "most slippage that an order may allow"),
    "price_impact_ppm": Option(_fraction, "most price impact of an order, fees included"),
    "price_deviation_ppm": Option(_fraction, "how far from other pools' price a route's may be"),
    "daily_network_fees": Option(_sol, "most SOL that orders of one UTC day may cost in network fees together"),
    "network_fee": Option(_sol, "most SOL that one transaction may cost of an order that doesn't say so itself"),
    "fee_share_ppm": Option(_fraction, "the part of an order's value that one transaction may cost"),
    "tokens": Option(_mints, "the only mints that may be traded, separated by commas"),
    "allow_unvalued": Option(_switch, "yes or no: let orders through whose value can't be told"),
    "allow_unreferenced": Option(_switch, "yes or no: let orders through that no other pool vouches for"),
}


def option_of(name: str) -> str:
    """The operator's name for a limit's field: `slippage_ppm` is `slippage`."""
    return name.removesuffix("_ppm").replace("_", "-")


def read_changes(texts: dict[str, str], currency: ReferenceCurrency) -> tuple[dict[str, object], list[str]]:
    """The limits to set and those to inherit, by field, of texts by field. Raises UnfitOption naming the option."""
    changes: dict[str, object] = {}
    for name, text in texts.items():
        if text == _NO_LIMIT and not name.startswith("allow_"):
            changes[name] = None
        elif text != _INHERIT:
            changes[name] = OPTIONS[name].parse(text, option_of(name), currency)
    return changes, [name for name, text in texts.items() if text == _INHERIT]


def report(table: ControlTable, scope: str, currency: ReferenceCurrency) -> LimitsReport:
    """The scope's limits, and what is used of them now."""
    used = table.usage(scope, day_of(now_ms()))
    return shown(table.limits_in(scope), used, currency)


def shown(limits: Limits, used: Usage, currency: ReferenceCurrency) -> LimitsReport:
    """Limits as they are written, and what is used of them."""
    return LimitsReport(
        {option_of(name): _shown(name, getattr(limits, name), currency) for name in OPTIONS},
        {
            "open-orders": used.open_orders,
            "waiting-orders": used.waiting_orders,
            "daily-notional": to_text(used.notional, currency.decimals),
            "daily-network-fees": to_text(used.network_fees, SOL_DECIMALS),
        },
    )


def _shown(name: str, value: int | bool | frozenset[str] | None, currency: ReferenceCurrency) -> Shown:
    if isinstance(value, frozenset):
        return sorted(value)
    parse = OPTIONS[name].parse
    for of, decimals in ((_amount, currency.decimals), (_sol, SOL_DECIMALS), (_fraction, PPM_DECIMALS)):
        if parse is of and value is not None:
            return to_text(value, decimals)
    return value


def _scaled(text: str, option: str, decimals: int) -> int:
    """A decimal that isn't negative, times 10^decimals, exactly."""
    try:
        number = parse_decimal(text, option)
    except InvalidRequest as error:
        raise UnfitOption(str(error)) from None
    if number < 0 or number.adjusted() > 20:
        raise UnfitOption(f"{option} must be a number that is not negative, and not {text}")
    scaled = number.scaleb(decimals)
    if scaled != int(scaled):
        raise UnfitOption(f"{option} has more than {decimals} decimals")
    return int(scaled)

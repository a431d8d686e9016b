"""What an order may be: the limits of an account, those of all accounts together, and the checks against them. Pure.

Values are integers of base units of the reference currency (USDC unless set otherwise); fractions are in millionths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction

from chalicelib.amounts import percent_text, to_text
from chalicelib.problems import (
    FieldProblem,
    LimitExceeded,
    LimitRefused,
    PriceDeviation,
    PriceImpact,
    TooManyOpenOrders,
    TooManyWaitingOrders,
)


@dataclass(frozen=True, slots=True)
class ReferenceCurrency:
    """What orders are valued in: a token that the registered pools trade."""

    mint: str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
    symbol: str = "USDC"
    decimals: int = 6

    def text(self, value: int) -> str:
        """Base units as people write them: `1500.5 USDC`."""
        return f"{to_text(value, self.decimals)} {self.symbol}"


@dataclass(frozen=True, slots=True)
class Limits:
    """One scope's limits. None is no limit.

    `smallest_order`, `largest_order`, `daily_notional` (of a UTC day): reference base units. `tokens`: the mints that
    may be traded. `daily_network_fees` (of a UTC day) and `network_fee`, what one transaction may cost of an order that
    doesn't say so itself: lamports. `fee_share_ppm`: the part of an order's value that one transaction may cost.
    `allow_unvalued`: whether an order passes whose value can't be told though a limit asks for it.
    `allow_unreferenced`: whether one passes where no other pools vouch for the price of each pool of its route.
    """

    smallest_order: int | None = None
    largest_order: int | None = None
    daily_notional: int | None = None
    open_orders: int | None = None
    waiting_orders: int | None = None
    slippage_ppm: int | None = None
    price_impact_ppm: int | None = None
    price_deviation_ppm: int | None = None
    daily_network_fees: int | None = None
    network_fee: int | None = None
    fee_share_ppm: int | None = None
    tokens: frozenset[str] | None = None
    allow_unvalued: bool = False
    allow_unreferenced: bool = True

    def changed(self, changes: Mapping[str, object]) -> Limits:
        """These limits with those that `changes` names, by field. Raises ValueError naming what is wrong."""
        for name, value in changes.items():
            _check_value(name, value)
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where the operator has set nothing: for an account, and for all accounts together.

    Of single orders the accounts' limits say enough: those of all together bound the sums.
    """

    account: Limits
    together: Limits


# A playground: no more than absurdities are kept out, for its pools are shallow and prices there the user's doing. They
# may be pools by which nothing has a value.
PLAYGROUND = Defaults(
    account=Limits(
        largest_order=1_000_000_000_000_000,
        daily_notional=10_000_000_000_000_000,
        open_orders=10_000,
        waiting_orders=200_000,
        slippage_ppm=500_000,
        price_impact_ppm=990_000,
        price_deviation_ppm=1_000_000,
        fee_share_ppm=1_000_000,
        allow_unvalued=True,
    ),
    together=Limits(daily_notional=100_000_000_000_000_000, open_orders=50_000, allow_unvalued=True),
)
# Real money: what a desk trades on an ordinary day, at prices that the other pools confirm, for fees that it can bear.
PRODUCTION = Defaults(
    account=Limits(
        smallest_order=100_000,
        largest_order=50_000_000_000,
        daily_notional=500_000_000_000,
        open_orders=500,
        waiting_orders=500,
        slippage_ppm=100_000,
        price_impact_ppm=100_000,
        price_deviation_ppm=50_000,
        daily_network_fees=1_000_000_000,
        network_fee=10_000_000,
        fee_share_ppm=20_000,
    ),
    together=Limits(
        daily_notional=2_000_000_000_000,
        open_orders=2_000,
        daily_network_fees=5_000_000_000,
        allow_unvalued=True,
    ),
)


def loosened(before: Limits, after: Limits) -> tuple[str, ...]:
    """The limits, by field, that let more through in `after` than in `before`."""
    return tuple(name for name in LIMIT_NAMES if _is_looser(name, getattr(before, name), getattr(after, name)))


def _is_looser(
    name: str, before: int | bool | frozenset[str] | None, after: int | bool | frozenset[str] | None
) -> bool:
    if before is None or after is None:
        return before is not None
    if isinstance(before, frozenset) and isinstance(after, frozenset):
        return not after <= before
    return after < before if name == "smallest_order" else after > before  # type: ignore[operator]


def defaults_for(stage: str) -> Defaults:
    """The defaults of a stage."""
    return PRODUCTION if stage == "prod" else PLAYGROUND


LIMIT_NAMES = tuple(one.name for one in fields(Limits))


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """What holds for an account's orders: its own limits and those of all accounts together, which both must be kept.

    `open_account`, `open_together`: how many orders were open when these were read; `waiting_account`,
    `waiting_together`: how many waited for a price.
    """

    account: Limits
    together: Limits
    open_account: int = 0
    open_together: int = 0
    waiting_account: int = 0
    waiting_together: int = 0

    @property
    def both(self) -> tuple[tuple[str, Limits], ...]:
        """Each with whose it is, as refusals say it."""
        return ("the account", self.account), ("all accounts together", self.together)


@dataclass(frozen=True, slots=True)
class PoolDeviation:
    """How far one of the route's pools, by its address, is from its reference: millionths, rounded up.

    None where nothing vouches for its price.
    """

    pool: str
    ppm: int | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a planned swap risks.

    `value`: of what leaves the wallet, in reference base units. `price_impact_ppm`: the part of the output at mid
    prices that is not paid, fees included. `deviation_ppm`: how far the mid price of the most deviant of the route's
    `pools` is from its reference. Each is rounded up. `lamport_value`: of a lamport, in reference base units. None is
    what can't be told.
    """

    value: int | None
    price_impact_ppm: int
    deviation_ppm: int | None
    pools: tuple[PoolDeviation, ...] = ()
    lamport_value: Fraction | None = None

    @property
    def is_referenced(self) -> bool:
        """Whether other pools vouch for the price of every pool of the route."""
        return self.deviation_ppm is not None and all(one.ppm is not None for one in self.pools)


@dataclass(frozen=True, slots=True)
class SwapTerms:
    """What an order itself says: mints in base58, slippage in millionths, and whether it waits for a price at first."""

    mint_in: str
    mint_out: str
    slippage_ppm: int
    waits: bool = False


def check_request(limits: LimitsInForce, terms: SwapTerms) -> None:
    """What can be told when an order comes in.

    Raises LimitRefused naming every field, TooManyOpenOrders, or of one that waits TooManyWaitingOrders.
    """
    check_terms(limits, terms)
    if terms.waits:
        _check_waiting(limits)
        return
    for (whose, scope), already in zip(limits.both, (limits.open_account, limits.open_together), strict=True):
        if scope.open_orders is not None and already >= scope.open_orders:
            raise TooManyOpenOrders(scope.open_orders, whose)


def check_terms(limits: LimitsInForce, terms: SwapTerms) -> None:
    """What the order itself says, whatever else is open. Raises LimitRefused naming every field."""
    problems = tuple(_problems_of(limits, terms))
    if problems:
        raise LimitRefused(problems)


def _check_waiting(limits: LimitsInForce) -> None:
    for (whose, scope), already in zip(limits.both, (limits.waiting_account, limits.waiting_together), strict=True):
        if scope.waiting_orders is not None and already >= scope.waiting_orders:
            raise TooManyWaitingOrders(scope.waiting_orders, whose)


def check_plan(limits: LimitsInForce, terms: SwapTerms, exposure: Exposure, currency: ReferenceCurrency) -> None:
    """What can be told once the market is read; the day's sum is the store's to check, in the write that reserves it.

    Raises LimitExceeded, PriceImpact or PriceDeviation, each saying which limit and by how much.
    """
    for problem in _problems_of(limits, terms):
        raise LimitExceeded(f"{problem.field} {problem.message}")
    for whose, scope in limits.both:
        _check_value_of_order(scope, whose, exposure.value, currency)
        _check_prices(scope, whose, exposure)


def check_own_price_impact(most_ppm: int | None, exposure: Exposure) -> None:
    """The order's own ceiling, in millionths; None where it has none. Raises PriceImpact."""
    impact = exposure.price_impact_ppm
    if most_ppm is not None and impact > most_ppm:
        raise PriceImpact(
            f"the price impact is {percent_text(impact)}, {percent_text(impact - most_ppm)} more than the "
            f"{percent_text(most_ppm)} that the order allows"
        )


def _problems_of(limits: LimitsInForce, terms: SwapTerms) -> Iterable[FieldProblem]:
    for whose, scope in limits.both:
        for field, mint in (("tokenIn", terms.mint_in), ("tokenOut", terms.mint_out)):
            if scope.tokens is not None and mint not in scope.tokens:
                yield FieldProblem(field, f"is not among the tokens that {whose} may trade")
        most = scope.slippage_ppm
        if most is not None and terms.slippage_ppm > most:
            over = f"is {percent_text(terms.slippage_ppm)}, more than the {percent_text(most)} that {whose} may allow"
            yield FieldProblem("slippage", over)


def _check_value_of_order(scope: Limits, whose: str, value: int | None, currency: ReferenceCurrency) -> None:
    if value is None:
        if scope.allow_unvalued or (scope.largest_order is None and scope.daily_notional is None):
            return
        raise LimitExceeded(f"the order's value in {currency.symbol} can't be told, and {whose} has limits on it")
    if scope.smallest_order is not None and value < scope.smallest_order:
        raise LimitExceeded(
            f"the order is worth {currency.text(value)}, {currency.text(scope.smallest_order - value)} less than the "
            f"smallest order of {whose}, {currency.text(scope.smallest_order)}"
        )
    if scope.largest_order is not None and value > scope.largest_order:
        raise LimitExceeded(
            f"the order is worth {currency.text(value)}, {currency.text(value - scope.largest_order)} more than the "
            f"largest order of {whose}, {currency.text(scope.largest_order)}"
        )


def _check_prices(scope: Limits, whose: str, exposure: Exposure) -> None:
    impact, most = exposure.price_impact_ppm, scope.price_impact_ppm
    if most is not None and impact > most:
        raise PriceImpact(
            f"the price impact is {percent_text(impact)}, {percent_text(impact - most)} more than the "
            f"{percent_text(most)} that {whose} may cause"
        )
    deviation, most = exposure.deviation_ppm, scope.price_deviation_ppm
    if most is None:
        return
    if deviation is not None and deviation > most:
        raise PriceDeviation(
            f"the price is {percent_text(deviation)} away from the other pools', {percent_text(deviation - most)} more "
            f"than the {percent_text(most)} that {whose} may trade at",
            [one.pool for one in exposure.pools if one.ppm is not None and one.ppm > most],
        )
    if not exposure.is_referenced and not scope.allow_unreferenced:
        # names none to do without: it may be the deepest there is, and was not moved as far as anyone can tell
        raise PriceDeviation("no other pools deep enough vouch for the price, and orders without reference are refused")


def _check_value(name: str, value: object) -> None:
    if name not in LIMIT_NAMES:
        raise ValueError(f"{name} is no limit; there are {', '.join(LIMIT_NAMES)}")
    if name.startswith("allow_"):
        good = isinstance(value, bool)
    elif name == "tokens":
        good = value is None or (isinstance(value, frozenset) and all(isinstance(one, str) and one for one in value))
    else:
        good = value is None or (type(value) is int and 0 <= value < 10**30)
    if not good:
        raise ValueError(f"{name} can't be {value!r}")

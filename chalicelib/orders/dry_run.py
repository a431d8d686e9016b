"""What would become of an order if it were placed now; nothing is stored, and nothing is used up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from chalicelib.amounts import to_text
from chalicelib.orders.intake import Intake, NewOrder
from chalicelib.orders.order import TriggerKind
from chalicelib.orders.order_changer import OrderLimits
from chalicelib.orders.overselling import Overselling
from chalicelib.orders.quoting import Quoter, SwapQuote
from chalicelib.orders.triggers import judge
from chalicelib.problems import ExecutionError, FeeTooHigh, FillrateError
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import (
    ReferenceCurrency,
    check_own_price_impact,
    check_plan,
)
from chalicelib.risk.network_fees import FeeRange, most_network_fee
from chalicelib.risk.reference_price import exposure_of
from chalicelib.routing.market import PricedPair
from chalicelib.routing.router import Route


@dataclass(frozen=True, slots=True)
class Trial:
    """A simulation of the order's transaction: what it burned and would cost in lamports, or why it would fail."""

    units_consumed: int | None = None
    network_fee: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DryRunOutcome:
    """`refusals` are what placing the order would meet; `warnings` what would keep it from being filled as asked.

    `min_out` is the floor that it would have, in base units; None where there is no quote and it names none. `order` is
    None where no node tells which tokens it names.
    """

    order: NewOrder | None
    refusals: tuple[FillrateError, ...]
    warnings: tuple[str, ...]
    quote: SwapQuote | None
    min_out: int | None
    trial: Trial
    immediate: bool


class HaltsAndLimits(OrderLimits, Protocol):
    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now."""


class Simulator(Protocol):
    def __call__(self, route: Route, min_out: int, most_lamports: int) -> Trial:
        """Try the route with this floor and at most such a fee. Never raises ExecutionError: that is the outcome."""


class DryRun:
    def __init__(
        self,
        intake: Intake,
        quoter: Quoter,
        simulate: Simulator,
        risk: HaltsAndLimits,
        currency: ReferenceCurrency,
        fees: FeeRange,
        overselling: Overselling,
    ) -> None:
        self._overselling = overselling
        self._intake = intake
        self._quoter = quoter
        self._simulate = simulate
        self._risk = risk
        self._currency = currency
        self._fees = fees

    def __call__(self, account: str, asked: NewOrder) -> DryRunOutcome:
        """Look at everything that placing and executing the order would look at.

        Raises InvalidRequest where it is no valid order.
        """
        refusals = self._intake.check(account, asked)
        order = self._intake.as_placed(account, asked)
        immediate = not asked.waits and self._intake.starts_at_once(account)
        warnings = list(self._halted(account))
        if asked.waits:
            warnings += self._overselling.of_tried(account, asked.token_in, asked.amount)
        try:
            priced = self._quoter.price(asked.token_in, asked.token_out, asked.amount)
        except ExecutionError as error:
            warnings.append(str(error))
            unquoted = Trial(error=f"there is no quote to simulate: {error}")
            return DryRunOutcome(asked, refusals, tuple(warnings), None, order.min_out, unquoted, immediate)
        quote = self._quoter.of_priced(asked.token_in, asked.token_out, asked.amount, asked.slippage_ppm, priced)
        reached = judge(order, quote.amount_out) if asked.waits else None
        immediate = immediate or (reached is not None and self._intake.starts_at_once(account))
        warnings += self._obstacles(account, asked, priced)
        if asked.waits and reached is None:
            unreached = Trial(error="its price is not reached, so no transaction would be signed now")
            return DryRunOutcome(asked, refusals, tuple(warnings), quote, order.min_out, unreached, immediate)
        min_out = max(order.min_out or 0, 0 if reached is TriggerKind.LIMIT else quote.min_out)
        if quote.amount_out < min_out:
            least, paid = (to_text(amount, asked.token_out.decimals) for amount in (min_out, quote.amount_out))
            warnings.append(f"the best route pays {paid} now, less than the {least} that the order asks for at least")
            trial = Trial(error="the market pays less than the order's floor, so no transaction would be signed")
        else:
            trial = self._tried(account, asked, priced, min_out)
        return DryRunOutcome(asked, refusals, tuple(warnings), quote, min_out, trial, immediate)

    def _tried(self, account: str, asked: NewOrder, priced: PricedPair, min_out: int) -> Trial:
        limits, exposure = self._risk.limits_for(account), exposure_of(priced)
        try:
            most = most_network_fee(limits, asked.max_network_fee, self._fees, exposure, self._currency)
        except FeeTooHigh as error:
            return Trial(error=str(error))
        return self._simulate(priced.route, min_out, most)

    def unreadable(self, account: str, error: ExecutionError) -> DryRunOutcome:
        """What becomes of an order whose tokens can't be told, as no node answers: it would be refused with `error`."""
        warnings = tuple(self._halted(account))
        return DryRunOutcome(
            None, (error,), warnings, None, None, Trial(error=str(error)), self._intake.starts_at_once(account)
        )

    def _halted(self, account: str) -> Iterator[str]:
        halt = self._risk.halt_of(account)
        if halt is not None:
            yield str(halt)

    def _obstacles(self, account: str, asked: NewOrder, priced: PricedPair) -> Iterator[str]:
        """What the limits would stop once the market is read."""
        limits, exposure = self._risk.limits_for(account), exposure_of(priced)
        try:
            check_plan(limits, asked.terms, exposure, self._currency)
            check_own_price_impact(asked.max_price_impact_ppm, exposure)
            most_network_fee(limits, asked.max_network_fee, self._fees, exposure, self._currency)
        except ExecutionError as error:
            yield str(error)

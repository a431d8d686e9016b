"""What one transaction of an order may cost the wallet: base fee, priority fee and tip together, in lamports. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.amounts import PPM, percent_text, sol_text
from chalicelib.problems import FeeTooHigh
from chalicelib.risk.limits import Exposure, LimitsInForce, ReferenceCurrency


@dataclass(frozen=True, slots=True)
class FeeRange:
    """The least that the network takes for a transaction, and the most that the stage would ever offer, lamports."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Ceiling:
    lamports: int
    whose: str


def most_network_fee(
    limits: LimitsInForce, own: int | None, fees: FeeRange, exposure: Exposure, currency: ReferenceCurrency
) -> int:
    """The most lamports that the order's next transaction may cost; `own` is the order's own ceiling, if it has one.

    Raises FeeTooHigh where even the least is more than that.
    """
    ceilings = list(_ceilings(limits, own, exposure, currency))
    lowest = min(ceilings, key=lambda ceiling: ceiling.lamports, default=None)
    if lowest is None:
        return fees.most
    if fees.least > lowest.lamports:
        raise FeeTooHigh(
            f"a transaction costs {sol_text(fees.least)} at least, and {lowest.whose} lets it cost "
            f"{sol_text(lowest.lamports)}"
        )
    return min(fees.most, lowest.lamports)


def _ceilings(
    limits: LimitsInForce, own: int | None, exposure: Exposure, currency: ReferenceCurrency
) -> Iterator[_Ceiling]:
    if own is not None:
        yield _Ceiling(own, "the order")
    for whose, scope in limits.both:
        if own is None and scope.network_fee is not None:
            yield _Ceiling(scope.network_fee, f"the limit of {whose}")
        share, value, lamport_value = scope.fee_share_ppm, exposure.value, exposure.lamport_value
        if share is not None and value is not None and lamport_value:
            allowed = f"the limit of {whose}, {percent_text(share)} of the order's {currency.text(value)},"
            yield _Ceiling(int(value * share / (PPM * lamport_value)), allowed)

"""What a client may ask of an order beside the trade itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypedDict

from pydantic.alias_generators import to_camel

from fillrate.amounts import decimal_text


class TermsBesideSlippage(TypedDict, total=False):
    """What a caller may say of an order whose slippage is settled: `Terms` by their names."""

    min_out: Decimal | str | None
    expires_at: datetime | str | None
    client_order_id: str | None
    max_price_impact: Decimal | str | None
    max_network_fee: Decimal | str | None


class TermOptions(TermsBesideSlippage, total=False):
    """What a caller may say of an order: `Terms` by their names."""

    slippage: Decimal | str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """None: left to the service. Amounts are Decimals or strings of whole tokens, fractions likewise."""

    slippage: Decimal | str | None = None
    min_out: Decimal | str | None = None
    expires_at: datetime | str | None = None
    client_order_id: str | None = None
    max_price_impact: Decimal | str | None = None
    max_network_fee: Decimal | str | None = None

    def at_least(self, quoted: Decimal) -> Terms:
        """These terms, with a quote's `min_out` where that is stricter than their own."""
        return self if self._asks_for_more_than(quoted) else replace(self, min_out=quoted)

    def _asks_for_more_than(self, quoted: Decimal) -> bool:
        """Also where `min_out` is no amount: that is for the service to say."""
        if self.min_out is None:
            return False
        try:
            own = Decimal(decimal_text(self.min_out, "min_out"))
        except InvalidOperation:
            return True
        return not own.is_finite() or own > quoted

    def to_json(self) -> dict[str, str]:
        """The fields that are given, as the service takes them.

        Raises:
            TypeError: a float.
            ValueError: a number that is no amount, or a time without a zone.
        """
        numbers = {
            "slippage": self.slippage,
            "min_out": self.min_out,
            "max_price_impact": self.max_price_impact,
            "max_network_fee": self.max_network_fee,
        }
        fields = {to_camel(name): decimal_text(value, name) for name, value in numbers.items() if value is not None}
        if self.expires_at is not None:
            fields["expiresAt"] = time_text(self.expires_at, "expires_at")
        if self.client_order_id is not None:
            fields["clientOrderId"] = self.client_order_id
        return fields


def time_text(moment: datetime | str, name: str) -> str:
    """RFC 3339. A string is sent as it is: the service says what is wrong with it.

    Raises ValueError, with the `name`, for a time without a zone.
    """
    if isinstance(moment, str):
        return moment
    if moment.utcoffset() is None:
        raise ValueError(f"{name} has no time zone: {moment!r}")
    return moment.isoformat()

"""What a client may ask of an order that waits for a price, beside its terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from fillrate.amounts import decimal_text
from fillrate.model import Json
from fillrate.terms import Terms


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one type of order, whole tokens bought for a whole token sold; None: it has none of that kind.

    `trailing` is a fraction, in place of `stop_price`. `max_tries`: how often it waits again after a transaction that
    did not fill. `force` accepts prices that look like a mistake.
    """

    type: Literal["market", "limit", "stop", "oco"] = "market"
    limit_price: Decimal | str | None = None
    stop_price: Decimal | str | None = None
    trailing: Decimal | str | None = None
    max_tries: int | None = None
    force: bool = False

    def to_json(self) -> Json:
        """The fields that are given, as the service takes them. Raises TypeError (a float), ValueError."""
        return {"type": self.type, **price_fields(self.limit_price, self.stop_price, self.trailing), **self._rest()}

    def _rest(self) -> Json:
        tries: Json = {} if self.max_tries is None else {"maxTries": self.max_tries}
        return {**tries, **({"force": True} if self.force else {})}


AT_MARKET = Prices()


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change of an order; None: as it is. `remove_min_out`: it is to have none of its own any more."""

    limit_price: Decimal | str | None = None
    stop_price: Decimal | str | None = None
    trailing: Decimal | str | None = None
    min_out: Decimal | str | None = None
    slippage: Decimal | str | None = None
    expires_at: datetime | str | None = None
    remove_min_out: bool = False
    force: bool = False

    def to_json(self) -> Json:
        """The fields that are given, as the service takes them.

        Raises TypeError (a float), ValueError (no amount, a time without a zone, a `min_out` that is to be removed).
        """
        if self.remove_min_out and self.min_out is not None:
            raise ValueError("min_out can't be both set and removed")
        terms = Terms(slippage=self.slippage, min_out=self.min_out, expires_at=self.expires_at)
        fields: Json = {**price_fields(self.limit_price, self.stop_price, self.trailing), **terms.to_json()}
        if self.remove_min_out:
            fields["minOut"] = None
        return {**fields, **({"force": True} if self.force else {})}


def price_fields(
    limit_price: Decimal | str | None, stop_price: Decimal | str | None, trailing: Decimal | str | None
) -> Json:
    """The prices that are given, as the service takes them. Raises TypeError (a float), ValueError."""
    given = {"limitPrice": limit_price, "stopPrice": stop_price, "trailing": trailing}
    return {name: decimal_text(value, name) for name, value in given.items() if value is not None}

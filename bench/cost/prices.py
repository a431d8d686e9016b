"""AWS's list prices, from prices.json: exact, as decimals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

_FILE = Path(__file__).parent / "prices.json"


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` dollars for `per` of the unit; `source` is the page that it was taken from."""

    unit: str
    per: int
    usd: Decimal
    source: str

    def of(self, amount: Decimal) -> Decimal:
        """What so many of the unit cost, in dollars."""
        return amount * self.usd / self.per


@dataclass(frozen=True, slots=True)
class Tariff:
    region: str
    as_of: str
    prices: dict[str, Price]

    def __getitem__(self, name: str) -> Price:
        return self.prices[name]


def tariff() -> Tariff:
    """The prices in prices.json."""
    content = json.loads(_FILE.read_text())
    prices = {
        name: Price(one["unit"], one["per"], Decimal(one["usd"]), one["source"])
        for name, one in content["prices"].items()
    }
    return Tariff(content["region"], content["asOf"], prices)

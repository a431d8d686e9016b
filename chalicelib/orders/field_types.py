"""What the numbers and texts of an order count or name, said at the field's type; whoever shows them goes by that.

A type's mark changes nothing about its values: an `AmountOut` is an int.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated


class Kind(Enum):
    """What a number or a text is, where that is more than its Python type says."""

    TIME = auto()
    MILLIONTHS = auto()
    ORDINAL = auto()
    ADDRESS = auto()
    SIGNATURE = auto()
    LAMPORTS = auto()
    PRICE = auto()


@dataclass(frozen=True, slots=True)
class BaseUnitsOf:
    """Base units of the token in the attribute of that name: the same object's, or that of the order around it."""

    attribute: str


AmountIn = Annotated[int, BaseUnitsOf("token_in")]
AmountOut = Annotated[int, BaseUnitsOf("token_out")]
AmountOfToken = Annotated[int, BaseUnitsOf("token")]
AmountOfFeeToken = Annotated[int, BaseUnitsOf("fee_token")]
TimeMs = Annotated[int, Kind.TIME]  # milliseconds since the epoch, UTC; such fields end in `_ms`
Millionths = Annotated[int, Kind.MILLIONTHS]  # of one; such fields end in `_ppm`
Ordinal = Annotated[int, Kind.ORDINAL]  # counts from 1
Address = Annotated[str, Kind.ADDRESS]  # base58
Signature = Annotated[str, Kind.SIGNATURE]  # base58
Lamports = Annotated[int, Kind.LAMPORTS]  # of SOL, shown in whole SOL
Price = Annotated[str, Kind.PRICE]  # an exact decimal as text, without an exponent or trailing zeros

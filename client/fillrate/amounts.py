"""Amounts on their way to the service: decimal strings, never binary floats."""

from __future__ import annotations

from decimal import Decimal

# Whole tokens of any mint have at most 20 digits before the point and 255 decimals could be declared, none has.
_LARGEST_EXPONENT = 30


def decimal_text(value: object, name: str) -> str:
    """`value` as the decimal string that is sent. A string is sent as it is: the service says what is wrong with it.

    Raises:
        TypeError: a float (it has no exact decimal value), or anything else but a Decimal or a string.
        ValueError: a Decimal that is not finite, or beyond any amount.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        raise TypeError(
            f"{name} is the float {value!r}, and floats can't hold most decimal amounts exactly: "
            f'give "{value!r}" or Decimal("{value!r}")'
        )
    if not isinstance(value, Decimal):
        raise TypeError(f'{name} must be a Decimal or a string of whole tokens, such as "10.5", not {value!r}')
    if not value.is_finite() or not -_LARGEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT:
        raise ValueError(f"{name} is no amount: {value}")
    return f"{value:f}"

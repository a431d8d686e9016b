"""Amounts as text and as integers: exact decimals in, base units and millionths inside, decimal text out. Pure.

Whole tokens are decimal text at the wire; inside, all amounts are integers of base units, and fractions of one are
integers of millionths (`PPM`).
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction

from chalicelib.problems import FieldProblem, InvalidRequest

U64_MAX = 2**64 - 1
PPM = 1_000_000  # millionths of one
PPM_DECIMALS = 6
LARGEST_DIGITS = 36  # DynamoDB keeps 38 digits of a number
SOL_DECIMALS = 9  # a lamport is a billionth of a SOL
MAX_NUMBER_LENGTH = 64
DECIMAL_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
MOST_SLIPPAGE = Decimal("0.5")
_PRICE = Context(prec=18)
# Holds every digit that a number of MAX_NUMBER_LENGTH characters can have.
_EXACT = Context(prec=MAX_NUMBER_LENGTH)


def ceil_div(dividend: int, divisor: int) -> int:
    """The quotient rounded up, exactly, for a divisor above zero."""
    return -(-dividend // divisor)


def floor_of(amount_out: int, slippage_ppm: int) -> int:
    """The least output that the slippage allows, in base units, rounded up in the trader's favour, at least 1."""
    return max(ceil_div(amount_out * (PPM - slippage_ppm), PPM), 1)


def parse_decimal(value: object, field: str) -> Decimal:
    """An exact, finite decimal from a decimal string or a JSON number. Raises InvalidRequest naming `field`."""
    if not isinstance(value, str):
        raise _wrong(field, 'must be a decimal string, such as "10.5"')
    if len(value) > MAX_NUMBER_LENGTH:
        raise _wrong(field, f"has more than {MAX_NUMBER_LENGTH} characters")
    try:
        if not re.fullmatch(DECIMAL_PATTERN, value):
            raise InvalidOperation
        number = Decimal(value)
    except InvalidOperation:
        raise _wrong(field, 'must be a decimal number, such as "10.5"') from None
    return number


def to_base_units(amount: Decimal, decimals: int, field: str) -> int:
    """`amount` whole tokens in base units, exactly. Raises InvalidRequest: not above zero, too fine, over 2^64 − 1."""
    base_units = to_least_base_units(amount, decimals, field)
    if base_units > U64_MAX:
        raise _wrong(field, "is larger than any token amount can be (2^64 − 1 base units)")
    return base_units


def to_least_base_units(amount: Decimal, decimals: int, field: str) -> int:
    """As to_base_units, for what is asked for at least: also more than there can be, which no market pays."""
    if amount <= 0:
        raise _wrong(field, "must be greater than zero")
    # adjusted() first: 1e999999999 must be refused before anything is made of its digits
    if amount.adjusted() + decimals > LARGEST_DIGITS:
        raise _wrong(field, "is larger than any token amount can be (2^64 − 1 base units)")
    digits = amount.as_tuple()
    exponent = int(digits.exponent)
    significant = "".join(map(str, digits.digits)).rstrip("0")
    trailing_zeros = len(digits.digits) - len(significant)
    if -(exponent + trailing_zeros) > decimals:
        raise _wrong(field, f"has more decimals than the token's {decimals}")
    return int(amount.scaleb(decimals, _EXACT))


def to_ppm(slippage: Decimal, field: str, most: Decimal = MOST_SLIPPAGE) -> int:
    """A fraction in millionths, exactly. Raises InvalidRequest: outside 0…`most`, or finer than a millionth."""
    if slippage < 0 or slippage > most:
        raise _wrong(field, f"must be a fraction from 0 to {most} (0.01 is one percent)")
    if slippage and slippage.adjusted() < -6:
        raise _wrong(field, "must not have more than 6 decimals")
    ppm = slippage.scaleb(PPM_DECIMALS, _EXACT)
    if ppm != int(ppm):
        raise _wrong(field, "must not have more than 6 decimals")
    return int(ppm)


def to_price(price: Decimal, field: str) -> str:
    """A price as exact text, without an exponent or trailing zeros. Raises InvalidRequest: not above 0, or absurd."""
    if price <= 0:
        raise _wrong(field, "must be greater than zero")
    # adjusted() first, as in to_least_base_units
    if price.adjusted() > LARGEST_DIGITS or price.adjusted() < -LARGEST_DIGITS:
        raise _wrong(field, f"is no price: it has more than {LARGEST_DIGITS} digits before or after the point")
    return _plain(price)


def to_text(base_units: int, decimals: int) -> str:
    """Base units as a decimal string in whole tokens, without trailing zeros."""
    return _plain(Decimal(base_units).scaleb(-decimals, _EXACT))


def sol_text(lamports: int) -> str:
    """Lamports as people write them: `0.000005 SOL`."""
    return f"{to_text(lamports, SOL_DECIMALS)} SOL"


def ppm_text(ppm: int) -> str:
    """Millionths as a fraction of one: `0.01` is one percent."""
    return to_text(ppm, PPM_DECIMALS)


def percent_text(ppm: int) -> str:
    """Millionths as people write them: `12.5%`."""
    return f"{to_text(ppm, PPM_DECIMALS - 2)}%"


def fraction_text(fraction: Fraction) -> str:
    """A fraction of one with six decimals, rounded towards zero."""
    return ppm_text(int(fraction * PPM))


def signed_text(fraction: Fraction) -> str:
    """A number to 18 significant digits, rounded half to even; with its sign where it is below zero."""
    return _plain(_PRICE.divide(Decimal(fraction.numerator), Decimal(fraction.denominator)))


def price_text(amount_out: int, decimals_out: int, amount_in: int, decimals_in: int) -> str:
    """Whole output tokens per whole input token, to 18 significant digits."""
    numerator, denominator = amount_out * 10**decimals_in, amount_in * 10**decimals_out
    return _plain(_PRICE.divide(Decimal(numerator), Decimal(denominator)))


def _plain(number: Decimal) -> str:
    """Without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _wrong(field: str, message: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, message)])

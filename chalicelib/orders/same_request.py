"""Whether a repeated request asks for what a stored order was placed for. Pure: no token is looked up, no node asked.

Tokens are the same by their text or by the stored mint, numbers by value, times by the moment; a field that one of
them lacks makes another request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from chalicelib.amounts import PPM_DECIMALS, parse_decimal, to_text
from chalicelib.orders.order import Order, Token
from chalicelib.problems import InvalidRequest
from chalicelib.times import parse_time

_DEFAULT_SLIPPAGE = "0.01"  # of before requests were kept as they were written


def is_same_request(fields: Mapping[str, str], order: Order) -> bool:
    """Whether a body with these fields, as written, is the one that placed `order`."""
    if order.asked is None:
        return _is_same_as_before({"slippage": _DEFAULT_SLIPPAGE, **fields}, order)
    return _are_same(fields, order.asked, order)


def _is_same_as_before(fields: Mapping[str, str], order: Order) -> bool:
    """An order of an earlier version tells what was asked for by what it is."""
    stored = {
        "type": order.type,
        "tokenIn": order.token_in.text,
        "tokenOut": order.token_out.text,
        "amount": to_text(order.amount, order.token_in.decimals),
        "slippage": to_text(order.slippage_ppm, PPM_DECIMALS),
    }
    return _are_same(fields, stored, order)


def _are_same(fields: Mapping[str, str], stored: Mapping[str, str], order: Order) -> bool:
    if fields.keys() != stored.keys():
        return False
    return all(_SAME.get(name, _same_text)(fields[name], text, order) for name, text in stored.items())


def _same_text(text: str, stored: str, order: Order) -> bool:
    return text == stored


def _same_token_in(text: str, stored: str, order: Order) -> bool:
    return _is_token(text, stored, order.token_in)


def _same_token_out(text: str, stored: str, order: Order) -> bool:
    return _is_token(text, stored, order.token_out)


def _is_token(text: str, stored: str, token: Token) -> bool:
    if text in (stored, token.mint):
        return True
    # symbols in any case, which addresses are not
    return stored != token.mint and text.isascii() and text.upper() == stored.upper()


def _same_number(text: str, stored: str, order: Order) -> bool:
    number = _number(text)
    return number is not None and number == _number(stored)


def _number(text: str) -> Decimal | None:
    try:
        return parse_decimal(text, "")
    except InvalidRequest:
        return None


def _same_time(text: str, stored: str, order: Order) -> bool:
    try:
        return parse_time(text) == parse_time(stored)
    except ValueError:
        return False


_SAME: dict[str, Callable[[str, str, Order], bool]] = {
    "tokenIn": _same_token_in,
    "tokenOut": _same_token_out,
    "amount": _same_number,
    "slippage": _same_number,
    "minOut": _same_number,
    "maxPriceImpact": _same_number,
    "maxNetworkFee": _same_number,
    "limitPrice": _same_number,
    "stopPrice": _same_number,
    "trailing": _same_number,
    "maxTries": _same_number,
    "expiresAt": _same_time,
}

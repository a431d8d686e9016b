"""Every wrong field of a request at once, so that nobody corrects them one by one.

Those of a wrong form (contract/requests.py), and of those of a right one what can't be meant: a token that isn't
traded, an amount that its token can't have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel

from chalicelib.amounts import SOL_DECIMALS, to_base_units, to_least_base_units, to_ppm
from chalicelib.contract.requests import MAX_PROBLEMS, read
from chalicelib.http.order_terms import wrong_changed_prices, wrong_changes, wrong_prices
from chalicelib.orders.order import Order, Token
from chalicelib.orders.pair import TokenDirectory, find_pair, find_token, find_token_or_mint
from chalicelib.problems import ExecutionError, FieldProblem, InvalidRequest

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Problems = Iterable[FieldProblem]

MOST_PRICE_IMPACT = Decimal(1)


def read_whole(model: type[Model], content: Mapping[str, object], wrong: Callable[[Model], Problems]) -> Model:
    """The request in `content`. `wrong` tells what can't be meant; a field of a wrong form is None in what it is given.

    Raises InvalidRequest naming every wrong field, ExecutionError where `wrong` does and nothing else is wrong.
    """
    request, problems = read(model, content)
    try:
        problems = (*problems, *wrong(request))
    except ExecutionError:
        if not problems:
            raise  # else it is wrong, whatever the nodes would say
    if problems:
        raise InvalidRequest(problems[:MAX_PROBLEMS])
    return request


def wrong_trade_fields(tokens: TokenDirectory, request: Any, also: Problems = ()) -> Problems:
    """Of a quote's or an order's request: a field that is None is passed over. `also` is known to be wrong besides.

    Raises ExecutionError where it can't be told which tokens are traded, and nothing else is wrong.
    """
    found = _FoundProblems(also)
    impact, fee = getattr(request, "max_price_impact", None), getattr(request, "max_network_fee", None)
    if request.slippage is not None:
        found.read(lambda: to_ppm(request.slippage, "slippage"))
    if impact is not None:
        found.read(lambda: to_ppm(impact, "maxPriceImpact", MOST_PRICE_IMPACT))
    if fee is not None:
        found.read(lambda: to_base_units(fee, SOL_DECIMALS, "maxNetworkFee"))
    try:
        _read_traded(tokens, request, found)
    except ExecutionError:
        if not found.problems:
            raise
    return found.problems


def wrong_change_fields(order: Order, given: Collection[str], request: Any, also: Problems = ()) -> Problems:
    """Of a request to change the order in the fields `given`. `also` is known to be wrong besides."""
    found = _FoundProblems((*also, *wrong_changes(order, given)))
    if not set(given) - {"force"}:
        found.problems.append(FieldProblem("body", "names nothing to change"))
    if request.slippage is not None:
        found.read(lambda: to_ppm(request.slippage, "slippage"))
    if request.min_out is not None:
        found.read(lambda: to_least_base_units(request.min_out, order.token_out.decimals, "minOut"))
    found.problems.extend(wrong_changed_prices(order, request))
    return found.problems


def wrong_tokens(tokens: TokenDirectory, request: Any) -> Problems:
    """Of a request that may name tokens to look for. Raises ExecutionError as `wrong_trade_fields`."""
    found = _FoundProblems()
    _read_tokens(tokens, request, found)
    return found.problems


def wrong_token(tokens: TokenDirectory, request: Any) -> Problems:
    """Of a request that may name one token, also one that is traded no longer. Raises as `wrong_trade_fields`."""
    found = _FoundProblems()
    if request.token is not None:
        found.read(lambda: find_token_or_mint(tokens, "token", request.token))
    return found.problems


class _FoundProblems:
    """The problems found so far."""

    def __init__(self, problems: Problems = ()) -> None:
        self.problems = list(problems)

    def read(self, read_one: Callable[[], T]) -> T | None:
        """What `read_one` gives, or None where it refuses, which is kept."""
        try:
            return read_one()
        except InvalidRequest as refusal:
            self.problems.extend(refusal.problems)
            return None


def _read_traded(tokens: TokenDirectory, request: Any, found: _FoundProblems) -> None:
    token_in, token_out = _read_tokens(tokens, request, found)
    amount, least = request.amount, getattr(request, "min_out", None)
    if token_in is not None and token_out is not None:
        found.read(lambda: find_pair(tokens, request.token_in, request.token_out))
    if amount is not None and token_in is not None:
        found.read(lambda: to_base_units(amount, token_in.decimals, "amount"))
    if hasattr(request, "limit_price"):
        found.problems.extend(wrong_prices(request, token_in, token_out))
    if least is not None and token_out is not None:
        found.read(lambda: to_least_base_units(least, token_out.decimals, "minOut"))


def _read_tokens(tokens: TokenDirectory, request: Any, found: _FoundProblems) -> tuple[Token | None, Token | None]:
    def token(field: str, text: str | None) -> Token | None:
        return None if text is None else found.read(lambda: find_token(tokens, field, text))

    return token("tokenIn", request.token_in), token("tokenOut", request.token_out)

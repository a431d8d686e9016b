"""Which order `make up` places first: the usual one, or one that the pools of the user's own registry can fill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local_stack.first_order import ORDER, choose_order
from tests.client.sample_answers import QUOTE
from tests.client.scripted_service import Answer, ScriptedService

NO_POOL = {"type": "urn:fillrate:problem:no-pool", "title": "No pool", "status": 422, "detail": "none"}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    service = ScriptedService()
    yield service
    service.close()


def trades(service: ScriptedService, *pays_for_sol: str, traded: tuple[str, ...] = ("SOL", "JUP", "USDC")) -> None:
    """The service's tokens, and which of them some pool pays for SOL."""
    tokens = [{"symbol": symbol, "mint": f"mint of {symbol}", "decimals": 6} for symbol in traded]
    service.script("GET", "/tokens", Answer(200, {"tokens": tokens}))
    for symbol in traded:
        quoted = Answer(200, {**QUOTE, "tokenOut": symbol})
        refused = Answer(422, NO_POOL, {"content-type": "application/problem+json"})
        path = f"/quotes?tokenIn=SOL&tokenOut={symbol}&amount=1"
        service.script("GET", path, quoted if symbol in pays_for_sol else refused)


def test_it_is_for_usdc_where_a_pool_pays_that(service: ScriptedService) -> None:
    trades(service, "USDC", "JUP")
    assert choose_order(service.url) == ORDER


def test_it_is_for_another_token_where_no_pool_of_the_registry_pays_usdc(service: ScriptedService) -> None:
    trades(service, "JUP")
    assert choose_order(service.url) == {**ORDER, "tokenOut": "JUP"}


def test_it_is_none_where_no_pool_pays_for_sol(service: ScriptedService) -> None:
    trades(service)
    assert choose_order(service.url) is None


def test_it_is_none_where_sol_is_not_traded(service: ScriptedService) -> None:
    trades(service, traded=("JUP", "USDC"))
    assert choose_order(service.url) is None

"""API keys and callers: what a key is, what is kept of it, and what it allows."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from chalicelib.access.caller import LOCAL_CALLER, Caller
from chalicelib.access.keys import KEY_FORMAT, Scope, digest_of, is_key, new_key_id, new_secret
from chalicelib.access.open_routes import OPEN_ROUTES
from chalicelib.problems import Forbidden
from chalicelib.rate import Rate, per_minute
from infra.deployment import guarded_routes
from infra.deployment.chalice_deploy import _template


@given(st.binary(min_size=32, max_size=32))
def test_a_key_carries_all_of_its_256_random_bits_and_is_recognised(bits: bytes) -> None:
    key = new_secret(lambda size: bits[:size])
    assert is_key(key)
    assert re.fullmatch(KEY_FORMAT, key)
    other = bytes([bits[0] ^ 1]) + bits[1:]
    assert new_secret(lambda size: other[:size]) != key


def test_of_a_key_nothing_but_its_sha_256_is_kept() -> None:
    key = new_secret(secrets.token_bytes)
    assert digest_of(key) == hashlib.sha256(key.encode()).hexdigest()
    assert new_key_id(secrets.token_bytes).removeprefix("key_") not in digest_of(key)


@pytest.mark.parametrize("text", ["", "fr_", "wrong", "fr_" + "A" * 42, "fr_" + "A" * 44, "fr_" + "é" * 43, "\ud800"])
def test_what_has_not_a_keys_form_is_none(text: str) -> None:
    assert not is_key(text)


def test_the_gateway_lets_through_to_the_authorizer_what_has_a_keys_form_and_nothing_else() -> None:
    definition = _template()["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    authorizer = definition["securityDefinitions"]["authorize"]["x-amazon-apigateway-authorizer"]
    assert authorizer["identityValidationExpression"] == f"^{KEY_FORMAT}$"


@pytest.mark.parametrize("scope", Scope)
def test_a_caller_may_do_what_its_scopes_say_and_admin_everything(scope: Scope) -> None:
    for other in Scope:
        caller = Caller("a", frozenset({scope}))
        if scope in (other, Scope.ADMIN):
            caller.require(other)
        else:
            with pytest.raises(Forbidden, match=f"scope {other.value}"):
                caller.require(other)


def test_whoever_comes_without_a_key_is_no_administrator() -> None:
    with pytest.raises(Forbidden):
        LOCAL_CALLER.require(Scope.ADMIN)


# --- rates --------------------------------------------------------------------------------------------------------


def passes(rate: Rate, arrivals: list[int]) -> Iterator[int]:
    """GCRA as its definition says it, without DynamoDB."""
    theoretical = 0
    for now in arrivals:
        if max(theoretical, now) - now <= rate.tolerance:
            theoretical = max(theoretical, now) + rate.interval
            yield now


@given(
    limit=st.integers(min_value=1, max_value=300),
    gaps=st.lists(st.integers(min_value=0, max_value=3_000_000), max_size=400),
)
def test_in_no_sixty_seconds_more_passes_than_the_limit(limit: int, gaps: list[int]) -> None:
    arrivals = [sum(gaps[:index]) for index in range(len(gaps))]
    passed = list(passes(per_minute(limit), arrivals))
    for start in passed:
        assert sum(1 for at in passed if start <= at < start + 60_000_000) <= limit


@given(limit=st.integers(min_value=1, max_value=10_000))
def test_who_keeps_the_pace_is_never_refused(limit: int) -> None:
    rate = per_minute(limit)
    arrivals = [number * rate.interval for number in range(50)]
    assert list(passes(rate, arrivals)) == arrivals


@pytest.mark.parametrize("burst", [0, 11])
def test_a_rate_that_can_not_be_kept_is_refused(burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Rate(limit=10, burst=burst, period=1)


# --- routes -------------------------------------------------------------------------------------------------------


def test_every_route_but_the_open_ones_has_the_authorizer() -> None:
    guarded = {
        (path, method.lower()): route.authorizer is app.authorize
        for path, methods in app.app.routes.items()
        for method, route in methods.items()
    }
    assert {route for route, has_it in guarded.items() if not has_it} == OPEN_ROUTES
    assert ("/orders/execute", "post") in guarded


def a_template(security: object) -> dict[str, object]:
    operation = {"security": security} if security is not None else {}
    paths = {"/orders": {"get": operation, "options": {}}, "/health": {"get": {}}}
    return {"Resources": {"RestAPI": {"Properties": {"DefinitionBody": {"paths": paths}}}}}


@pytest.mark.parametrize("security", [None, [], [{"another": []}]])
def test_a_stage_with_a_route_that_asks_for_no_key_is_not_deployed(security: object) -> None:
    with pytest.raises(guarded_routes.UnguardedRoute, match="GET /orders"):
        guarded_routes.check(a_template(security))


def test_the_local_stages_routes_are_open_and_would_be_refused_on_any_other() -> None:
    template = a_template([{"authorize": []}])
    guarded_routes.check(template)
    guarded_routes.open_all(template)
    with pytest.raises(guarded_routes.UnguardedRoute):
        guarded_routes.check(template)

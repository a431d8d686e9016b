"""Whose request it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from chalicelib.account import LOCAL_ACCOUNT, OPERATOR_ACCOUNT, account_of
from chalicelib.problems import Unauthorized
from chalicelib.settings import Settings, read_settings
from tests.unit.test_settings import ENVIRONMENT

KEY = "the operator's key"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


def settings(stage: str, digest: str | None = DIGEST) -> Settings:
    return read_settings({**ENVIRONMENT, "STAGE": stage, "API_KEY_SHA256": digest or ""})


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}])
def test_the_local_stage_needs_no_key(headers: Mapping[str, str]) -> None:
    assert account_of(headers, settings("local")) == LOCAL_ACCOUNT
    assert account_of(headers, settings("local", digest=None)) == LOCAL_ACCOUNT


@pytest.mark.parametrize("stage", ["localstack", "prod", "Local", "local "])
@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"x-api-key": "wrong"}, {"X-Other": KEY}])
def test_no_other_stage_accepts_a_request_without_its_key(stage: str, headers: Mapping[str, str]) -> None:
    for digest in (DIGEST, None):
        with pytest.raises(Unauthorized):
            account_of(headers, settings(stage, digest))


@pytest.mark.parametrize("stage", ["local", "localstack", "prod"])
def test_the_key_stands_for_the_operators_account(stage: str) -> None:
    assert account_of({"x-api-key": KEY}, settings(stage)) == OPERATOR_ACCOUNT


@pytest.mark.parametrize("key", ["wrong", KEY + " ", KEY.upper(), DIGEST, "ключ", "\ud800", "x" * 10_000])
@pytest.mark.parametrize("stage", ["local", "prod"])
def test_a_wrong_key_is_refused_also_where_none_would_do(stage: str, key: str) -> None:
    with pytest.raises(Unauthorized):
        account_of({"x-api-key": key}, settings(stage))


def test_where_no_key_is_set_up_none_opens_the_door() -> None:
    for key in (KEY, "", "None", hashlib.sha256(b"").hexdigest()):
        with pytest.raises(Unauthorized):
            account_of({"x-api-key": key}, settings("prod", digest=None))


def test_a_refusal_quotes_neither_the_key_nor_its_digest() -> None:
    with pytest.raises(Unauthorized) as refused:
        account_of({"x-api-key": "my-secret"}, settings("prod"))
    assert "my-secret" not in str(refused.value)
    assert DIGEST not in str(refused.value)

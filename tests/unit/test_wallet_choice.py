"""Which wallet a stage signs with is said in one setting, and a wrong one is refused before anything starts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from chalicelib.settings import read_settings
from chalicelib.solana.wallet_choice import WalletChoice, WalletKind
from tests.unit.test_settings import ENVIRONMENT

ARN = "arn:aws:kms:eu-central-1:123456789012:key/0d1c9e0a-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        (f"kms:{ARN}", WalletKind.KMS, ARN),
        ("kms:alias/wallet", WalletKind.KMS, "alias/wallet"),
        ("secret:wallets/one", WalletKind.SECRET, "wallets/one"),
        ("file:/home/me/wallet.json", WalletKind.FILE, "/home/me/wallet.json"),
    ],
)
def test_a_wallet_is_named_by_where_its_key_lies(text: str, kind: WalletKind, place: str) -> None:
    choice = WalletChoice.parse(text, "local")
    assert choice == WalletChoice(kind, place)
    assert str(choice) == text


@given(text=st.text())
def test_any_other_text_is_refused_with_what_to_write(text: str) -> None:
    assume(not text.startswith(("kms:", "secret:", "file:")))
    with pytest.raises(ValueError, match="kms:<key id, ARN or alias>"):
        WalletChoice.parse(text, "prod")


@pytest.mark.parametrize("text", ["", "kms", "kms:", "kms: ", "secret: a", "wallet.json", "FILE:a", ":a"])
def test_what_is_half_said_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be kms:"):
        WalletChoice.parse(text, "local")


@pytest.mark.parametrize("stage", ["prod", "staging", "", "Local"])
def test_a_key_file_is_for_the_local_stages_only(stage: str) -> None:
    with pytest.raises(ValueError, match="takes no wallet from a file"):
        WalletChoice.parse("file:w.json", stage)


@pytest.mark.parametrize(
    ("wallet", "why"), [("file:w.json", "takes no wallet from a file"), ("w.json", "must be kms:")]
)
def test_the_functions_do_not_start_with_a_wallet_that_is_not_for_their_stage(wallet: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read_settings({**ENVIRONMENT, "STAGE": "prod", "WALLET": wallet})


def test_functions_that_sign_nothing_need_none() -> None:
    assert read_settings(ENVIRONMENT).wallet_choice is None

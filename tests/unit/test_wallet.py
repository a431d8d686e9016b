"""A wallet signs for its address and never shows its key."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path
from typing import Any, cast

import pytest
from solders.keypair import Keypair

from chalicelib.solana.wallet import InvalidWallet, LocalWallet, Wallet
from tests.trades_to_sign import KEYPAIR, approved


def test_a_created_wallet_is_a_solana_keygen_file_that_only_its_user_can_read(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    wallet = LocalWallet.create(path)
    content = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(content) == 64
    assert bytes(content[32:]) == bytes(wallet.address)


def test_a_loaded_wallet_is_the_one_that_was_created(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    assert LocalWallet.create(path).address == LocalWallet.load(path).address


def test_creating_never_overwrites_a_key(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    LocalWallet.create(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        LocalWallet.create(path)
    assert path.read_bytes() == before


def test_a_signature_is_the_addresss_own_over_exactly_the_approved_bytes() -> None:
    wallet: Wallet = LocalWallet(KEYPAIR)
    message = approved()
    signature = wallet.sign(message)
    assert signature.verify(wallet.address, bytes(message))
    assert not signature.verify(wallet.address, bytes(message) + b" ")


def test_a_message_that_was_approved_for_another_wallet_is_not_signed() -> None:
    with pytest.raises(ValueError, match="another wallet"):
        LocalWallet(Keypair()).sign(approved())


def test_bytes_that_nobody_approved_can_not_be_signed() -> None:
    with pytest.raises(AttributeError):
        LocalWallet(KEYPAIR).sign(cast("Any", b"message"))


def test_the_key_shows_in_no_text_and_can_not_be_copied() -> None:
    keypair = Keypair()
    wallet = LocalWallet(keypair)
    for text in (repr(wallet), str(wallet), f"{wallet!r}"):
        assert str(wallet.address) in text
        assert str(keypair) not in text
    assert not hasattr(wallet, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(wallet)


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2, 3]", b"{}", json.dumps([1] * 64).encode(), b"[300]", b"\xff\xfe12345", b"4242 words"]
)
def test_what_is_no_key_file_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    with pytest.raises(InvalidWallet) as caught:
        LocalWallet.load(path)
    assert str(path) in str(caught.value)
    assert "4242" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__

"""An approved message becomes the bytes to send: the wallet's signature in front of exactly what was approved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

from chalicelib.solana.signing import sign
from chalicelib.solana.transaction import unsigned_wire
from chalicelib.solana.wallet import LocalWallet
from tests.trades_to_sign import KEYPAIR, LATEST, WALLET, approved, as_bytes

MINE = LocalWallet(KEYPAIR)


def test_the_signed_bytes_carry_the_wallets_signature_over_the_message() -> None:
    message = approved()
    signed = sign(message, MINE, LATEST)
    transaction = VersionedTransaction.from_bytes(signed.wire)
    assert transaction.message == message.message
    assert len(signed.wire) == len(unsigned_wire(message.message))
    assert [str(signature) for signature in transaction.signatures] == [signed.signature]
    assert transaction.signatures[0].verify(WALLET, bytes(message))
    assert bytes(message) == as_bytes(message.message)
    assert (signed.blockhash, signed.last_valid_block_height) == (str(LATEST.blockhash), 1_150)


def test_the_same_message_signed_again_is_the_same_transaction() -> None:
    assert sign(approved(), MINE, LATEST) == sign(approved(), MINE, LATEST)


def test_a_message_on_another_blockhash_is_not_signed() -> None:
    with pytest.raises(ValueError, match="another blockhash"):
        sign(approved(), MINE, replace(LATEST, blockhash=Hash.default()))


def test_another_wallets_message_is_not_signed() -> None:
    with pytest.raises(ValueError, match="another wallet"):
        sign(approved(), LocalWallet(Keypair()), LATEST)

"""A wallet in KMS: what it takes for its key, what it takes for a signature, and what becomes of a call that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.aws.kms_wallet import KmsWallet, address_of_spki
from chalicelib.problems import TransientError, WalletUnavailable
from chalicelib.solana.wallet import InvalidWallet, Wallet
from tests.trades_to_sign import KEYPAIR, WALLET, approved

# RFC 8410, section 10.1: the example public key, whose 32 bytes are its section 10.3 certificate's.
RFC_8410_KEY = bytes.fromhex("302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")
PREFIX = RFC_8410_KEY[:12]
GOOD = {"KeySpec": "ECC_NIST_EDWARDS25519", "SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"]}


@dataclass
class Kms:
    """KMS with one key. `signs` is what comes back for a message; `fails` is raised first, once each."""

    key: dict[str, Any] = field(default_factory=lambda: {**GOOD, "PublicKey": PREFIX + bytes(WALLET)})
    signs: Callable[[bytes], bytes] = lambda message: bytes(KEYPAIR.sign_message(message))
    fails: list[Exception] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def get_public_key(self, **request: Any) -> dict[str, Any]:
        self._ask(request)
        return self.key

    def sign(self, **request: Any) -> dict[str, Any]:
        self._ask(request)
        return {"Signature": self.signs(request["Message"])}

    def _ask(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if self.fails:
            raise self.fails.pop(0)


def test_the_address_is_the_public_key_itself() -> None:
    assert bytes(address_of_spki(RFC_8410_KEY)) == RFC_8410_KEY[12:]
    assert KmsWallet(Kms(), "alias/wallet").address == WALLET


@given(position=st.integers(0, 11), bit=st.integers(0, 7), more=st.binary(min_size=1, max_size=4))
def test_any_other_der_is_no_key(position: int, bit: int, more: bytes) -> None:
    changed = bytearray(RFC_8410_KEY)
    changed[position] ^= 1 << bit
    for der in (bytes(changed), RFC_8410_KEY + more, RFC_8410_KEY[: -len(more)], b""):
        with pytest.raises(InvalidWallet):
            address_of_spki(der)


@pytest.mark.parametrize(
    "wrong",
    [
        {"KeySpec": "ECC_SECG_P256K1"},
        {"SigningAlgorithms": ["ED25519_PH_SHA_512"]},
        {"SigningAlgorithms": []},
        {"PublicKey": b""},
        {"PublicKey": bytes(WALLET)},
    ],
)
def test_a_key_that_solana_does_not_know_is_no_wallet(wrong: dict[str, Any]) -> None:
    kms = Kms()
    kms.key |= wrong
    with pytest.raises(InvalidWallet):
        _ = KmsWallet(kms, "key").address
    with pytest.raises(InvalidWallet):
        KmsWallet(kms, "key").sign(approved())


def test_it_signs_the_raw_message_as_solana_verifies_it_and_asks_for_its_address_once() -> None:
    kms = Kms()
    wallet: Wallet = KmsWallet(kms, "alias/wallet")
    message = approved()
    assert wallet.sign(message) == wallet.sign(message) == KEYPAIR.sign_message(bytes(message))
    request = {"KeyId": "alias/wallet", "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
    assert kms.requests == [{"KeyId": "alias/wallet"}, *[request | {"Message": bytes(message)}] * 2]


@pytest.mark.parametrize(
    "signs",
    [
        lambda message: bytes(Keypair().sign_message(message)),
        lambda message: bytes(KEYPAIR.sign_message(message + b" ")),
        lambda message: bytes(64),
        lambda message: bytes(KEYPAIR.sign_message(message))[:63],
        lambda message: b"",
    ],
)
def test_a_signature_that_is_not_the_wallets_never_leaves(signs: Callable[[bytes], bytes]) -> None:
    with pytest.raises(WalletUnavailable):
        KmsWallet(Kms(signs=signs), "key").sign(approved())


def test_another_wallets_message_does_not_even_reach_kms() -> None:
    kms = Kms()
    kms.key["PublicKey"] = PREFIX + bytes(Pubkey(bytes([3] * 32)))
    with pytest.raises(ValueError, match="another wallet"):
        KmsWallet(kms, "key").sign(approved())
    assert all("Message" not in request for request in kms.requests)


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "arn:aws:kms:secret"}}, "Sign"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "arn:aws:kms:secret"}}, "Sign"),
        ReadTimeoutError(endpoint_url="https://kms.secret"),
    ],
)
@pytest.mark.parametrize("at", ["GetPublicKey", "Sign"])
def test_a_call_that_fails_signs_nothing_and_may_be_tried_again(failure: Exception, at: str) -> None:
    kms = Kms()
    wallet = KmsWallet(kms, "key")
    if at == "Sign":
        assert wallet.address == WALLET
    kms.fails.append(failure)
    with pytest.raises(WalletUnavailable) as refused:
        wallet.sign(approved())
    assert issubclass(WalletUnavailable, TransientError)
    assert "secret" not in str(refused.value)
    assert wallet.sign(approved()) == KEYPAIR.sign_message(bytes(approved()))

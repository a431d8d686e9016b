"""A wallet whose key never leaves AWS KMS: an asymmetric key of spec ECC_NIST_EDWARDS25519.

Signing: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html, ED25519_SHA_512 over the raw message, which
is what Solana verifies (RFC 8032, pure Ed25519). It is deterministic, so asking again for the same message is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from solders.pubkey import Pubkey
from solders.signature import Signature

from chalicelib.log import logger
from chalicelib.problems import WalletUnavailable
from chalicelib.solana.signing_policy import ApprovedMessage
from chalicelib.solana.wallet import InvalidWallet, check_signer

KEY_SPEC = "ECC_NIST_EDWARDS25519"
SIGNING_ALGORITHM = "ED25519_SHA_512"
# DER of a SubjectPublicKeyInfo for id-Ed25519 up to its 32 bytes of key (RFC 8410, sections 4 and 10.1)
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
_KEY_LENGTH = 32


class Kms(Protocol):
    """What is asked of boto3's KMS client."""

    def get_public_key(self, **request: Any) -> Mapping[str, Any]: ...

    def sign(self, **request: Any) -> Mapping[str, Any]: ...


class KmsWallet:
    """Signs by KMS. `key_id` is a key's id or ARN, or an alias; the key's address is asked for once, when needed."""

    def __init__(self, kms: Kms, key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._address: Pubkey | None = None

    @property
    def address(self) -> Pubkey:
        """Raises WalletUnavailable, and InvalidWallet where the key is of another kind."""
        if self._address is None:
            self._address = _address_of(_ask("GetPublicKey", lambda: self._kms.get_public_key(KeyId=self._key_id)))
        return self._address

    def sign(self, approved: ApprovedMessage) -> Signature:
        """The signature, verified here before it is used. Raises WalletUnavailable: nothing was signed, or wrongly."""
        address, message = self.address, bytes(approved)
        check_signer(approved, address)
        answer = _ask(
            "Sign",
            lambda: self._kms.sign(
                KeyId=self._key_id, Message=message, MessageType="RAW", SigningAlgorithm=SIGNING_ALGORITHM
            ),
        )
        return _verified(answer.get("Signature", b""), address, message)

    def __repr__(self) -> str:
        return f"KmsWallet({self._address or 'not asked yet'})"


def address_of_spki(der: bytes) -> Pubkey:
    """The address that an Ed25519 public key in DER is. Raises InvalidWallet where it is not exactly one."""
    if len(der) != len(_SPKI_PREFIX) + _KEY_LENGTH or not der.startswith(_SPKI_PREFIX):
        raise InvalidWallet("the key is no Ed25519 public key")
    return Pubkey(der[len(_SPKI_PREFIX) :])


def _address_of(answer: Mapping[str, Any]) -> Pubkey:
    """The address of what GetPublicKey tells about. Raises InvalidWallet that says what the key must be."""
    if answer.get("KeySpec") != KEY_SPEC or SIGNING_ALGORITHM not in answer.get("SigningAlgorithms", ()):
        raise InvalidWallet(
            f"the KMS key is of spec {answer.get('KeySpec')}: a wallet needs {KEY_SPEC}, usage SIGN_VERIFY"
        )
    return address_of_spki(bytes(answer.get("PublicKey", b"")))


def _verified(signature: bytes, address: Pubkey, message: bytes) -> Signature:
    """The signature, if it is the address's over the message."""
    if len(signature) == Signature.LENGTH:
        found = Signature.from_bytes(signature)
        if found.verify(address, message):
            return found
    logger.critical("KMS answered with a signature that is not the wallet's", wallet=str(address))
    raise WalletUnavailable("the wallet's key answered with a wrong signature; it was not used")


def _ask(operation: str, request: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Clients are not told what AWS said: the log is."""
    try:
        return request()
    except (ClientError, BotoCoreError) as error:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        logger.error("KMS did not serve", operation=operation, reason=code or type(error).__name__)
        raise WalletUnavailable("the wallet's key can't be asked now; nothing was signed") from error

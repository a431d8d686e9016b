"""A call's parameters, read strictly: what is missing or of the wrong kind is error -32602."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import SanitizeError, VersionedTransaction

from infra.localnet import base58
from infra.localnet.commitment import Commitment
from infra.localnet.rpc.errors import invalid_params

# What fits one packet, and what a transaction of version 1 may have; and that much encoded, of which base58 takes the
# first alone. anza-xyz/agave, rpc/src/rpc.rs `decode_and_deserialize`.
MAX_TRANSACTION_LENGTH = 1_232
MAX_V1_TRANSACTION_LENGTH = 4_096
_VERSION_1 = 0x81
_MAX_ENCODED_LENGTH = {"base58": 1_683, "base64": 5_464}


class Config:
    """The object of options that most methods take last."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @property
    def commitment(self) -> Commitment:
        return self.commitment_named("commitment")

    def commitment_named(self, name: str) -> Commitment:
        value = self.text(name)
        if value is None:
            return Commitment.FINALIZED
        # Names of before version 1.6 that nodes still take.
        value = {"recent": "processed", "single": "confirmed", "singleGossip": "confirmed", "max": "finalized"}.get(
            value, value
        )
        try:
            return Commitment(value)
        except ValueError:
            raise invalid_params(f"Invalid params: unknown commitment `{value}`.") from None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid_params(f"Invalid params: `{name}` must be a boolean.")
        return value

    def number(self, name: str) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        return _unsigned(value, name)

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid_params(f"Invalid params: `{name}` must be a string.")
        return value

    def object(self, name: str) -> Config | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid_params(f"Invalid params: `{name}` must be an object.")
        return Config(value)

    def array(self, name: str) -> list[Any] | None:
        value = self._values.get(name)
        if value is not None and not isinstance(value, list):
            raise invalid_params(f"Invalid params: `{name}` must be an array.")
        return value

    def value(self, name: str) -> Any:
        return self._values.get(name)

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None


class Params:
    """The positional parameters."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def is_text(self, index: int) -> bool:
        return index < len(self._values) and isinstance(self._values[index], str)

    def is_number(self, index: int) -> bool:
        value = self._values[index] if index < len(self._values) else None
        return isinstance(value, int) and not isinstance(value, bool)

    def config(self, index: int) -> Config:
        value = self._values[index] if index < len(self._values) else None
        if value is None:
            return Config({})
        if isinstance(value, str):
            # A bare commitment name was once allowed here.
            return Config({"commitment": value})
        if not isinstance(value, dict):
            raise invalid_params("Invalid params: expected an object of options.")
        return Config(value)

    def object(self, index: int) -> Mapping[str, Any]:
        value = self._values[index] if index < len(self._values) else {}
        if not isinstance(value, dict):
            raise invalid_params("Invalid params: expected an object.")
        return value

    def pubkey(self, index: int) -> Pubkey:
        return parse_pubkey(self.text(index))

    def pubkeys(self, index: int) -> list[Pubkey]:
        return [parse_pubkey(value) for value in self.texts(index)]

    def signature(self, index: int) -> Signature:
        return parse_signature(self.text(index))

    def number(self, index: int) -> int:
        return _unsigned(self._required(index), str(index))

    def text(self, index: int) -> str:
        value = self._required(index)
        if not isinstance(value, str):
            raise invalid_params(f"Invalid params: invalid type: {type(value).__name__}, expected a string.")
        return value

    def texts(self, index: int) -> list[str]:
        value = self._required(index)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid_params("Invalid params: expected an array of strings.")
        return value

    def _required(self, index: int) -> Any:
        if index >= len(self._values):
            raise invalid_params("`params` should have at least " + f"{index + 1} argument(s)")
        return self._values[index]


def parse_pubkey(text: str) -> Pubkey:
    return Pubkey(_fixed_length(text, 32))


def parse_signature(text: str) -> Signature:
    return Signature(_fixed_length(text, 64))


def parse_transaction(text: str, encoding: str) -> VersionedTransaction:
    """A transaction that is well-formed, signed or not."""
    wire = decode_binary(text, encoding)
    largest = MAX_V1_TRANSACTION_LENGTH if wire[:1] == bytes([_VERSION_1]) else MAX_TRANSACTION_LENGTH
    if len(wire) > largest:
        raise invalid_params(
            f"decoded solana_transaction::versioned::VersionedTransaction too large: {len(wire)} bytes "
            f"(max: {largest} bytes)"
        )
    try:
        transaction = VersionedTransaction.from_bytes(wire)
    except (ValueError, TypeError) as error:
        raise invalid_params(
            f"failed to deserialize solana_transaction::versioned::VersionedTransaction: {error}"
        ) from None
    if bytes(transaction) != wire:
        raise invalid_params("failed to deserialize a VersionedTransaction: it does not end where its bytes do")
    try:
        transaction.sanitize()
    except SanitizeError as error:
        raise invalid_params(f"invalid transaction: {error}") from None
    return transaction


def decode_binary(text: str, encoding: str) -> bytes:
    largest = _MAX_ENCODED_LENGTH.get(encoding)
    if largest is None:
        raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    if len(text) > largest:
        raise invalid_params(
            f"{encoding} encoded solana_transaction::versioned::VersionedTransaction too large: {len(text)} bytes "
            f"(max: encoded/raw {largest}/{MAX_V1_TRANSACTION_LENGTH})"
        )
    try:
        return base58.decode(text) if encoding == "base58" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid_params(f"invalid {encoding} encoding: {error}") from None


def _fixed_length(text: str, length: int) -> bytes:
    try:
        decoded = base58.decode(text)
    except ValueError:
        raise invalid_params("Invalid param: Invalid") from None
    if len(decoded) != length:
        raise invalid_params("Invalid param: WrongSize")
    return decoded


def _unsigned(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise invalid_params(f"Invalid params: `{name}` must be an unsigned 64-bit number.")
    return value

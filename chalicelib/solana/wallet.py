"""Who signs: an address and a signature over a message's bytes, wherever the key is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature


class InvalidWalletError(ValueError):
    """A key file can't be read as a keypair. The text never quotes its content."""


class Wallet(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> Pubkey: ...

    def sign(self, message: bytes) -> Signature:
        """The Ed25519 signature over exactly these bytes (a transaction's serialised message)."""


class LocalWallet:
    """A keypair in this process's memory, in files as `solana-keygen` writes them: a JSON array of 64 bytes."""

    __slots__ = ("_keypair",)

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    @classmethod
    def from_json(cls, text: str) -> LocalWallet:
        """Read a key file's content. Raises InvalidWalletError."""
        try:
            return cls(Keypair.from_json(text))
        except ValueError:
            raise InvalidWalletError("not a keypair in solana-keygen's format: a JSON array of 64 bytes") from None

    @classmethod
    def load(cls, path: Path) -> LocalWallet:
        """Read a key file. Raises InvalidWalletError, and OSError where there is none to read."""
        try:
            return cls.from_json(path.read_text(encoding="ascii"))
        except ValueError as error:
            # Without the cause: a decoding error quotes the bytes it stumbled over.
            raise InvalidWalletError(
                f"{path}: {error if isinstance(error, InvalidWalletError) else 'not text'}"
            ) from None

    @classmethod
    def create(cls, path: Path) -> LocalWallet:
        """Make a new key and its file, which only this user can read. Raises FileExistsError, never overwrites."""
        keypair = Keypair()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(keypair.to_json())
        return cls(keypair)

    @property
    def address(self) -> Pubkey:
        return self._keypair.pubkey()

    def sign(self, message: bytes) -> Signature:
        return self._keypair.sign_message(message)

    def __repr__(self) -> str:
        return f"LocalWallet({self.address})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a wallet is not to be copied or stored: load its key file")

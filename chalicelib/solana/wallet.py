"""Who signs: an address and a signature over a message's bytes, wherever the key is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from chalicelib.solana.signing_policy import ApprovedMessage


class InvalidWallet(ValueError):
    """A key file can't be read as a keypair. The text never quotes its content."""


class Wallet(Protocol):
    """Signs for one address, and only what the signing policy has passed."""

    @property
    def address(self) -> Pubkey:
        """Raises WalletUnavailable where a key that is kept elsewhere can't be asked now."""

    def sign(self, approved: ApprovedMessage) -> Signature:
        """The Ed25519 signature over exactly the approved bytes: the same bytes always get the same one (RFC 8032).

        Raises ValueError where they were approved for another wallet, and WalletUnavailable: nothing was signed.
        """


class LocalWallet:
    """A keypair in this process's memory, in files as `solana-keygen` writes them: a JSON array of 64 bytes."""

    __slots__ = ("_keypair",)

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    @classmethod
    def from_json(cls, text: str) -> LocalWallet:
        """Read a key file's content. Raises InvalidWallet."""
        try:
            return cls(Keypair.from_json(text))
        except ValueError:
            raise InvalidWallet("not a keypair in solana-keygen's format: a JSON array of 64 bytes") from None

    @classmethod
    def load(cls, path: Path) -> LocalWallet:
        """Read a key file. Raises InvalidWallet, and OSError where there is none to read."""
        try:
            return cls.from_json(path.read_text(encoding="ascii"))
        except ValueError as error:
            # Without the cause: a decoding error quotes the bytes it stumbled over.
            raise InvalidWallet(f"{path}: {error if isinstance(error, InvalidWallet) else 'not text'}") from None

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

    def sign(self, approved: ApprovedMessage) -> Signature:
        check_signer(approved, self.address)
        return self._keypair.sign_message(bytes(approved))

    def __repr__(self) -> str:
        return f"LocalWallet({self.address})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a wallet is not to be copied or stored: load its key file")


def check_signer(approved: ApprovedMessage, address: Pubkey) -> None:
    """Raises ValueError unless the message was approved for this address to sign."""
    if approved.signer != address:
        raise ValueError("the message was approved for another wallet")

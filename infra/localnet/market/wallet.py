"""The localnet's own wallets: the faucet and the other traders. They send real, signed transactions like anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from infra.localnet.commitment import Commitment
from infra.localnet.ledger import Ledger
from infra.localnet.transaction_log import LandedTransaction

_MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


def derived_keypair(seed: int, role: str) -> Keypair:
    """The key of a role in the genesis market of `seed`. Anybody can derive it: it is worth nothing elsewhere."""
    return Keypair.from_seed(hashlib.sha256(f"fillrate localnet {seed} {role}".encode()).digest())


class HouseWallet:
    """Signs with one key and lands at once."""

    def __init__(self, ledger: Ledger, keypair: Keypair) -> None:
        self._ledger = ledger
        self._keypair = keypair
        self._numbers = count(1)

    @property
    def address(self) -> Pubkey:
        return self._keypair.pubkey()

    def send(self, instructions: Sequence[Instruction], purpose: str) -> LandedTransaction:
        """Land a transaction, successful or not. Raises TransactionRefused."""
        return self._ledger.submit(self.signed(instructions, purpose))

    def signed(self, instructions: Sequence[Instruction], purpose: str) -> VersionedTransaction:
        """A transaction that can land."""
        blockhash, _ = self._ledger.latest_blockhash(self._ledger.bank(Commitment.PROCESSED))
        # The number tells two equal transactions of one slot apart, which would be one and the same otherwise.
        memo = Instruction(_MEMO_PROGRAM, f"{purpose} {next(self._numbers)}".encode(), [])
        message = MessageV0.try_compile(self.address, [*instructions, memo], [], blockhash)
        return VersionedTransaction(message, [self._keypair])

"""A cluster of a few blocks: blockhashes that expire, sends that get lost, late landings, a node that lags.

A block comes only when the test says so, and holds what the test lets it hold. Slot and block height are one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana import cluster as known_cluster
from chalicelib.solana.cluster import ConsensusProtocol
from chalicelib.solana.rpc import EpochInfo, SignatureStatus, SignatureStatuses
from tests.sample_orders import SOL, USDC

WALLET = Pubkey.from_string("7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")
RAYDIUM_CPMM = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"

# Blocks, a twentieth of the real ones: that a signed transaction may wait for, until confirmed, until finalized.
BLOCKHASH_LIFE = 8
CONFIRMED_AFTER = 1
FINALIZED_AFTER = {ConsensusProtocol.ALPENGLOW: 1, ConsensusProtocol.TOWER: 3, ConsensusProtocol.UNKNOWN: 3}
FEE = 5_000

# A price that no rounding hides: base units of USDC for each of SOL, in thousandths.
PRICE = 149

SLIPPAGE = {"InstructionError": [0, {"Custom": 6005}]}


@dataclass
class Transaction:
    """A signed swap of SOL for USDC, in base units. `under_way`: a leader may yet put it into a block."""

    signature: str
    order_id: str
    amount_in: int
    min_out: int
    last_valid: int
    amount_out: int = 0  # once it landed
    under_way: bool = False
    landed_at: int | None = None
    failed: bool = False
    # the wallet's lamports and USDC before and after
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)


class Leaders(Enum):
    """Into which block they put a transaction that they have."""

    PROMPT = "the next one"
    LAST_MOMENT = "the last in which it is valid"
    DEAF = "none"


@dataclass
class Cluster:
    height: int = 1_000
    consensus: ConsensusProtocol = ConsensusProtocol.ALPENGLOW
    # how many blocks behind the nodes are that answer by turns under the one address
    lags: tuple[int, ...] = (0,)
    calls: int = 0
    # whether what is sent reaches a leader, what the leaders do with it, and whether the program then refuses
    carries: bool = True
    leaders: Leaders = Leaders.PROMPT
    fails: bool = False
    price: int = PRICE
    lamports: int = 10**15
    usdc: int = 10**12
    known: dict[str, Transaction] = field(default_factory=dict)

    def quote(self, amount_in: int) -> int:
        """What the market pays now."""
        return amount_in * self.price // 1000

    def sign(self, order_id: str, amount_in: int, min_out: int) -> Transaction:
        """A transaction that exists with its signer alone. Its blockhash is read at `confirmed`, as the real one is."""
        number = len(self.known) + 1
        last_valid = self._seen() - CONFIRMED_AFTER + BLOCKHASH_LIFE
        signed = Transaction(f"signature-{number}", order_id, amount_in, min_out, last_valid)
        self.known[signed.signature] = signed
        return signed

    def send(self, signature: str) -> None:
        transaction = self.known[signature]
        transaction.under_way = transaction.under_way or self.carries

    def add_block(self) -> None:
        """One more block, with each transaction under way that the leaders want in it."""
        self.height += 1
        for transaction in self.known.values():
            if transaction.under_way and self.may_land(transaction.signature) and self._wanted(transaction):
                paid = self.quote(transaction.amount_in)
                self._land(transaction, paid, failed=self.fails or paid < transaction.min_out)

    def _wanted(self, transaction: Transaction) -> bool:
        match self.leaders:
            case Leaders.PROMPT:
                return True
            case Leaders.LAST_MOMENT:
                return self.height == transaction.last_valid
            case Leaders.DEAF:
                return False

    def _land(self, transaction: Transaction, paid: int, *, failed: bool) -> None:
        transaction.landed_at, transaction.failed, transaction.amount_out = self.height, failed, paid
        transaction.before = self.lamports, self.usdc
        self.lamports -= FEE
        if not failed:
            self.lamports -= transaction.amount_in
            self.usdc += transaction.amount_out
        transaction.after = self.lamports, self.usdc

    def may_land(self, signature: str) -> bool:
        """Whether it is in no block and can still come into this one or a later one."""
        transaction = self.known[signature]
        return transaction.landed_at is None and self.height <= transaction.last_valid

    def landed(self) -> list[Transaction]:
        return [transaction for transaction in self.known.values() if transaction.landed_at is not None]

    def swaps_of(self, order_id: str) -> list[Transaction]:
        """The order's transactions that took effect. Two would be the user's money."""
        return [one for one in self.landed() if one.order_id == order_id and not one.failed]

    @property
    def told(self) -> known_cluster.Cluster:
        """What its nodes tell of it; a second a slot, as the workers wait."""
        return known_cluster.Cluster(self.consensus, 1_000)

    # --- what a node answers, for SolanaRpc's methods -------------------------------------------------------------

    def _seen(self) -> int:
        """The newest block of the node whose turn it is."""
        self.calls += 1
        return self.height - self.lags[self.calls % len(self.lags)]

    def signature_statuses(self, signatures: Sequence[str]) -> SignatureStatuses:
        seen = self._seen()
        return SignatureStatuses(seen, tuple(self._status(signature, seen) for signature in signatures))

    def finalized(self) -> EpochInfo:
        finalized = self._seen() - FINALIZED_AFTER[self.consensus]
        return EpochInfo(finalized, finalized, 0)

    def transaction(self, signature: str) -> dict[str, Any] | None:
        """`getTransaction` where it is settled: at `confirmed`, which on a cluster that migrated is final."""
        found = self.known[signature]
        if found.landed_at is None or found.landed_at > self._seen() - CONFIRMED_AFTER:
            return None
        return {
            "slot": found.landed_at,
            "transaction": {
                "message": {
                    "accountKeys": [str(WALLET), "usdc-account", RAYDIUM_CPMM],
                    "instructions": [{"programIdIndex": 2}],
                }
            },
            "meta": {
                "err": SLIPPAGE if found.failed else None,
                "fee": FEE,
                "logMessages": [f"Program {RAYDIUM_CPMM} failed: custom program error: 0x1775"] if found.failed else [],
                "preBalances": [found.before[0], 0, 0],
                "postBalances": [found.after[0], 0, 0],
                "preTokenBalances": [_usdc(found.before[1])],
                "postTokenBalances": [_usdc(found.after[1])],
            },
        }

    def _status(self, signature: str, seen: int) -> SignatureStatus | None:
        found = self.known[signature]
        if found.landed_at is None or found.landed_at > seen:
            return None
        depth = seen - found.landed_at
        settled = depth >= CONFIRMED_AFTER
        return SignatureStatus(
            found.landed_at,
            SLIPPAGE if found.failed else None,
            "finalized" if depth >= FINALIZED_AFTER[self.consensus] else "confirmed" if settled else "processed",
        )


def _usdc(amount: int) -> dict[str, Any]:
    return {"accountIndex": 1, "mint": USDC.mint, "owner": str(WALLET), "uiTokenAmount": {"amount": str(amount)}}


assert SOL.mint == "So11111111111111111111111111111111111111112", "the model trades SOL for USDC"

"""What lanes are paid: one tip in each transaction, to one of their accounts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from solders.pubkey import Pubkey

from chalicelib.solana.transaction import Tip


@dataclass(frozen=True, slots=True)
class Tips:
    """`lamports` for each transaction, to one of the lanes' `accounts`.

    Raises ValueError where they have nowhere to go.
    """

    lamports: int = 0
    accounts: tuple[Pubkey, ...] = ()

    def __post_init__(self) -> None:
        if self.lamports and not self.accounts:
            raise ValueError("a tip needs an account that it goes to")

    def tip_for(self, order_id: str) -> Tip | None:
        """The order's: to always the same account, and over all orders to all alike, which are locked for writing."""
        if not self.lamports:
            return None
        drawn = int.from_bytes(sha256(order_id.encode()).digest()[:8], "big")
        return Tip(self.accounts[drawn % len(self.accounts)], self.lamports)


NO_TIPS = Tips()

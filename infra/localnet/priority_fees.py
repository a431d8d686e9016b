"""What recent blocks' transactions paid for priority, in micro-lamports a compute unit.

Source: anza-xyz/agave, runtime/src/prioritization_fee.rs and prioritization_fee_cache.rs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from solders.pubkey import Pubkey

_BLOCKS = 150


@dataclass(slots=True)
class _Block:
    slot: int
    # The least that any transaction paid, and the least that any paid to write an account.
    minimum: int | None = None
    minimum_by_account: dict[Pubkey, int] = field(default_factory=dict)


class PriorityFees:
    """The last 150 blocks' least fees."""

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque(maxlen=_BLOCKS)

    def open_block(self, slot: int) -> None:
        self._blocks.append(_Block(slot))

    def record(self, unit_price: int, written: Iterable[Pubkey]) -> None:
        """A transaction of the open block paid `unit_price`, and locked `written` for writing."""
        block = self._blocks[-1]
        block.minimum = unit_price if block.minimum is None else min(block.minimum, unit_price)
        for address in written:
            block.minimum_by_account[address] = min(block.minimum_by_account.get(address, unit_price), unit_price)

    def recent(self, accounts: Iterable[Pubkey]) -> list[tuple[int, int]]:
        """Each block's slot with the fee that would have got a transaction writing all `accounts` into it."""
        listed = tuple(accounts)
        return [
            (block.slot, max([block.minimum or 0, *(block.minimum_by_account.get(one, 0) for one in listed)]))
            for block in self._blocks
        ]

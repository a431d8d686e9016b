"""Recent blockhashes and how long a transaction that names one may still land."""

from __future__ import annotations

from collections import deque

from solders.hash import Hash

# MAX_PROCESSING_AGE of solana-clock: a blockhash can be used for as many blocks after its own.
LIFE_IN_BLOCKS = 150


class BlockhashQueue:
    """The blockhash of each recent block, by block height. One block is pushed a slot, in order."""

    def __init__(self, retained_blocks: int) -> None:
        """Keep what a reader at a bank `retained_blocks` behind the newest needs."""
        self._retained = LIFE_IN_BLOCKS + retained_blocks + 1
        self._order: deque[Hash] = deque()
        self._height_by_hash: dict[Hash, int] = {}
        self._newest_height = -1

    def push(self, blockhash: Hash, height: int) -> None:
        self._order.append(blockhash)
        self._height_by_hash[blockhash] = height
        self._newest_height = height
        if len(self._order) > self._retained:
            del self._height_by_hash[self._order.popleft()]

    def at(self, height: int) -> Hash:
        """The hash of the block at `height`. Raises IndexError where it is no longer kept, or not there yet."""
        back = self._newest_height - height
        if not 0 <= back < len(self._order):
            raise IndexError(f"no blockhash is kept for block {height}")
        return self._order[-1 - back]

    def last_valid_height(self, blockhash: Hash, bank_height: int) -> int | None:
        """The last height at which `blockhash` may be used; None where the bank at `bank_height` does not take it."""
        height = self._height_by_hash.get(blockhash)
        if height is None or not height <= bank_height <= height + LIFE_IN_BLOCKS:
            return None
        return height + LIFE_IN_BLOCKS

"""Addresses that a program derives from a number: which number an address was derived from, found by trying them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from solders.pubkey import Pubkey


class DerivedAddresses:
    """Tries each of `indexes` once, in order, and remembers: the ones that are used should come first."""

    def __init__(self, derive: Callable[[int], Pubkey], indexes: Iterable[int]) -> None:
        self._derive = derive
        self._untried = iter(indexes)
        self._found: dict[Pubkey, int] = {}

    def index_of(self, address: Pubkey) -> int | None:
        """The index that `address` was derived from; None where it is none of these addresses."""
        if address in self._found:
            return self._found[address]
        for index in self._untried:
            derived = self._derive(index)
            self._found[derived] = index
            if derived == address:
                return index
        return None

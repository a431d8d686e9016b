"""Which accounts were written in which slot: what subscribers are told of."""

from __future__ import annotations

from collections import OrderedDict

from solders.pubkey import Pubkey

_RETAINED_SLOTS = 1_000


class AccountChanges:
    """The addresses of the last thousand slots in which something was written."""

    def __init__(self) -> None:
        self._by_slot: OrderedDict[int, set[Pubkey]] = OrderedDict()

    def saw(self, address: Pubkey, slot: int) -> None:
        """`address` was written in `slot`, which is the newest."""
        self._by_slot.setdefault(slot, set()).add(address)
        if len(self._by_slot) > _RETAINED_SLOTS:
            self._by_slot.popitem(last=False)

    def between(self, after: int, last: int) -> frozenset[Pubkey]:
        """Each address that was written in a slot after `after`, up to `last`."""
        found: set[Pubkey] = set()
        for slot in reversed(self._by_slot):
            if slot <= after:
                break
            if slot <= last:
                found |= self._by_slot[slot]
        return frozenset(found)

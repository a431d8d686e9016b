"""Every account's content, now and as it was at each slot that is not final yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account


class AccountStore:
    """The accounts by address. A version is kept until its replacement is final (`forget`)."""

    def __init__(self) -> None:
        self._current: dict[Pubkey, Account] = {}
        self._addresses_by_owner: defaultdict[Pubkey, set[Pubkey]] = defaultdict(set)
        # For each address the versions that were replaced, oldest first, with the slot that replaced them.
        self._replaced: dict[Pubkey, list[tuple[int, Account | None]]] = {}
        self._replaced_in: dict[int, list[Pubkey]] = {}

    def __iter__(self) -> Iterator[tuple[Pubkey, Account]]:
        return iter(self._current.items())

    def get(self, address: Pubkey) -> Account | None:
        """The account as the newest slot has it."""
        return self._current.get(address)

    def at(self, address: Pubkey, slot: int) -> Account | None:
        """The account as it was at the end of `slot`, which must not lie before what `forget` was told."""
        for replaced_in, version in self._replaced.get(address, ()):
            if replaced_in > slot:
                return version
        return self._current.get(address)

    def write(self, address: Pubkey, account: Account | None, slot: int) -> None:
        """Make `account` the content from `slot` on. None, or an account without lamports, removes it."""
        if account is not None and account.lamports == 0:
            account = None
        before = self._current.get(address)
        self._remember(address, before, slot)
        if before is not None:
            self._addresses_by_owner[before.owner].discard(address)
        if account is None:
            self._current.pop(address, None)
        else:
            self._current[address] = account
            self._addresses_by_owner[account.owner].add(address)

    def owned_by(self, program: Pubkey, slot: int) -> Iterator[tuple[Pubkey, Account]]:
        """Each account that `program` owned at the end of `slot`."""
        for address in self._addresses_by_owner.get(program, set()) | self._replaced.keys():
            account = self.at(address, slot)
            if account is not None and account.owner == program:
                yield address, account

    def all_at(self, slot: int) -> Iterator[tuple[Pubkey, Account]]:
        """Each account that there was at the end of `slot`."""
        for address in self._current.keys() | self._replaced.keys():
            account = self.at(address, slot)
            if account is not None:
                yield address, account

    def changed_since(self, slot: int) -> frozenset[Pubkey]:
        """Every address that was written in a slot after `slot`."""
        return frozenset(address for later, written in self._replaced_in.items() if later > slot for address in written)

    def forget(self, slot: int) -> None:
        """Drop all versions that were replaced in `slot` or before."""
        for replaced_in in [past for past in self._replaced_in if past <= slot]:
            for address in self._replaced_in.pop(replaced_in):
                kept = [version for version in self._replaced.get(address, ()) if version[0] > slot]
                if kept:
                    self._replaced[address] = kept
                else:
                    self._replaced.pop(address, None)

    def _remember(self, address: Pubkey, before: Account | None, slot: int) -> None:
        versions = self._replaced.setdefault(address, [])
        # Of all writes in one slot only the first replaces what a reader of an earlier slot sees.
        if not versions or versions[-1][0] < slot:
            versions.append((slot, before))
            self._replaced_in.setdefault(slot, []).append(address)

"""Reads pools from the chain: all that they need, from one read and so from one slot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, ExecutionError, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, AccountsRead
from chalicelib.venues.venue import Pool, Venue

T = TypeVar("T")

# Each round names what the last one's accounts pointed to: pool, its vaults and mints, accounts further out, …
MAX_READS = 8


# Reads all accounts, each as of the same slot or a later one.
AccountReader = Callable[[Sequence[Pubkey]], AccountsRead]


class PoolReader:
    """Remembers only which accounts each pool needed last time: a pool that is known takes one read."""

    def __init__(self, read_accounts: AccountReader, max_reads: int = MAX_READS) -> None:
        self._read_accounts = read_accounts
        self._max_reads = max_reads
        self._needed: dict[Pubkey, frozenset[Pubkey]] = {}

    def read(
        self,
        pools: Iterable[tuple[Venue, Pubkey]],
        use: Callable[[AccountsRead], T],
        besides: frozenset[Pubkey] = frozenset(),
        read_accounts: AccountReader | None = None,
    ) -> T:
        """What `use` makes of one read that holds every account that `pools` need, and those named `besides`.

        Where `use` raises AccountsMissing, the missing ones are read too, and it is called again. Pools that have moved
        on, so that they need others than last time, are read again only where `use` can't do without those: the next
        read has them. `read_accounts` is asked in place of the reader's own.
        Raises VenueUnavailable where no read holds all that its own accounts ask for, and what `use` and reading raise.
        """
        listed = tuple(pools)
        known = all(pool in self._needed for _, pool in listed)
        wanted = besides.union(*(self._needed.get(pool, frozenset({pool})) for _, pool in listed))
        for _ in range(self._max_reads):
            read = (read_accounts or self._read_accounts)(sorted(wanted, key=bytes))
            needed = besides.union(*(self._needed_by(venue, pool, read.accounts) for venue, pool in listed))
            if not known and not needed <= read.accounts.keys():
                wanted = needed
                continue
            try:
                return use(read)
            except AccountsMissing as error:
                known = False
                wanted = wanted | needed | {Pubkey.from_string(address) for address in error.addresses}
        raise VenueUnavailable("the pools' accounts changed at every read")

    def needed(self, pool: Pubkey) -> frozenset[Pubkey] | None:
        """The accounts that the pool needed last time; None where it wasn't read yet."""
        return self._needed.get(pool)

    def _needed_by(self, venue: Venue, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        try:
            needed = venue.accounts_needed(pool, accounts)
        except ExecutionError:
            needed = frozenset({pool})  # decoding it says what is wrong
        self._needed[pool] = needed
        return needed


def read_pool(read_accounts: AccountReader, venue: Venue, pool: Pubkey) -> Pool:
    """The pool at `pool`, decoded. Raises VenueUnavailable, and what reading raises."""
    return PoolReader(read_accounts).read([(venue, pool)], lambda read: venue.decode(pool, read.accounts))

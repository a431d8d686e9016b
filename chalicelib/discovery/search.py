"""Finds pools on the chain: each venue's program is asked for accounts of a pool's size that have the mints. Pure.

Nothing that is found is believed: the node may have left the filters out, and whoever pays for it may make a pool. What
a pool is worth, and whether it is one, is for ranking.py to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.problems import PermanentError, RpcRefused, RpcUnavailable
from chalicelib.solana.accounts import Account, AccountsRead
from chalicelib.solana.rpc import AccountFilter
from chalicelib.venues.venue import Venue

# A search that finds more than this is not looked at: reading them all would take a node's pace for minutes.
MOST_POOLS = 5_000
_KEY_LENGTH = 32


class TooManyPools(PermanentError):
    """More pools were found than one search looks at."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"{found:,} pools were found, and a search looks at {MOST_POOLS:,} at most: "
            "name a pair, or add a pool by its address"
        )


class AccountsOnChain(Protocol):
    """What a search asks of a node; SolanaRpc and FailoverRpc can do it. Both methods raise what SolanaRpc's raise."""

    def get_program_accounts(self, program: Pubkey, wanted: AccountFilter, *, part: range) -> dict[Pubkey, Account]: ...

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that looks like a pool of these two mints, in the order in which it has them."""

    venue: Venue
    address: Pubkey
    mints: tuple[Pubkey, Pubkey]

    def other_than(self, mint: Pubkey) -> Pubkey:
        first, second = self.mints
        return second if first == mint else first


@dataclass(frozen=True, slots=True)
class Unsearched:
    """A program whose pools were not listed, and what the node said."""

    program: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """By address. Of an `unsearched` program only those are there whose addresses could be worked out."""

    pools: tuple[Candidate, ...]
    unsearched: tuple[Unsearched, ...]


def pools_of_pair(chain: AccountsOnChain, venues: Iterable[Venue], mint_a: Pubkey, mint_b: Pubkey) -> Candidates:
    """Every account that may be a pool of the two mints. Raises TooManyPools; RpcUnavailable, RpcRefused where the
    node answers nothing at all.
    """
    search = _Search(chain)
    for venue in venues:
        first, second = sorted((mint_a, mint_b), key=bytes)
        ways = [(first, second)] if venue.pool_account.mints_in_order else [(first, second), (second, first)]
        search.ask(venue, ways, {first, second})
    return search.results((mint_a, mint_b))


def pools_of_mint(chain: AccountsOnChain, venues: Iterable[Venue], mint: Pubkey) -> Candidates:
    """Every account that may be a pool of the mint and any other. Raises as `pools_of_pair`."""
    search = _Search(chain)
    for venue in venues:
        search.ask(venue, [(mint, None), (None, mint)], {mint})
    return search.results(None)


class _Search:
    def __init__(self, chain: AccountsOnChain) -> None:
        self._chain = chain
        self._found: dict[Pubkey, Candidate] = {}
        self._unsearched: list[tuple[Venue, RpcUnavailable | RpcRefused]] = []

    def ask(self, venue: Venue, ways: Sequence[tuple[Pubkey | None, Pubkey | None]], wanted: set[Pubkey]) -> None:
        """List the venue's pools whose first and second mints are as one of `ways` has them."""
        form = venue.pool_account
        mints_at = range(form.mints_offset, form.mints_offset + 2 * _KEY_LENGTH)
        told_apart = ((0, form.discriminator),) if form.discriminator else ()
        for way in ways:
            matches = tuple(
                (form.mints_offset + place * _KEY_LENGTH, bytes(mint))
                for place, mint in enumerate(way)
                if mint is not None
            )
            try:
                accounts = self._chain.get_program_accounts(
                    venue.program_id, AccountFilter(form.length, told_apart + matches), part=mints_at
                )
            except (RpcUnavailable, RpcRefused) as error:
                self._unsearched.append((venue, error))
                return
            for address, account in accounts.items():
                self._take(venue, address, account, wanted)

    def results(self, pair: tuple[Pubkey, Pubkey] | None) -> Candidates:
        """What was found; of programs that could not be searched, what there is at derived addresses of the `pair`."""
        if pair is not None:
            self._look_at_derived(pair)
        pools = sorted(self._found.values(), key=lambda one: bytes(one.address))
        return Candidates(tuple(pools), tuple(Unsearched(venue.program, str(why)) for venue, why in self._unsearched))

    def _take(self, venue: Venue, address: Pubkey, account: Account, wanted: set[Pubkey]) -> None:
        if account.owner != venue.program_id or len(account.data) != 2 * _KEY_LENGTH:
            return
        mints = Pubkey(account.data[:_KEY_LENGTH]), Pubkey(account.data[_KEY_LENGTH:])
        if mints[0] == mints[1] or not wanted <= set(mints):
            return
        self._found[address] = Candidate(venue, address, mints)
        if len(self._found) > MOST_POOLS:
            raise TooManyPools(len(self._found))

    def _look_at_derived(self, pair: tuple[Pubkey, Pubkey]) -> None:
        derived = {address: venue for venue, _ in self._unsearched for address in venue.derived_pools(*pair)}
        if not derived:
            return
        for address, account in self._chain.get_multiple_accounts(list(derived)).accounts.items():
            venue = derived[address]
            form = venue.pool_account
            if account is not None and len(account.data) == (form.length or len(account.data)):
                mints = account.data[form.mints_offset : form.mints_offset + 2 * _KEY_LENGTH]
                self._take(venue, address, Account(account.owner, account.lamports, mints), set(pair))

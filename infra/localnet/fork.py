"""Pools and programs taken from a running cluster, so that the localnet goes on from where they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from sys import maxsize

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, AccountsRead, ChainClock
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.venues.pool_reader import PoolReader, read_pool
from chalicelib.venues.venue import PoolQuote, Venue

_UPGRADEABLE_LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
# UpgradeableLoaderState: a program is a u32 tag and its data's address; program data begins with 45 bytes of header.
_PROGRAM_DATA_ADDRESS = slice(4, 36)
_PROGRAM_DATA_HEADER = 45
# More than any pool holds, so that a quote walks through all of its accounts.
_EVERYTHING = (1 << 63) - 1
_NOBODY = Pubkey.default()


class ForkError(Exception):
    """The cluster does not have what is to be taken from it."""


@dataclass(frozen=True, slots=True)
class Fork:
    """`programs` are bytecode; the clock is the cluster's."""

    clock: ChainClock
    accounts: dict[Pubkey, Account]
    programs: dict[Pubkey, bytes]
    # Address and program of each pool.
    pools: tuple[tuple[Pubkey, Pubkey], ...] = field(default=())

    def mints(self, venues: Iterable[Venue]) -> frozenset[Pubkey]:
        """What the pools trade."""
        by_program = {venue.program_id: venue for venue in venues}
        return frozenset(
            mint for pool, program in self.pools for mint in by_program[program].mints(pool, self.accounts)
        )


def take(rpc: SolanaRpc, venues: Sequence[Venue], pools: Sequence[Pubkey], others: Sequence[Pubkey]) -> Fork:
    """Read `pools` with all that swaps on them need, their programs, and `others`.

    Raises ForkError, RpcUnavailable, RpcRefused.
    """
    return _Taker(rpc, venues).take(pools, others)


class _Taker:
    def __init__(self, rpc: SolanaRpc, venues: Sequence[Venue]) -> None:
        self._rpc = rpc
        self._venues = {venue.program_id: venue for venue in venues}
        self._accounts: dict[Pubkey, Account | None] = {}

    def take(self, pools: Sequence[Pubkey], others: Sequence[Pubkey]) -> Fork:
        self._read([CLOCK_SYSVAR, *pools, *others])
        clock_account = self._accounts.pop(CLOCK_SYSVAR)
        if clock_account is None:
            raise ForkError("the cluster has no clock")
        clock = ChainClock.decode(clock_account.data)
        taken = []
        programs: set[Pubkey] = set()
        for address in pools:
            venue = self._venue_of(address)
            self._take_pool(address, venue, clock)
            taken.append((address, venue.program_id))
            programs |= {refusals.program_id for refusals in venue.refusals}  # with those that it calls
        bytecode = self._programs(programs)
        self._accounts.pop(CLOCK_SYSVAR, None)  # the fork has a clock of its own
        present = {address: account for address, account in self._accounts.items() if account is not None}
        return Fork(clock, present, bytecode, tuple(taken))

    def _venue_of(self, pool: Pubkey) -> Venue:
        account = self._accounts[pool]
        if account is None:
            raise ForkError(f"the cluster has no account {pool}")
        if account.owner not in self._venues:
            raise ForkError(f"{pool} is owned by {account.owner}, which is no known swap program")
        return self._venues[account.owner]

    def _take_pool(self, address: Pubkey, venue: Venue, clock: ChainClock) -> None:
        pool = read_pool(self._accounts_read, venue, address)
        for side, other in (pool.sides, pool.sides[::-1]):
            quote = PoolQuote(address, side.mint, other.mint, 1, 1, 0, side.mint)
            swap = pool.swap_instruction(quote, trader=_NOBODY, source=_NOBODY, destination=_NOBODY, minimum_out=0)
            self._read([meta.pubkey for meta in swap.accounts if meta.pubkey not in (_NOBODY, swap.program_id)])
            self._walk(address, venue, side.mint, clock)

    def _walk(self, address: Pubkey, venue: Venue, mint_in: Pubkey, clock: ChainClock) -> None:
        """Read whatever a swap of any size could come to."""

        def quote(read: AccountsRead) -> PoolQuote:
            return venue.decode(address, read.accounts).quote(mint_in, _EVERYTHING, clock)

        with suppress(ExecutionError):  # nothing is left to walk into, or the pool is closed
            PoolReader(self._accounts_read, max_reads=maxsize).read([(venue, address)], quote)

    def _accounts_read(self, addresses: Sequence[Pubkey]) -> AccountsRead:
        """All that was read so far, these accounts among them."""
        self._read(addresses)
        return AccountsRead(0, self._accounts)

    def _programs(self, addresses: Iterable[Pubkey]) -> dict[Pubkey, bytes]:
        """The bytecode of those that are real programs there; what another localnet emulates has none."""
        self._read(addresses)
        programs = {}
        for address in addresses:
            account = self._accounts.pop(address)
            if account is None or account.owner != _UPGRADEABLE_LOADER:
                continue
            data_address = Pubkey(account.data[_PROGRAM_DATA_ADDRESS])
            self._read([data_address])
            data = self._accounts.pop(data_address)
            if data is None:
                raise ForkError(f"the data of program {address} is missing")
            programs[address] = data.data[_PROGRAM_DATA_HEADER:]
        return programs

    def _read(self, addresses: Iterable[Pubkey]) -> None:
        wanted = [address for address in addresses if address not in self._accounts]
        if wanted:
            self._accounts.update(self._rpc.get_multiple_accounts(wanted).accounts)

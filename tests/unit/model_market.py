"""A market of the simplest pools there are, on a chain that counts how often it is read.

A pool's account names its vault, the vault names an array, and only the array holds the reserves: as deep as real
pools' accounts lie. Output is that of a constant product without fees, rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    VenueUnavailable,
)
from chalicelib.routing.market import Market
from chalicelib.routing.router import PairPools, Route, RouteLimits, best_routes
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountMap, AccountsRead, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.program_errors import ProgramRefusals
from chalicelib.solana.tokens import TOKEN_PROGRAM
from chalicelib.venues.pool_accounts import account_at
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM = Pubkey(bytes([77] * 32))
CLOCK = ChainClock(slot=1_000, epoch=5, unix_timestamp=1_760_000_000)

_POOL = Struct("<32s32s32s")  # two mints, the vault
_ARRAY = Struct("<QQ")  # reserves
_CLOCK = Struct("<QqQQq")


def address(number: int) -> Pubkey:
    """The same for the same number, and in the numbers' order."""
    return Pubkey(number.to_bytes(32, "big"))


# The token that the market values orders in.
REFERENCE = address(4)


@dataclass(frozen=True)
class ModelPool:
    """A decoded pool. Quotes above `near` need the accounts `far`, of which `missing` weren't read."""

    address: Pubkey
    mints: tuple[Pubkey, Pubkey]
    reserves: tuple[int, int]
    program: str = "model-program"
    dex: str = "model"
    refusal: ExecutionError | None = None
    near: int = 2**64
    missing: tuple[Pubkey, ...] = ()
    compute_units: int = 10_000
    remaining: int = 0

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        first, second = (TokenSide(mint, TOKEN_PROGRAM, 6, address(9_000)) for mint in self.mints)
        return first, second

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        reserve_in, reserve_out = self._towards(mint_in)
        return Fraction(reserve_out, reserve_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        assert clock == CLOCK, "a pool is asked about the moment of the read"
        assert isinstance(amount_in, int), "amounts are whole base units"
        if self.refusal is not None:
            raise self.refusal
        if amount_in > self.near and self.missing:
            raise AccountsMissing(str(key) for key in self.missing)
        reserve_in, reserve_out = self._towards(mint_in)
        if amount_in > 10 * reserve_in:
            raise InsufficientLiquidity("the model pool takes no more than ten times what it holds")
        amount_out = reserve_out * amount_in // (reserve_in + amount_in)
        if not amount_out:
            raise AmountTooSmall("nothing would be paid")
        return PoolQuote(
            pool=self.address,
            mint_in=mint_in,
            mint_out=self.mints[1] if mint_in == self.mints[0] else self.mints[0],
            amount_in=amount_in,
            amount_out=amount_out,
            fee=0,
            fee_mint=mint_in,
            remaining_accounts=tuple(address(8_000 + number) for number in range(self.remaining)),
            compute_units=self.compute_units,
        )

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        return ceil(self.mid_price(mint_in)) + 1

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        accounts = [AccountMeta(key, False, True) for key in (self.address, source, destination)]
        data = quote.amount_in.to_bytes(8, "little") + minimum_out.to_bytes(8, "little")
        return Instruction(PROGRAM, data, [AccountMeta(trader, True, True), *accounts])

    def _towards(self, mint_in: Pubkey) -> tuple[int, int]:
        if mint_in not in self.mints:
            raise ValueError(f"{mint_in} is not traded here")
        first, second = self.reserves
        return (first, second) if mint_in == self.mints[0] else (second, first)


class ModelVenue:
    """The model's program. `far` is what its pools ask for besides, once an amount is above `near`."""

    program = "model-program"
    dex = "model"
    program_id = PROGRAM
    refusals: tuple[ProgramRefusals, ...] = ()
    pool_account = PoolAccount(None, b"", 0)

    def __init__(self, near: int = 2**64, far: Iterable[Pubkey] = ()) -> None:
        self.near = near
        self.far = tuple(far)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        return ()

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        first, second, _ = self._pool(pool, accounts)
        return first, second

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        needed = {pool}
        if accounts.get(pool) is not None:
            vault = self._pool(pool, accounts)[2]
            needed.add(vault)
            account = accounts.get(vault)
            if account is not None:
                needed.add(Pubkey(account.data))
        return frozenset(needed)

    def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
        first, second, vault = self._pool(pool, accounts)
        vault_account = accounts[vault]
        if vault_account is None:
            raise VenueUnavailable(f"{pool} has no vault")
        array = account_at(Pubkey(vault_account.data), accounts)
        if array is None:
            raise VenueUnavailable(f"{pool} has no array")
        missing = tuple(key for key in self.far if key not in accounts)
        return ModelPool(pool, (first, second), _ARRAY.unpack(array.data), near=self.near, missing=missing)

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        raise NotOurSwap("nobody signs a swap of the model's")

    def _pool(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey, Pubkey]:
        account = accounts.get(pool)
        if account is None or account.owner != PROGRAM:
            raise VenueUnavailable(f"{pool} is no pool of the model program")
        first, second, vault = (Pubkey(part) for part in _POOL.unpack(account.data))
        return first, second, vault


@dataclass
class ModelChain:
    """Accounts that a test writes; every read is noted, and is of a slot of its own."""

    accounts: dict[Pubkey, Account] = field(default_factory=dict)
    reads: list[frozenset[Pubkey]] = field(default_factory=list)
    entries: list[PoolEntry] = field(default_factory=list)
    now_ms: int = 0
    loads: int = 0
    # how many slots newer the chain is known to be than what is read, and for how long it has been
    lag_slots: int = 0
    age_ms: int | None = 0

    def __post_init__(self) -> None:
        self.accounts[CLOCK_SYSVAR] = account(
            _CLOCK.pack(CLOCK.slot, 0, CLOCK.epoch, 0, CLOCK.unix_timestamp), owner=SYSVAR_OWNER
        )

    def add_pool(
        self, number: int, mints: tuple[Pubkey, Pubkey], reserves: tuple[int, int], *, registered: bool = True
    ) -> Pubkey:
        """A pool whose accounts have the addresses 100·number … 100·number + 2."""
        pool, vault, array = (address(100 * number + offset) for offset in range(3))
        self.accounts[pool] = account(_POOL.pack(bytes(mints[0]), bytes(mints[1]), bytes(vault)))
        self.accounts[vault] = account(bytes(array))
        self.accounts[array] = account(_ARRAY.pack(*reserves))
        if registered:
            self.register(pool)
        return pool

    def register(self, pool: Pubkey) -> None:
        self.entries.append(PoolEntry(str(pool), str(PROGRAM)))

    def move_array(self, number: int) -> None:
        """The pool's reserves move into another account, as DLMM's active bin does."""
        vault, old, new = (address(100 * number + offset) for offset in (1, 2, 3))
        self.accounts[new] = self.accounts.pop(old)
        self.accounts[vault] = account(bytes(new))

    def set_reserves(self, number: int, reserves: tuple[int, int]) -> None:
        self.accounts[address(100 * number + 2)] = account(_ARRAY.pack(*reserves))

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        wanted = frozenset(addresses)
        self.reads.append(wanted)
        slot = len(self.reads)
        accounts = {key: self.accounts.get(key) for key in wanted}
        return AccountsRead(slot, accounts, slot + self.lag_slots, self.age_ms)

    def load(self) -> list[PoolEntry]:
        self.loads += 1
        return list(self.entries)

    def registry(self, *venues: ModelVenue, max_age_ms: int = 30_000) -> PoolRegistry:
        return PoolRegistry(
            self.load,
            lambda addresses: self.get_multiple_accounts(addresses).accounts,
            venues or (ModelVenue(),),
            lambda: self.now_ms,
            max_age_ms,
        )


def account(data: bytes, owner: Pubkey = PROGRAM) -> Account:
    return Account(owner=owner, lamports=1, data=data)


def market_of(chain: ModelChain, venue: ModelVenue | None = None) -> Market:
    """The market of the chain's pools, which values orders in REFERENCE."""
    return Market(chain, chain.registry(venue or ModelVenue()), lambda: chain.now_ms, REFERENCE)


def best_route(pools: PairPools, amount: int, limits: RouteLimits) -> Route:
    """The best of all ways. Raises what best_routes raises."""
    return best_routes(pools, amount, limits)[0]


def pool_like(pool: ModelPool, **changes: object) -> ModelPool:
    return replace(pool, **changes)  # type: ignore[arg-type]

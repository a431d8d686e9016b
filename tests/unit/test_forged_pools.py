"""Made-up pools can't be traded: not an account of another program, not one that names an attacker's accounts.

Each forgery is a real pool of the genesis builders with one thing changed, priced by the market as an order would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from struct import Struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, ExecutionError, VenueUnavailable
from chalicelib.routing.market import Market
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountsRead
from chalicelib.solana.token_symbol import symbol_of
from chalicelib.solana.tokens import (
    EXTENSIONS_OFFSET,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    InvalidTokenData,
    Mint,
    TokenAccount,
)
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm import layout as dlmm
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_cpmm import layout as cpmm
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from chalicelib.venues.registry import MAX_POOLS_PER_PAIR, PoolEntry, PoolRegistry
from chalicelib.venues.venue import Venue
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.meteora_dlmm_pool import genesis_pool as dlmm_pool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from infra.localnet.programs.raydium_cpmm_pool import genesis_pool as cpmm_pool
from infra.localnet.programs.token_accounts import mint_account, token_account
from tests.unit.routing_pools import CLOCK

ATTACKER = Pubkey(bytes([66] * 32))
MINTS = (Mint(Pubkey(bytes([3] * 32)), TOKEN_PROGRAM, 9), Mint(Pubkey(bytes([4] * 32)), TOKEN_PROGRAM, 6))
IN, OUT = MINTS
AMOUNT = 1_000_000
# Where raydium_cpmm.py and meteora_dlmm_layout.py read the addresses that a pool names.
CPMM_CONFIG, CPMM_VAULT_0, CPMM_VAULT_1, CPMM_MINT_1, CPMM_PROGRAM_0, CPMM_OBSERVATION = 8, 72, 104, 200, 232, 296
DLMM_MINT_Y, DLMM_RESERVE_X, DLMM_RESERVE_Y, DLMM_ORACLE, DLMM_PROGRAM_FLAG_X = 120, 152, 184, 552, 880
BIN_ARRAY_INDEX, BIN_ARRAY_PAIR = 8, 24


@dataclass
class Chain:
    """Accounts that anybody may have written, and a registry that lists pools among them."""

    accounts: dict[Pubkey, Account] = field(default_factory=dict)
    entries: list[PoolEntry] = field(default_factory=list)
    most_read: int = 0

    def __post_init__(self) -> None:
        clock = Struct("<QqQQq").pack(CLOCK.slot, 0, CLOCK.epoch, 0, CLOCK.unix_timestamp)
        self.accounts[CLOCK_SYSVAR] = Account(SYSVAR_OWNER, 1, clock)
        self.accounts |= {mint.address: mint_account(mint, supply=10**18, authority=None) for mint in MINTS}

    def add(self, pool: GenesisPool, program: Pubkey) -> None:
        self.accounts |= pool.accounts
        self.entries.append(PoolEntry(str(pool.address), str(program)))

    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        wanted = list(addresses)
        self.most_read = max(self.most_read, len(wanted))
        return AccountsRead(1, {address: self.accounts.get(address) for address in wanted})

    def pays(self) -> int:
        """What the best route pays. Raises ExecutionError."""
        registry = PoolRegistry(
            lambda: self.entries,
            lambda addresses: self.get_multiple_accounts(addresses).accounts,
            supported.VENUES,
            lambda: 0,
        )
        market = Market(self, registry, lambda: 0)
        return market.price(IN.address, OUT.address, AMOUNT, leg_lamports=0).route.amount_out

    def change(self, address: Pubkey, offset: int, value: bytes) -> None:
        account = self.accounts[address]
        data = account.data[:offset] + value + account.data[offset + len(value) :]
        self.accounts[address] = replace(account, data=data)


def cpmm_genesis(number: int = 0, *, generous: int = 1) -> GenesisPool:
    reserves = (10**12, generous * 10**12)
    return cpmm_pool(CpmmPoolSpec(mints=MINTS, reserves=reserves, config_index=number))


def dlmm_genesis(number: int = 0) -> GenesisPool:
    liquidity = dict.fromkeys(range(-100, 0), (0, 10**9)) | {0: (10**9, 10**9)}
    spec = DlmmPoolSpec(
        mint_x=IN, mint_y=OUT, bin_step=1, active_id=0, base_factor=10_000 + number, liquidity=liquidity
    )
    return dlmm_pool(spec)


CPMM, DLMM = cpmm_genesis(), dlmm_genesis()
CPMM_VAULTS = [Pubkey(CPMM.accounts[CPMM.address].data[at : at + 32]) for at in (CPMM_VAULT_0, CPMM_VAULT_1)]
CPMM_CONFIG_ADDRESS = Pubkey(CPMM.accounts[CPMM.address].data[CPMM_CONFIG : CPMM_CONFIG + 32])
ARRAYS = [dlmm.bin_array_address(DLMM.address, index) for index in (0, -1, -2)]

Forgery = Callable[[Chain], None]


def owned_by_another_program(address: Pubkey) -> Forgery:
    def forge(chain: Chain) -> None:
        chain.accounts[address] = replace(chain.accounts[address], owner=ATTACKER)

    return forge


def changed(address: Pubkey, offset: int, value: bytes) -> Forgery:
    return lambda chain: chain.change(address, offset, value)


def all_of(forgeries: Iterable[Forgery]) -> Forgery:
    several = tuple(forgeries)

    def forge(chain: Chain) -> None:
        for each in several:
            each(chain)

    return forge


def longer(address: Pubkey, by: int) -> Forgery:
    def forge(chain: Chain) -> None:
        account = chain.accounts[address]
        chain.accounts[address] = replace(account, data=(account.data + bytes(8))[: len(account.data) + by])

    return forge


def with_another_vault(side: int, mint: Mint, owner: Pubkey) -> Forgery:
    """The pool names a token account of the attacker's choice, filled as never a vault was."""

    def forge(chain: Chain) -> None:
        chain.accounts[ATTACKER] = token_account(mint, owner, 10**18)
        chain.change(CPMM.address, (CPMM_VAULT_0, CPMM_VAULT_1)[side], bytes(ATTACKER))

    return forge


def vault_holds(mint: Mint, owner: Pubkey) -> Forgery:
    def forge(chain: Chain) -> None:
        chain.accounts[CPMM_VAULTS[1]] = token_account(mint, owner, 10**18)

    return forge


def with_a_config_of_its_own(chain: Chain) -> None:
    """A config with no fees, which even the program could own: at an address that isn't derived from its index."""
    chain.accounts[ATTACKER] = chain.accounts[CPMM_CONFIG_ADDRESS]
    chain.change(CPMM.address, CPMM_CONFIG, bytes(ATTACKER))


CPMM_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(CPMM.address),
    "another discriminator": changed(CPMM.address, 0, bytes(8)),
    "a byte too many": longer(CPMM.address, 1),
    "a byte too few": longer(CPMM.address, -1),
    "an attacker's input vault": with_another_vault(0, IN, ATTACKER),
    "an attacker's output vault": with_another_vault(1, OUT, ATTACKER),
    "an output vault of the program's authority that isn't the pool's": with_another_vault(1, OUT, cpmm.AUTHORITY),
    "the same vault twice": changed(CPMM.address, CPMM_VAULT_1, bytes(CPMM_VAULTS[0])),
    "a vault that somebody else may spend from": vault_holds(OUT, ATTACKER),
    "a vault of another mint": vault_holds(IN, cpmm.AUTHORITY),
    "a vault of another program": owned_by_another_program(CPMM_VAULTS[1]),
    "another observation account": changed(CPMM.address, CPMM_OBSERVATION, bytes(ATTACKER)),
    "a config of its own": with_a_config_of_its_own,
    "a config of another program": owned_by_another_program(CPMM_CONFIG_ADDRESS),
    "a config of another index": changed(CPMM_CONFIG_ADDRESS, 10, b"\x07\x00"),
    "another token program": changed(CPMM.address, CPMM_PROGRAM_0, bytes(TOKEN_2022_PROGRAM)),
    "a mint of another program": owned_by_another_program(OUT.address),
}
DLMM_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(DLMM.address),
    "another discriminator": changed(DLMM.address, 0, bytes(8)),
    "a byte too many": longer(DLMM.address, 1),
    "a byte too few": longer(DLMM.address, -1),
    "an attacker's reserve of X": changed(DLMM.address, DLMM_RESERVE_X, bytes(ATTACKER)),
    "an attacker's reserve of Y": changed(DLMM.address, DLMM_RESERVE_Y, bytes(ATTACKER)),
    "another oracle": changed(DLMM.address, DLMM_ORACLE, bytes(ATTACKER)),
    "another token program": changed(DLMM.address, DLMM_PROGRAM_FLAG_X, b"\x01"),
    "bin arrays of another program": all_of(owned_by_another_program(array) for array in ARRAYS),
    "bin arrays of another pair": all_of(changed(array, BIN_ARRAY_PAIR, bytes(ATTACKER)) for array in ARRAYS),
    "bin arrays of another index": all_of(changed(array, BIN_ARRAY_INDEX, b"\x09") for array in ARRAYS),
    "bin arrays with another discriminator": all_of(changed(array, 0, bytes(8)) for array in ARRAYS),
    "a mint of another program": owned_by_another_program(OUT.address),
}
FORGERIES = [
    *(pytest.param(CPMM, cpmm.PROGRAM_ID, forge, id=f"CPMM: {name}") for name, forge in CPMM_FORGERIES.items()),
    *(pytest.param(DLMM, dlmm.PROGRAM_ID, forge, id=f"DLMM: {name}") for name, forge in DLMM_FORGERIES.items()),
]


@pytest.mark.parametrize(("pool", "program"), [(CPMM, cpmm.PROGRAM_ID), (DLMM, dlmm.PROGRAM_ID)])
def test_the_real_pool_is_traded(pool: GenesisPool, program: Pubkey) -> None:
    chain = Chain()
    chain.add(pool, program)
    assert chain.pays() > 0


@pytest.mark.parametrize(("pool", "program", "forge"), FORGERIES)
def test_a_forged_pool_is_not_traded(pool: GenesisPool, program: Pubkey, forge: Forgery) -> None:
    chain = Chain()
    chain.add(pool, program)
    forge(chain)
    with pytest.raises(ExecutionError):
        chain.pays()


@pytest.mark.parametrize(("pool", "program", "forge"), [each for each in FORGERIES if "mint" not in str(each.id)])
def test_a_forged_pool_leaves_the_order_to_an_honest_one(pool: GenesisPool, program: Pubkey, forge: Forgery) -> None:
    honest = Chain()
    honest.add(cpmm_genesis(1), cpmm.PROGRAM_ID)
    both = Chain()
    both.add(pool, program)
    both.add(cpmm_genesis(1), cpmm.PROGRAM_ID)
    forge(both)
    assert both.pays() == honest.pays()


def test_a_pool_listed_under_the_other_program_is_none() -> None:
    chain = Chain()
    chain.add(CPMM, dlmm.PROGRAM_ID)
    chain.add(DLMM, cpmm.PROGRAM_ID)
    with pytest.raises(ExecutionError):
        chain.pays()


def test_a_pool_of_a_program_that_is_not_ours_is_none_however_it_looks() -> None:
    chain = Chain()
    chain.add(CPMM, ATTACKER)
    owned_by_another_program(CPMM.address)(chain)
    with pytest.raises(ExecutionError):
        chain.pays()


def test_of_a_pair_with_very_many_pools_only_so_many_are_read() -> None:
    chain = Chain()
    for number in range(MAX_POOLS_PER_PAIR + 20):
        chain.add(cpmm_genesis(number), cpmm.PROGRAM_ID)
    chain.pays()
    chain.most_read = 0
    registered = PoolRegistry(
        lambda: chain.entries,
        lambda wanted: chain.get_multiple_accounts(wanted).accounts,
        (RaydiumCpmmVenue(),),
        lambda: 0,
    ).for_pair(IN.address, OUT.address)
    assert [str(pool.address) for pool in registered] == [entry.address for entry in chain.entries[:MAX_POOLS_PER_PAIR]]


# --- whatever the bytes are ---------------------------------------------------------------------------------------


@st.composite
def corrupted(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a few bytes changed anywhere, cut, or lengthened."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        # what a swap computes with stands mostly at the front
        offset = draw(st.integers(0, len(changed) - 1) | st.integers(0, min(250, len(changed) - 1)))
        value = draw(st.binary(min_size=1, max_size=16) | st.sampled_from([b"\xff" * 8, bytes(8), b"\x80" + bytes(7)]))
        changed[offset : offset + len(value)] = value
    length = draw(st.just(len(data)) | st.integers(0, len(data) + 8))
    return bytes(changed).ljust(length, b"\0")[:length]


def trade(venue: Venue, pool: GenesisPool, accounts: dict[Pubkey, Account | None], amount: int) -> None:
    """All that an order asks of a pool. Raises only what it is allowed to: ExecutionError."""
    needed = {pool.address: accounts[pool.address]}
    for _ in range(4):
        try:
            for address in venue.accounts_needed(pool.address, needed):
                needed.setdefault(address, accounts.get(address))
            decoded = venue.decode(pool.address, needed)
            for side in decoded.sides:
                decoded.mid_price(side.mint)
                quote = decoded.quote(side.mint, amount, CLOCK)
                assert 0 < quote.amount_out < 2**64
                decoded.swap_instruction(
                    quote, trader=ATTACKER, source=ATTACKER, destination=ATTACKER, minimum_out=quote.amount_out
                )
            return
        except AccountsMissing as missing:
            needed |= {Pubkey.from_string(each): accounts.get(Pubkey.from_string(each)) for each in missing.addresses}
        except ExecutionError:
            return


def whole(pool: GenesisPool) -> dict[Pubkey, Account | None]:
    return {**pool.accounts, **{mint.address: mint_account(mint, supply=10**18, authority=None) for mint in MINTS}}


@pytest.mark.parametrize(
    ("venue", "pool"), [(RaydiumCpmmVenue(), CPMM), (MeteoraDlmmVenue(), DLMM)], ids=["CPMM", "DLMM"]
)
def test_no_bytes_whatever_of_any_of_a_pools_accounts_are_a_surprise(venue: Venue, pool: GenesisPool) -> None:
    @given(st.data(), st.sampled_from([1, AMOUNT, 2**64 - 1]))
    @settings(max_examples=400, deadline=None)
    def traded(data: st.DataObject, amount: int) -> None:
        accounts = whole(pool)
        for address in data.draw(st.sets(st.sampled_from([pool.address, *accounts]), min_size=1, max_size=2)):
            account = accounts[address]
            assert account is not None
            accounts[address] = replace(account, data=data.draw(corrupted(account.data)))
        trade(venue, pool, accounts, amount)

    traded()


EXTENDED = bytes(82) + bytes(83) + b"\x01" + b"\x01\x00" + (108).to_bytes(2, "little") + bytes(108)


@given(
    st.sampled_from([TOKEN_PROGRAM, TOKEN_2022_PROGRAM, ATTACKER]),
    corrupted(EXTENDED) | corrupted(mint_account(IN, supply=1, authority=None).data) | st.binary(max_size=400),
    st.binary(max_size=300),
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_whatever_of_a_mint_or_token_account_are_a_surprise(owner: Pubkey, data: bytes, tail: bytes) -> None:
    for content in (data, data[:EXTENSIONS_OFFSET].ljust(EXTENSIONS_OFFSET, b"\1") + tail):
        account = Account(owner, 1, content)
        symbol = symbol_of(account)
        assert symbol is None or (symbol.isascii() and symbol.isalnum())
        for decode in (lambda each: Mint.decode(IN.address, each), TokenAccount.decode):
            try:
                decode(account)
            except InvalidTokenData as error:
                assert str(error).isprintable()  # noqa: PT017 - either is allowed


def test_what_is_refused_says_why() -> None:
    chain = Chain()
    chain.add(DLMM, dlmm.PROGRAM_ID)
    chain.change(DLMM.address, DLMM_ORACLE, bytes(ATTACKER))
    with pytest.raises(VenueUnavailable, match="not its own"):
        MeteoraDlmmVenue().mints(DLMM.address, chain.accounts)

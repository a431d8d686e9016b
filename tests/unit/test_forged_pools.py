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
from chalicelib.routing.candidates import MAX_CANDIDATES
from chalicelib.routing.market import MAX_ACCOUNTS, Market
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
from chalicelib.venues.meteora_damm_v1 import layout as damm_v1
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Venue
from chalicelib.venues.meteora_damm_v2 import layout as damm_v2
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Venue
from chalicelib.venues.meteora_dlmm import layout as dlmm
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_amm_v4 import layout as amm_v4
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Venue
from chalicelib.venues.raydium_clmm import layout as clmm
from chalicelib.venues.raydium_clmm.math import sqrt_price_at
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmVenue
from chalicelib.venues.raydium_cpmm import layout as cpmm
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from chalicelib.venues.venue import Venue
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec, StableSpec, VaultSpec
from infra.localnet.programs.meteora_damm_v1_pool import genesis_pool as damm_v1_pool
from infra.localnet.programs.meteora_damm_v2_pool import DammV2PoolSpec, dynamic_fee
from infra.localnet.programs.meteora_damm_v2_pool import genesis_pool as damm_v2_pool
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.meteora_dlmm_pool import genesis_pool as dlmm_pool
from infra.localnet.programs.raydium_amm_v4_pool import AmmV4PoolSpec
from infra.localnet.programs.raydium_amm_v4_pool import genesis_pool as amm_v4_pool
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition
from infra.localnet.programs.raydium_clmm_pool import genesis_pool as clmm_pool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from infra.localnet.programs.raydium_cpmm_pool import genesis_pool as cpmm_pool
from infra.localnet.programs.token_accounts import mint_account, token_account
from tests.unit.routing_pools import CLOCK

ATTACKER = Pubkey(bytes([66] * 32))
MINTS = (Mint(Pubkey(bytes([3] * 32)), TOKEN_PROGRAM, 9), Mint(Pubkey(bytes([4] * 32)), TOKEN_PROGRAM, 6))
IN, OUT = MINTS
AMOUNT = 1_000_000
# Where the venues' layouts read the addresses that a pool names.
CPMM_CONFIG, CPMM_VAULT_0, CPMM_VAULT_1, CPMM_MINT_1, CPMM_PROGRAM_0, CPMM_OBSERVATION = 8, 72, 104, 200, 232, 296
DLMM_MINT_Y, DLMM_RESERVE_X, DLMM_RESERVE_Y, DLMM_ORACLE, DLMM_PROGRAM_FLAG_X = 120, 152, 184, 552, 880
BIN_ARRAY_INDEX, BIN_ARRAY_PAIR = 8, 24
DAMM_V2_MINT_B, DAMM_V2_VAULT_A, DAMM_V2_VAULT_B, DAMM_V2_TOKEN_FLAG_A = 200, 232, 264, 482
DAMM_V2_BASE_FEE_MODE, DAMM_V2_COLLECT_FEE_MODE, DAMM_V2_FEE_VERSION, DAMM_V2_LAYOUT_VERSION = 16, 484, 486, 696
DAMM_V2_STATUS, DAMM_V2_ACTIVATION_TYPE = 481, 480
CLMM_CONFIG, CLMM_VAULT_0, CLMM_VAULT_1, CLMM_OBSERVATION, CLMM_SPACING = 9, 137, 169, 201, 235
TICK_ARRAY_POOL, TICK_ARRAY_START = 8, 40
AMM_V4_NONCE, AMM_V4_FEE_DENOMINATOR, AMM_V4_COIN_VAULT, AMM_V4_PC_VAULT, AMM_V4_PC_MINT = 8, 184, 336, 368, 432
DAMM_V1_MINT_B, DAMM_V1_VAULT_A, DAMM_V1_VAULT_B, DAMM_V1_LP_A, DAMM_V1_LP_B = 72, 104, 136, 168, 200
DAMM_V1_CURVE, DAMM_V1_DEPEG, DAMM_V1_ACTIVATION_TYPE = 874, 916, 475
VAULT_TOKEN_VAULT, VAULT_MINT, VAULT_LP_MINT = 19, 83, 115


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
        market = Market(self, self.registry(), lambda: 0)
        return market.price(IN.address, OUT.address, AMOUNT, leg_lamports=0).route.amount_out

    def registry(self) -> PoolRegistry:
        return PoolRegistry(
            lambda: self.entries,
            lambda addresses: self.get_multiple_accounts(addresses).accounts,
            supported.VENUES,
            lambda: 0,
        )

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


def damm_v2_genesis() -> GenesisPool:
    spec = DammV2PoolSpec(mints=MINTS, liquidity=10**12 << 64, dynamic_fee=dynamic_fee(volatility_accumulator=70_000))
    return damm_v2_pool(spec)


def clmm_genesis() -> GenesisPool:
    positions = (ClmmPosition(-100, 50, 10**12), ClmmPosition(-900, -100, 10**12))
    spec = ClmmPoolSpec(
        mint_0=IN, mint_1=OUT, config_index=1, tick_spacing=1, sqrt_price=sqrt_price_at(7), positions=positions
    )
    return clmm_pool(spec)


def damm_v1_genesis(curve: StableSpec | None = None) -> GenesisPool:
    vault = VaultSpec(total=10**13, lp_supply=9 * 10**12, reserve=10**13)
    return damm_v1_pool(DammV1PoolSpec(mints=MINTS, vaults=(vault, vault), pool_lp=(10**12, 10**12), curve=curve))


CPMM, DLMM, CLMM, DAMM_V2 = cpmm_genesis(), dlmm_genesis(), clmm_genesis(), damm_v2_genesis()
DAMM_V2_VAULTS = [damm_v2.vault_address(DAMM_V2.address, mint.address) for mint in MINTS]
AMM_V4 = amm_v4_pool(AmmV4PoolSpec(mints=MINTS, reserves=(10**12, 10**12)))
DAMM_V1, STABLE = damm_v1_genesis(), damm_v1_genesis(StableSpec())
CLMM_ARRAYS = [address for address, each in CLMM.accounts.items() if len(each.data) == clmm.TICK_ARRAY_LENGTH]
CLMM_CONFIG_ADDRESS, CLMM_EXTENSION = clmm.config_address(1), clmm.bitmap_extension_address(CLMM.address)
CLMM_VAULT_OUT = clmm.vault_address(CLMM.address, OUT.address)
CPMM_VAULTS = [Pubkey(CPMM.accounts[CPMM.address].data[at : at + 32]) for at in (CPMM_VAULT_0, CPMM_VAULT_1)]
CPMM_CONFIG_ADDRESS = Pubkey(CPMM.accounts[CPMM.address].data[CPMM_CONFIG : CPMM_CONFIG + 32])
ARRAYS = [dlmm.bin_array_address(DLMM.address, index) for index in (0, -1, -2)]

AMM_V4_VAULT_OUT = Pubkey(AMM_V4.accounts[AMM_V4.address].data[AMM_V4_PC_VAULT : AMM_V4_PC_VAULT + 32])
DAMM_V1_VAULT_OUT = damm_v1.vault_address(OUT.address)
DAMM_V1_TOKEN_VAULT_OUT = damm_v1.token_vault_address(DAMM_V1_VAULT_OUT)
DAMM_V1_AUTHORITY = damm_v1.vault_lp_address(damm_v1.vault_address(IN.address), DAMM_V1.address)
DAMM_V1_POOL_LP_OUT = damm_v1.vault_lp_address(DAMM_V1_VAULT_OUT, DAMM_V1.address)
_VAULT_OUT_DATA = DAMM_V1.accounts[DAMM_V1_VAULT_OUT].data
DAMM_V1_LP_MINT_OUT = Mint(Pubkey(_VAULT_OUT_DATA[VAULT_LP_MINT : VAULT_LP_MINT + 32]), TOKEN_PROGRAM, 6)

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


def vault_holds(mint: Mint, owner: Pubkey, vault: Pubkey | None = None) -> Forgery:
    def forge(chain: Chain) -> None:
        chain.accounts[vault or CPMM_VAULTS[1]] = token_account(mint, owner, 10**18)

    return forge


def with_a_vault_of_another_address(chain: Chain) -> None:
    """A token account of the program's authority, filled as the pool's never was."""
    chain.accounts[ATTACKER] = token_account(OUT, damm_v2.AUTHORITY, 10**18)
    chain.change(DAMM_V2.address, DAMM_V2_VAULT_B, bytes(ATTACKER))


def with_a_config_of_its_own(chain: Chain) -> None:
    """A config with no fees, which even the program could own: at an address that isn't derived from its index."""
    chain.accounts[ATTACKER] = chain.accounts[CPMM_CONFIG_ADDRESS]
    chain.change(CPMM.address, CPMM_CONFIG, bytes(ATTACKER))


def placed(address: Pubkey, account: Account) -> Forgery:
    def forge(chain: Chain) -> None:
        chain.accounts[address] = account

    return forge


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
CLMM_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(CLMM.address),
    "another discriminator": changed(CLMM.address, 0, bytes(8)),
    "a byte too many": longer(CLMM.address, 1),
    "a byte too few": longer(CLMM.address, -1),
    "another config": changed(CLMM.address, CLMM_CONFIG, bytes(clmm.config_address(2))),
    "a config of another program": owned_by_another_program(CLMM_CONFIG_ADDRESS),
    "a config of another index": changed(CLMM_CONFIG_ADDRESS, 9, b"\x07\x00"),
    "an attacker's vault of token 0": changed(CLMM.address, CLMM_VAULT_0, bytes(ATTACKER)),
    "an attacker's vault of token 1": changed(CLMM.address, CLMM_VAULT_1, bytes(ATTACKER)),
    "a vault that somebody else may spend from": placed(CLMM_VAULT_OUT, token_account(OUT, ATTACKER, 10**18)),
    "a vault of another mint": placed(CLMM_VAULT_OUT, token_account(IN, CLMM.address, 10**18)),
    "another observation account": changed(CLMM.address, CLMM_OBSERVATION, bytes(ATTACKER)),
    "no tick spacing": changed(CLMM.address, CLMM_SPACING, bytes(2)),
    "another tick spacing": changed(CLMM.address, CLMM_SPACING, b"\x07\x00"),
    "tick arrays of another program": all_of(owned_by_another_program(array) for array in CLMM_ARRAYS),
    "tick arrays of another pool": all_of(changed(array, TICK_ARRAY_POOL, bytes(ATTACKER)) for array in CLMM_ARRAYS),
    "tick arrays of another start": all_of(changed(array, TICK_ARRAY_START, b"\x09") for array in CLMM_ARRAYS),
    "tick arrays with another discriminator": all_of(changed(array, 0, bytes(8)) for array in CLMM_ARRAYS),
    "a bitmap extension of another program": owned_by_another_program(CLMM_EXTENSION),
    "a bitmap extension of another pool": changed(CLMM_EXTENSION, 8, bytes(ATTACKER)),
    "a mint of another program": owned_by_another_program(OUT.address),
}
DAMM_V2_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(DAMM_V2.address),
    "another discriminator": changed(DAMM_V2.address, 0, bytes(8)),
    "a byte too many": longer(DAMM_V2.address, 1),
    "a byte too few": longer(DAMM_V2.address, -1),
    "an attacker's vault of A": changed(DAMM_V2.address, DAMM_V2_VAULT_A, bytes(ATTACKER)),
    "an output vault of the program's authority that isn't the pool's": with_a_vault_of_another_address,
    "the same vault twice": changed(DAMM_V2.address, DAMM_V2_VAULT_B, bytes(DAMM_V2_VAULTS[0])),
    "a vault that somebody else may spend from": vault_holds(OUT, ATTACKER, DAMM_V2_VAULTS[1]),
    "a vault of another mint": vault_holds(IN, damm_v2.AUTHORITY, DAMM_V2_VAULTS[1]),
    "a vault of another program": owned_by_another_program(DAMM_V2_VAULTS[1]),
    "another token program": changed(DAMM_V2.address, DAMM_V2_TOKEN_FLAG_A, b"\x01"),
    "a base fee of tomorrow": changed(DAMM_V2.address, DAMM_V2_BASE_FEE_MODE, b"\x05"),
    "a fee side of tomorrow": changed(DAMM_V2.address, DAMM_V2_COLLECT_FEE_MODE, b"\x03"),
    "fees of tomorrow": changed(DAMM_V2.address, DAMM_V2_FEE_VERSION, b"\x02"),
    "a layout of tomorrow": changed(DAMM_V2.address, DAMM_V2_LAYOUT_VERSION, b"\x02"),
    "a clock of tomorrow": changed(DAMM_V2.address, DAMM_V2_ACTIVATION_TYPE, b"\x02"),
    "switched off": changed(DAMM_V2.address, DAMM_V2_STATUS, b"\x01"),
    "a mint of another program": owned_by_another_program(OUT.address),
}
AMM_V4_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(AMM_V4.address),
    "a byte too many": longer(AMM_V4.address, 1),
    "a byte too few": longer(AMM_V4.address, -1),
    "a status that the program doesn't know": changed(AMM_V4.address, 0, b"\x09"),
    "an authority of its own": changed(AMM_V4.address, AMM_V4_NONCE, b"\xfd"),
    "an attacker's vault": all_of(
        (
            placed(ATTACKER, token_account(OUT, ATTACKER, 10**18)),
            changed(AMM_V4.address, AMM_V4_PC_VAULT, bytes(ATTACKER)),
        )
    ),
    "the same vault twice": changed(AMM_V4.address, AMM_V4_COIN_VAULT, bytes(AMM_V4_VAULT_OUT)),
    "the same mint twice": changed(AMM_V4.address, AMM_V4_PC_MINT, bytes(IN.address)),
    "a vault that somebody else may spend from": placed(AMM_V4_VAULT_OUT, token_account(OUT, ATTACKER, 10**18)),
    "a vault of another mint": placed(AMM_V4_VAULT_OUT, token_account(IN, amm_v4.AUTHORITY, 10**18)),
    "a vault of another program": owned_by_another_program(AMM_V4_VAULT_OUT),
    "a fee of nothing's part": changed(AMM_V4.address, AMM_V4_FEE_DENOMINATOR, bytes(8)),
    "a mint of another program": owned_by_another_program(OUT.address),
}
DAMM_V1_FORGERIES: dict[str, Forgery] = {
    "a perfect body owned by another program": owned_by_another_program(DAMM_V1.address),
    "another discriminator": changed(DAMM_V1.address, 0, bytes(8)),
    "a curve that nobody knows": changed(DAMM_V1.address, DAMM_V1_CURVE, b"\x02"),
    "a stable curve of nothing": changed(DAMM_V1.address, DAMM_V1_CURVE, b"\x01"),
    "an opening of another kind": changed(DAMM_V1.address, DAMM_V1_ACTIVATION_TYPE, b"\x02"),
    "another vault of A": changed(DAMM_V1.address, DAMM_V1_VAULT_A, bytes(ATTACKER)),
    "another vault of B": changed(DAMM_V1.address, DAMM_V1_VAULT_B, bytes(ATTACKER)),
    "another LP account of A": changed(DAMM_V1.address, DAMM_V1_LP_A, bytes(ATTACKER)),
    "another LP account of B": changed(DAMM_V1.address, DAMM_V1_LP_B, bytes(ATTACKER)),
    "a vault of another program": owned_by_another_program(DAMM_V1_VAULT_OUT),
    "a vault with another discriminator": changed(DAMM_V1_VAULT_OUT, 0, bytes(8)),
    "a vault of another mint": changed(DAMM_V1_VAULT_OUT, VAULT_MINT, bytes(IN.address)),
    "a vault with an attacker's token account": changed(DAMM_V1_VAULT_OUT, VAULT_TOKEN_VAULT, bytes(ATTACKER)),
    "a vault with another LP mint": changed(DAMM_V1_VAULT_OUT, VAULT_LP_MINT, bytes(OUT.address)),
    "a token account that somebody else may spend from": placed(
        DAMM_V1_TOKEN_VAULT_OUT, token_account(OUT, ATTACKER, 10**18)
    ),
    "a token account of another mint": placed(DAMM_V1_TOKEN_VAULT_OUT, token_account(IN, DAMM_V1_VAULT_OUT, 10**18)),
    "an LP account of somebody else's": placed(
        DAMM_V1_POOL_LP_OUT, token_account(DAMM_V1_LP_MINT_OUT, ATTACKER, 10**12)
    ),
    "more LP tokens than there are": placed(
        DAMM_V1_POOL_LP_OUT,
        token_account(
            DAMM_V1_LP_MINT_OUT, damm_v1.vault_lp_address(damm_v1.vault_address(IN.address), DAMM_V1.address), 10**18
        ),
    ),
    "an LP mint of another program": owned_by_another_program(DAMM_V1_LP_MINT_OUT.address),
    "a mint of another program": owned_by_another_program(OUT.address),
}
STABLE_FORGERIES: dict[str, Forgery] = {
    "no multiplier": changed(STABLE.address, DAMM_V1_CURVE + 9, bytes(8)),
    "no amplification": changed(STABLE.address, DAMM_V1_CURVE + 1, bytes(8)),
    "a depeg that nobody knows": changed(STABLE.address, DAMM_V1_DEPEG, b"\x04"),
    "a depeg whose price is nowhere": changed(STABLE.address, DAMM_V1_DEPEG, b"\x03"),
    "a pool that is cut short": longer(STABLE.address, -500),
}
FORGERIES = [
    *(pytest.param(AMM_V4, amm_v4.PROGRAM_ID, forge, id=f"AMM v4: {name}") for name, forge in AMM_V4_FORGERIES.items()),
    *(
        pytest.param(DAMM_V1, damm_v1.PROGRAM_ID, forge, id=f"DAMM v1: {name}")
        for name, forge in DAMM_V1_FORGERIES.items()
    ),
    *(
        pytest.param(STABLE, damm_v1.PROGRAM_ID, forge, id=f"DAMM v1, stable: {name}")
        for name, forge in STABLE_FORGERIES.items()
    ),
    *(pytest.param(CPMM, cpmm.PROGRAM_ID, forge, id=f"CPMM: {name}") for name, forge in CPMM_FORGERIES.items()),
    *(pytest.param(DLMM, dlmm.PROGRAM_ID, forge, id=f"DLMM: {name}") for name, forge in DLMM_FORGERIES.items()),
    *(
        pytest.param(DAMM_V2, damm_v2.PROGRAM_ID, forge, id=f"DAMM v2: {name}")
        for name, forge in DAMM_V2_FORGERIES.items()
    ),
    *(pytest.param(CLMM, clmm.PROGRAM_ID, forge, id=f"CLMM: {name}") for name, forge in CLMM_FORGERIES.items()),
]


@pytest.mark.parametrize(
    ("pool", "program"),
    [
        (CPMM, cpmm.PROGRAM_ID),
        (DLMM, dlmm.PROGRAM_ID),
        (CLMM, clmm.PROGRAM_ID),
        (DAMM_V2, damm_v2.PROGRAM_ID),
        (AMM_V4, amm_v4.PROGRAM_ID),
        (DAMM_V1, damm_v1.PROGRAM_ID),
        (STABLE, damm_v1.PROGRAM_ID),
    ],
)
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
    # of the same discriminator
    chain.add(CLMM, cpmm.PROGRAM_ID)
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
    for number in range(MAX_CANDIDATES + 20):
        chain.add(cpmm_genesis(number), cpmm.PROGRAM_ID)
    chain.pays()
    # once more with the registry read: what one plan reads alone
    chain.most_read = 0
    market = Market(chain, chain.registry(), lambda: 0)
    priced = market.price(IN.address, OUT.address, AMOUNT, leg_lamports=0)
    assert chain.most_read <= MAX_ACCOUNTS
    assert len(priced.offers) == MAX_CANDIDATES
    assert len(priced.not_looked_at) == 20


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
    ("venue", "pool"),
    [
        (RaydiumCpmmVenue(), CPMM),
        (MeteoraDlmmVenue(), DLMM),
        (RaydiumClmmVenue(), CLMM),
        (MeteoraDammV2Venue(), DAMM_V2),
        (RaydiumAmmV4Venue(), AMM_V4),
        (MeteoraDammV1Venue(), DAMM_V1),
        (MeteoraDammV1Venue(), STABLE),
    ],
    ids=["CPMM", "DLMM", "CLMM", "DAMM v2", "AMM v4", "DAMM v1", "DAMM v1, stable"],
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

"""The pools that are measured, written by the builders of the genesis market: the same bytes for us and the SDKs."""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_dlmm.layout import bitmap_extension_address
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec
from infra.localnet.programs.meteora_dlmm_pool import genesis_pool as dlmm_pool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec
from infra.localnet.programs.raydium_cpmm_pool import genesis_pool as cpmm_pool
from infra.localnet.programs.token_accounts import mint_account

_NOW = 1_760_000_000
CLOCK = ChainClock(slot=360_000_000, epoch=850, unix_timestamp=_NOW + 20)
MINT_IN, MINT_OUT = (
    Mint(Pubkey.find_program_address([name], TOKEN_PROGRAM)[0], TOKEN_PROGRAM, 6) for name in (b"x", b"y")
)
_BIN_LIQUIDITY = 1_000_000_000
_ACTIVE_ID = 34
_BIN_STEP = 4


@dataclass(frozen=True, slots=True)
class MeasuredPool:
    """A pool with all of its accounts and the swap to be quoted. `venue` is what the SDK's oracle calls it.

    `program` owns it.
    """

    name: str
    venue: str
    program: Pubkey
    address: Pubkey
    accounts: AccountMap
    amount_in: int


def constant_product(reserve: int = 750_000_000_000, config_index: int = 0) -> MeasuredPool:
    """A CPMM pool with fees owed, of tokens at par, and a swap of a thousandth of its reserve."""
    spec = CpmmPoolSpec(
        mints=(MINT_IN, MINT_OUT),
        reserves=(reserve, reserve),
        config_index=config_index,
        protocol_fees=(1_234_567, 890_123),
        fund_fees=(123_456, 78_901),
    )
    return _measured("CPMM", "raydium", cpmm_pool(spec), reserve // 1_000)


def bins(crossed: int, every: int = 1, base_factor: int = 10_000) -> MeasuredPool:
    """A DLMM pool and a swap that ends in the last of `crossed` bins, of which one in `every` has liquidity.

    The price has just moved, so that the fee varies from bin to bin.
    """
    stocked = [_ACTIVE_ID - offset for offset in range(crossed) if offset % every == 0 or offset == crossed - 1]
    liquidity = dict.fromkeys(stocked, _BIN_LIQUIDITY)
    # The last bin can't be emptied by what is more than enough for the others, with the highest fee there is.
    liquidity[stocked[-1]] *= 2 * len(stocked)
    costs = ((_BIN_LIQUIDITY << 64) // price_of_bin(bin_id, _BIN_STEP) for bin_id in stocked)
    spec = DlmmPoolSpec(
        mint_x=MINT_IN,
        mint_y=MINT_OUT,
        bin_step=_BIN_STEP,
        active_id=_ACTIVE_ID,
        base_factor=base_factor,
        liquidity={bin_id: (0, amount) for bin_id, amount in liquidity.items()},
        volatility_accumulator=50_000,
        volatility_reference=20_000,
        index_reference=_ACTIVE_ID + 3,
        last_update_timestamp=_NOW,
    )
    name = f"DLMM, {crossed} bin{'s' if crossed > 1 else ''}"
    if every > 1:
        name += f" ({len(stocked)} with liquidity)"
    return _measured(name, "meteora", dlmm_pool(spec), sum(costs) * 6 // 5)


def _measured(name: str, venue: str, pool: GenesisPool, amount_in: int) -> MeasuredPool:
    mints = {mint.address: mint_account(mint, supply=1 << 60, authority=None) for mint in (MINT_IN, MINT_OUT)}
    accounts: dict[Pubkey, Account | None] = {**mints, **pool.accounts}
    if venue == "meteora" and bitmap_extension_address(pool.address) not in accounts:
        accounts[bitmap_extension_address(pool.address)] = None
    return MeasuredPool(name, venue, pool.accounts[pool.address].owner, pool.address, accounts, amount_in)

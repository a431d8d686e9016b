"""Made-up pools of all six programs for one pair, as many as routing looks at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

from solders.pubkey import Pubkey

from chalicelib.amounts import PPM
from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.tokens import Mint
from chalicelib.venues import supported
from chalicelib.venues.meteora_damm_v2.layout import DammV2CollectFeeMode
from chalicelib.venues.raydium_clmm.math import sqrt_price_at, tick_at
from chalicelib.venues.venue import Pool, Venue
from infra.localnet.market.genesis import active_bin
from infra.localnet.programs import (
    meteora_damm_v1_pool,
    meteora_damm_v2_pool,
    meteora_dlmm_pool,
    raydium_amm_v4_pool,
    raydium_clmm_pool,
    raydium_cpmm_pool,
)
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import mint_account

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)

# Fees in millionths, and how densely prices lie, of a program's pools in turn.
_CPMM_FEES = (2_500, 4_000, 10_000, 500)
_TICKS = ((500, 10), (2_500, 60), (10_000, 120), (1_000, 1))
_DAMM_FEES = (2_500, 1_000, 5_000, 500)
_BIN_STEPS = (4, 10, 20, 25)
_BINS, _TICK_REACH = 60, 3_000
_FARTHEST_PPM = 5_000


@dataclass(frozen=True, slots=True)
class CandidatePool:
    """A pool's accounts, its mints' among them, and the venue that reads them."""

    venue: Venue
    address: Pubkey
    accounts: AccountMap

    def decoded(self) -> Pool:
        """As if it had just been read: nothing of it has been quoted yet."""
        return self.venue.decode(self.address, self.accounts)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`of_sold` and `of_bought` base units on each side; `number` tells pools of one program apart."""

    mints: tuple[Mint, Mint]
    of_sold: int
    of_bought: int
    price: Fraction
    number: int


def candidate_pools(
    sold: Mint, bought: Mint, depth: int, price: Fraction, *, seed: int = 0, of_each: int = 4
) -> list[CandidatePool]:
    """So many pools of each program, which hold a tenth of `depth` base units of `sold` to all of it, and as much.

    `price` is base units of `bought` for one of `sold`; the pools' own are up to half a percent off it. At most four of
    each: their fees differ.
    """
    dice = Random(seed)
    mints = {mint.address: mint_account(mint, supply=1 << 60, authority=None) for mint in (sold, bought)}
    pools = []
    for number in range(of_each):
        for make in _MAKERS:
            held = depth * dice.randint(10, 100) // 100
            off = price * (1 + Fraction(dice.randint(-_FARTHEST_PPM, _FARTHEST_PPM), PPM))
            made = make(_Wanted((sold, bought), held, int(held * off), off, number))
            pools.append(_candidate(made, mints))
    return pools


def _candidate(made: GenesisPool, mints: dict[Pubkey, Account]) -> CandidatePool:
    program = made.accounts[made.address].owner
    venue = next(venue for venue in supported.VENUES if venue.program_id == program)
    known = made.accounts | mints
    read: dict[Pubkey, Account | None] = {}
    while missing := venue.accounts_needed(made.address, read) - read.keys():
        read |= {address: known.get(address) for address in missing}
    # the arrays further out too, so that no size asks for more
    return CandidatePool(venue, made.address, {**read, **known})


def _cpmm(wanted: _Wanted) -> GenesisPool:
    return raydium_cpmm_pool.genesis_pool(
        raydium_cpmm_pool.CpmmPoolSpec(
            mints=wanted.mints,
            reserves=(wanted.of_sold, wanted.of_bought),
            config_index=40 + wanted.number,
            trade_fee_rate=_CPMM_FEES[wanted.number],
        )
    )


def _amm_v4(wanted: _Wanted) -> GenesisPool:
    return raydium_amm_v4_pool.genesis_pool(
        raydium_amm_v4_pool.AmmV4PoolSpec(
            mints=wanted.mints, reserves=(wanted.of_sold, wanted.of_bought), market=40 + wanted.number
        )
    )


def _clmm(wanted: _Wanted) -> GenesisPool:
    """With a position over all prices that are likely, and one of the same worth about the price."""
    fee, spacing = _TICKS[wanted.number]
    (mint_0, mint_1), amounts, price = wanted.mints, (wanted.of_sold, wanted.of_bought), wanted.price
    if bytes(mint_0.address) > bytes(mint_1.address):
        mint_0, mint_1, amounts, price = mint_1, mint_0, amounts[::-1], 1 / price
    at = meteora_damm_v2_pool.sqrt_price(price)
    middle = tick_at(at) // spacing
    positions = []
    for reach in (_TICK_REACH, _TICK_REACH // 10):
        lower, upper = (middle - reach // spacing) * spacing, (middle + 1 + reach // spacing) * spacing
        low, high = sqrt_price_at(lower), sqrt_price_at(upper)
        # libraries/liquidity_math.rs, get_liquidity_from_amounts
        of_0, of_1 = (amount // 2 for amount in amounts)
        liquidity = min(of_0 * at * high // (high - at) >> 64, (of_1 << 64) // (at - low))
        positions.append(raydium_clmm_pool.ClmmPosition(lower, upper, liquidity))
    return raydium_clmm_pool.genesis_pool(
        raydium_clmm_pool.ClmmPoolSpec(
            mint_0=mint_0,
            mint_1=mint_1,
            config_index=40 + wanted.number,
            tick_spacing=spacing,
            trade_fee_rate=fee,
            sqrt_price=at,
            positions=tuple(positions),
        )
    )


def _dlmm(wanted: _Wanted) -> GenesisPool:
    """The further from the price, the less: the bin at distance d has (bins - d) parts."""
    step = _BIN_STEPS[wanted.number]
    active, parts = active_bin(wanted.price, step), sum(range(1, _BINS + 1))
    liquidity = {active: (wanted.of_sold * _BINS // parts, wanted.of_bought * _BINS // parts)}
    for distance in range(1, _BINS):
        share = _BINS - distance
        liquidity[active + distance] = (wanted.of_sold * share // parts, 0)
        liquidity[active - distance] = (0, wanted.of_bought * share // parts)
    return meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=wanted.mints[0],
            mint_y=wanted.mints[1],
            bin_step=step,
            base_factor=10_000 + wanted.number,
            active_id=active,
            liquidity=liquidity,
        )
    )


def _damm_v2(wanted: _Wanted) -> GenesisPool:
    low, high = meteora_damm_v2_pool.MIN_SQRT_PRICE, meteora_damm_v2_pool.MAX_SQRT_PRICE
    price = meteora_damm_v2_pool.sqrt_price(wanted.price)
    return meteora_damm_v2_pool.genesis_pool(
        meteora_damm_v2_pool.DammV2PoolSpec(
            mints=wanted.mints,
            liquidity=meteora_damm_v2_pool.liquidity_for(wanted.of_bought, low, price),
            sqrt_prices=(low, price, high),
            base_fee=meteora_damm_v2_pool.flat_fee(_DAMM_FEES[wanted.number] * 1_000),
            dynamic_fee=meteora_damm_v2_pool.dynamic_fee(),
            collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
            config=Pubkey(bytes([40 + wanted.number] * 32)),
        )
    )


def _damm_v1(wanted: _Wanted) -> GenesisPool:
    """All of them have their shares in the same two vaults, as on the chain."""
    vaults = tuple(
        meteora_damm_v1_pool.VaultSpec(total=1 << 58, lp_supply=1 << 58, reserve=1 << 57) for _ in wanted.mints
    )
    return meteora_damm_v1_pool.genesis_pool(
        meteora_damm_v1_pool.DammV1PoolSpec(
            mints=wanted.mints,
            vaults=(vaults[0], vaults[1]),
            pool_lp=(wanted.of_sold, wanted.of_bought),
            number=40 + wanted.number,
            trade_fee=(_DAMM_FEES[wanted.number], PPM),
        )
    )


_MAKERS = (_cpmm, _amm_v4, _clmm, _dlmm, _damm_v2, _damm_v1)

"""A DLMM pool is what its reserves can move, whatever its bins say: a frozen one moves nothing, a short one no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity, VenueUnavailable
from chalicelib.routing.router import PairPools, RouteLimits, best_routes
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint, TransferFee, TransferFeeConfig
from chalicelib.venues.meteora_dlmm.layout import bitmap_extension_address, reserve_address
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec, genesis_pool
from infra.localnet.programs.token_accounts import mint_account

CLOCK = ChainClock(slot=1, epoch=0, unix_timestamp=1_000_000)
X = Mint(Pubkey(bytes([1] * 32)), TOKEN_PROGRAM, 9)
Y = Mint(Pubkey(bytes([2] * 32)), TOKEN_PROGRAM, 6)
EITHER_SIDE = pytest.mark.parametrize(("paid", "received"), [(X, Y), (Y, X)], ids=["pays Y", "pays X"])

# Of a token account: u64 amount, u8 state.
AMOUNT_OFFSET, STATE_OFFSET = 64, 108


def spec(**changes: Any) -> DlmmPoolSpec:
    liquidity = {bin_id: (10**9 if bin_id >= 0 else 0, 10**9 if bin_id <= 0 else 0) for bin_id in range(-40, 41)}
    of_all: dict[str, Any] = {
        "mint_x": X,
        "mint_y": Y,
        "bin_step": 20,
        "active_id": 0,
        "base_factor": 8_000,
        "liquidity": liquidity,
    }
    return DlmmPoolSpec(**of_all | changes)


def chain(made: DlmmPoolSpec) -> tuple[Pubkey, AccountMap]:
    built = genesis_pool(made)
    mints = {mint.address: mint_account(mint, supply=10**18, authority=None) for mint in (made.mint_x, made.mint_y)}
    return built.address, {bitmap_extension_address(built.address): None, **built.accounts, **mints}


def with_reserve(mint: Mint, offset: int, content: bytes, made: DlmmPoolSpec | None = None) -> MeteoraDlmmPool:
    pool, on_chain = chain(made or spec())
    reserve = reserve_address(pool, mint.address)
    held = on_chain[reserve]
    assert held is not None
    data = held.data[:offset] + content + held.data[offset + len(content) :]
    return MeteoraDlmmVenue().decode(pool, {**on_chain, reserve: replace(held, data=data)})


def decoded(made: DlmmPoolSpec) -> MeteoraDlmmPool:
    return MeteoraDlmmVenue().decode(*chain(made))


@EITHER_SIDE
def test_a_pool_whose_reserve_is_frozen_can_move_no_token(paid: Mint, received: Mint) -> None:
    for mint in (paid, received):
        with pytest.raises(VenueUnavailable, match="frozen"):
            with_reserve(mint, STATE_OFFSET, b"\x02")


@pytest.mark.parametrize(("offset", "content"), [(0, bytes([9] * 32)), (32, bytes([9] * 32))], ids=["mint", "owner"])
def test_a_reserve_that_is_not_the_pairs_own_is_refused(offset: int, content: bytes) -> None:
    with pytest.raises(VenueUnavailable, match="of another mint or owner"):
        with_reserve(X, offset, content)


@EITHER_SIDE
def test_no_more_is_quoted_than_the_reserve_can_pay_whatever_the_bins_say(paid: Mint, received: Mint) -> None:
    owed = decoded(spec()).quote(paid.address, 10**9, CLOCK).amount_out
    just_enough = with_reserve(received, AMOUNT_OFFSET, owed.to_bytes(8, "little"))
    assert just_enough.quote(paid.address, 10**9, CLOCK).amount_out == owed
    a_unit_less = with_reserve(received, AMOUNT_OFFSET, (owed - 1).to_bytes(8, "little"))
    with pytest.raises(InsufficientLiquidity, match="its reserve holds"):
        a_unit_less.quote(paid.address, 10**9, CLOCK)
    assert a_unit_less.quote(paid.address, 10**9 - 100, CLOCK).amount_out < owed


def test_a_transfer_fee_is_the_receivers_and_the_reserve_pays_it_too() -> None:
    fee = TransferFee(epoch=0, maximum_fee=10**12, basis_points=5_000)
    config = TransferFeeConfig(fee, fee)
    made = spec(mint_y=replace(Y, token_program=TOKEN_2022_PROGRAM, transfer_fee=config, extensions=frozenset({1})))
    received = decoded(made).quote(X.address, 10**9, CLOCK).amount_out
    short = with_reserve(made.mint_y, AMOUNT_OFFSET, (received + 1).to_bytes(8, "little"), made)
    with pytest.raises(InsufficientLiquidity):
        short.quote(X.address, 10**9, CLOCK)


@given(held=st.integers(0, 3 * 10**10), amount=st.integers(1_000, 6 * 10**10))
def test_a_split_gives_a_pool_no_more_than_its_reserve_pays_for(held: int, amount: int) -> None:
    """Two pools alike but for the reserve of one: the other takes what that one can't pay for."""
    poor = with_reserve(Y, AMOUNT_OFFSET, held.to_bytes(8, "little"))
    rich = decoded(spec(base_factor=8_001))
    pools = PairPools(X.address, Y.address, (poor, rich), (), CLOCK)
    limits = RouteLimits(max_legs=2, leg_cost=1, fits=lambda route: True)
    alone = PairPools(X.address, Y.address, (rich,), (), CLOCK)
    try:
        least = best_routes(alone, amount, limits)[0].amount_out
    except InsufficientLiquidity:
        least = 0
    try:
        route = best_routes(pools, amount, limits)[0]
    except InsufficientLiquidity:
        assert not least
        return
    assert route.amount_in == amount
    assert route.amount_out >= least
    assert all(leg.quote.amount_out <= held for leg in route.legs if leg.pool is poor)

"""Meteora DAMM v1: shares of vaults that change with time, floors that hold, prices of staked tokens, whose errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity, VenueUnavailable
from chalicelib.routing.quote import quote_pool
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, ChainClock
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.meteora_damm_v1.layout import (
    PROGRAM_ID,
    VAULT_PROGRAM_ID,
    Depeg,
    token_vault_address,
    vault_address,
    vault_lp_address,
)
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Pool, MeteoraDammV1Venue
from chalicelib.venues.meteora_damm_v1.refusals import DammV1SwapRefused, RefusedFor
from chalicelib.venues.supported import error_classifier
from chalicelib.venues.venue import Pool, PoolQuote, TokenSide
from infra.localnet.programs.meteora_damm_v1_pool import DammV1PoolSpec, StableSpec, VaultSpec
from testing.sdk.made_up_pools import sizes
from tests.conformance.agreement import quoted
from tests.conformance.vector_file import VectorFile
from tests.unit.meteora_damm_v1_market import CLOCK, MINT_A, MINT_B, STAKE_POOL, U64_MAX, market, specs
from tests.unit.spl_swap_market import DESTINATION, SOURCE, TRADER, SwapMarket

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "meteora_damm_v1.json"
HELD = 1 << 62
VAULT = VaultSpec(total=10**13, lp_supply=9 * 10**12, reserve=10**13)
# Of which an LP token stands for a thousand units.
DEAR = VaultSpec(total=10**13, lp_supply=10**10, reserve=10**13)
PLAIN = DammV1PoolSpec(mints=(MINT_A, MINT_B), vaults=(VAULT, VAULT), pool_lp=(10**12, 10**12))
STABLE = replace(PLAIN, curve=StableSpec())
FREE = replace(PLAIN, trade_fee=(0, 1))
A, B = MINT_A.address, MINT_B.address

amounts = st.one_of(sizes(1 << 60), st.integers(1, 3_000), st.integers(10**4, 10**13))


def made(spec: DammV1PoolSpec, mint_in: Pubkey = A, stake_price: int = 0) -> SwapMarket:
    return market(spec, mint_in, HELD, stake_price)


def decoded(of: SwapMarket) -> MeteoraDammV1Pool:
    pool = of.pool()
    assert isinstance(pool, MeteoraDammV1Pool)
    return pool


def refused_for(pool: MeteoraDammV1Pool, amount_in: int) -> RefusedFor:
    with pytest.raises(DammV1SwapRefused) as refused:
        pool.swap(0, amount_in, CLOCK)
    return refused.value.reason


def unsure_quote(pool: Pool) -> PoolQuote:
    """Of a unit that no floor can make sure of."""
    return next(q for n in range(10**6, 10**6 + 50) if (q := pool.quote(A, n, CLOCK)).not_guaranteed)


def later(seconds: int) -> ChainClock:
    return replace(CLOCK, unix_timestamp=CLOCK.unix_timestamp + seconds)


# --- floors ---------------------------------------------------------------------------------------------------------


@given(specs(), st.booleans(), amounts)
@settings(max_examples=300, deadline=None)
def test_a_pool_loses_what_it_pays_or_a_unit_more(spec: DammV1PoolSpec, sell_a: bool, amount_in: int) -> None:
    of = made(spec, A if sell_a else B, stake_price=1_100_000)
    try:
        quote = of.pool().quote(of.mint_in, amount_in, CLOCK)
    except ExecutionError:
        assume(False)
    outcome = decoded(of).swap(0 if sell_a else 1, amount_in, CLOCK)
    assert outcome.pool_loss - outcome.amount_out in (0, 1)
    assert quote.not_guaranteed == 1 - (outcome.pool_loss - outcome.amount_out)


@given(specs(), st.booleans(), amounts, st.integers(-3, 3), st.integers(0, 7_200))
@settings(max_examples=300, deadline=None)
def test_what_a_swap_reads_back_as_guaranteeing_is_paid_or_nothing_is(
    spec: DammV1PoolSpec, sell_a: bool, amount_in: int, off: int, seconds: int
) -> None:
    """Whatever the vaults' profit has become worth since the quote."""
    of = made(spec, A if sell_a else B, stake_price=1_100_000)
    try:
        quote = of.pool().quote(of.mint_in, amount_in, CLOCK)
    except ExecutionError:
        assume(False)
    instruction = of.swap_instruction(amount_in, max(quote.amount_out + off, 0), quote)
    guaranteed = of.venue.decode_swap([meta.pubkey for meta in instruction.accounts], bytes(instruction.data))
    if of.emulate(instruction, later(seconds)) is None:
        assert of.balance(DESTINATION) >= guaranteed.minimum_out


def test_routing_plans_with_what_a_floor_can_hold() -> None:
    of = made(PLAIN)
    pool = of.pool()
    unsure = unsure_quote(pool)
    planned = quote_pool(pool, A, unsure.amount_in, CLOCK)
    assert (planned.amount_out, planned.not_guaranteed) == (unsure.amount_out - 1, 0)
    instruction = of.swap_instruction(unsure.amount_in, planned.amount_out, planned)
    assert of.emulate(instruction, CLOCK) is None
    assert of.balance(DESTINATION) == unsure.amount_out


def test_a_swap_for_all_of_a_quote_lands_and_guarantees_what_is_sure() -> None:
    of = made(PLAIN)
    unsure = unsure_quote(of.pool())
    instruction = of.swap_instruction(unsure.amount_in, unsure.amount_out, unsure)
    swap = of.venue.decode_swap([meta.pubkey for meta in instruction.accounts], bytes(instruction.data))
    assert swap.minimum_out == unsure.amount_out - 1
    assert of.emulate(instruction, CLOCK) is None
    assert of.balance(DESTINATION) == unsure.amount_out


def test_what_pays_a_unit_that_is_not_sure_is_too_small_to_be_planned_with() -> None:
    pool = made(PLAIN).pool()
    one = pool.quote(A, 5, CLOCK)
    assert (one.amount_out, one.not_guaranteed) == (1, 1)
    with pytest.raises(AmountTooSmall, match="nothing is sure"):
        quote_pool(pool, A, one.amount_in, CLOCK)


def test_a_unit_that_is_less_than_an_lp_token_of_the_vault_is_not_paid() -> None:
    pool = decoded(made(replace(FREE, vaults=(VAULT, DEAR), pool_lp=(10**12, 10**9))))
    assert pool.swap(0, 10, CLOCK).lp_out == 0
    with pytest.raises(AmountTooSmall, match=f"{pool.address} pays nothing for 10 base units"):
        pool.quote(A, 10, CLOCK)


# --- vaults ---------------------------------------------------------------------------------------------------------


def test_profit_that_unlocks_makes_the_pool_worth_more_with_time() -> None:
    earning = replace(VAULT, locked_profit=10**12, last_report=CLOCK.unix_timestamp)
    pool = made(replace(PLAIN, vaults=(VAULT, earning))).pool()
    paid = [pool.quote(A, 10**9, later(seconds)).amount_out for seconds in (0, 3_600, 21_601, 10**6)]
    assert paid == [*sorted(set(paid[:3])), paid[2]]
    with pytest.raises(VenueUnavailable, match="profit from the future"):
        pool.quote(A, 10**9, later(-1))


def test_no_more_is_quoted_than_the_vault_has_not_lent_out() -> None:
    quote = made(PLAIN).pool().quote(A, 9 * 10**8, CLOCK)
    enough, less = (
        made(replace(PLAIN, vaults=(VAULT, replace(VAULT, reserve=reserve)))).pool()
        for reserve in (quote.amount_out, quote.amount_out - 1)
    )
    assert enough.quote(A, quote.amount_in, CLOCK) == quote
    with pytest.raises(InsufficientLiquidity, match=f"its vault holds {quote.amount_out - 1}"):
        less.quote(A, quote.amount_in, CLOCK)


def test_the_input_must_be_one_that_its_vault_takes() -> None:
    closed = replace(VAULT, enabled=False)
    pool = made(replace(PLAIN, vaults=(closed, VAULT))).pool()
    with pytest.raises(VenueUnavailable, match="takes no deposits"):
        pool.quote(A, 10**9, CLOCK)
    assert pool.quote(B, 10**9, CLOCK).amount_out


@pytest.mark.parametrize(("activation_type", "point"), [(0, CLOCK.slot), (1, CLOCK.unix_timestamp)])
def test_a_pool_opens_at_its_slot_or_second(activation_type: int, point: int) -> None:
    spec = replace(PLAIN, activation_type=activation_type)
    assert made(replace(spec, activation_point=point)).pool().quote(A, 10**9, CLOCK).amount_out
    for closed in (replace(spec, activation_point=point + 1), replace(spec, enabled=False)):
        with pytest.raises(VenueUnavailable, match="closed for swaps or not open yet"):
            made(closed).pool().quote(A, 10**9, CLOCK)


# --- prices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [PLAIN, STABLE, replace(STABLE, pool_lp=(10**12, 3 * 10**11)), replace(PLAIN, pool_lp=(10**12, 10**11))],
    ids=["even", "stable", "stable, uneven", "uneven"],
)
def test_the_mid_price_is_what_a_little_trades_at_without_its_fee(spec: DammV1PoolSpec) -> None:
    pool = made(replace(spec, trade_fee=(0, 1))).pool()
    for mint in (A, B):
        little = 10**6
        paid = Fraction(pool.quote(mint, little, CLOCK).amount_out, little)
        assert abs(paid / pool.mid_price(mint) - 1) < Fraction(1, 10**4)
    assert pool.mid_price(A) * pool.mid_price(B) == pytest.approx(1)


def test_the_mid_price_is_that_of_the_time_at_which_the_accounts_were_read() -> None:
    earning = replace(VAULT, locked_profit=10**12, last_report=CLOCK.unix_timestamp)
    of = made(replace(PLAIN, vaults=(VAULT, earning), pool_lp=(VAULT.lp_supply, 10**12)))
    unlocked = of.pool().mid_price(A)
    assert unlocked == Fraction(10**13 // 9, 10**13), "no time was read, and so nothing counts as locked"
    fields = (CLOCK.slot, 0, CLOCK.epoch, 0, CLOCK.unix_timestamp)
    data = b"".join(value.to_bytes(8, "little") for value in fields)
    of.accounts[CLOCK_SYSVAR] = Account(SYSVAR_OWNER, 1, data)
    assert of.pool().mid_price(A) / unlocked == pytest.approx(Fraction(9, 10))


DEPEG = replace(
    STABLE,
    stake=STAKE_POOL,
    curve=StableSpec(depeg=Depeg.SPL_STAKE, price=1_100_000, priced_at=CLOCK.unix_timestamp),
)


def test_a_staked_token_trades_at_the_pools_price_for_ten_minutes_and_then_at_the_stakes() -> None:
    pool = made(DEPEG, B, stake_price=1_200_000).pool()
    paid = {seconds: pool.quote(B, 10**6, later(seconds)).amount_out for seconds in (0, 600, 601)}
    assert paid[0] == paid[600]
    assert Fraction(paid[601], paid[600]) == pytest.approx(Fraction(12, 11), rel=0.01)
    without = made(DEPEG, B).pool()
    assert without.quote(B, 10**6, later(600)).amount_out == paid[600]
    with pytest.raises(VenueUnavailable, match="price of its token B is not known"):
        without.quote(B, 10**6, later(601))


@pytest.mark.parametrize(
    ("depeg", "says"),
    [
        # marinade.rs reads a price with 32 bits after the point, solido.rs supply and balance, spl_stake.rs the reverse
        (Depeg.MARINADE, bytes(512) + (5 << 30).to_bytes(8, "little")),
        (Depeg.LIDO, bytes(73) + (4 * 10**12).to_bytes(8, "little") + (5 * 10**12).to_bytes(8, "little")),
        (Depeg.SPL_STAKE, bytes(258) + (5 * 10**12).to_bytes(8, "little") + (4 * 10**12).to_bytes(8, "little")),
    ],
)
def test_each_stake_program_tells_the_price_in_its_own_way(depeg: Depeg, says: bytes) -> None:
    assert DEPEG.curve is not None
    of = made(replace(DEPEG, curve=replace(DEPEG.curve, depeg=depeg)), B)
    assert decoded(of).stake_price is None, "the account is not there yet"
    stake = decoded(of).stake
    assert stake is not None
    of.accounts[stake] = Account(PROGRAM_ID, 1, says)
    assert decoded(of).stake_price == 1_250_000
    of.accounts[stake] = Account(PROGRAM_ID, 1, says[:-1])
    with pytest.raises(VenueUnavailable, match=str(stake)):
        of.pool()


def test_a_depeg_pools_swap_alone_names_a_stake_account() -> None:
    assert made(STABLE).pool().quote(B, 10**6, CLOCK).remaining_accounts == ()
    of = made(DEPEG, B, stake_price=1_200_000)
    quote = of.pool().quote(B, 10**6, CLOCK)
    assert quote.remaining_accounts == (STAKE_POOL,)
    assert of.swap_instruction(10**6, 1, quote).accounts[-1].pubkey == STAKE_POOL


def test_a_curve_that_never_settles_is_not_traded() -> None:
    lopsided = VaultSpec(total=2_370_491_137, lp_supply=2_370_491_137, reserve=2_370_491_137)
    even = VaultSpec(total=10**6, lp_supply=10**6, reserve=10**6)
    spec = replace(
        STABLE, vaults=(lopsided, even), pool_lp=(lopsided.total, even.total), curve=StableSpec(amplification=1)
    )
    with pytest.raises(VenueUnavailable, match="finds no price with the units of a transaction"):
        made(spec).pool().quote(A, 10_000, CLOCK)


def test_a_swap_that_reads_a_stake_account_burns_more() -> None:
    pool = decoded(made(DEPEG, B, stake_price=1_200_000))
    assert pool.compute_units(3) == replace(pool, stake=None).compute_units(3) + 25_000


def test_tokens_of_other_precisions_are_brought_to_one_before_the_stakes_price_counts() -> None:
    assert DEPEG.curve is not None
    coarse = replace(DEPEG, curve=replace(DEPEG.curve, multipliers=(1, 1_000)), pool_lp=(10**12, 10**9))
    price = made(coarse, B, stake_price=1_100_000).pool().mid_price(A)
    assert price == pytest.approx(Fraction(1, 1_100), rel=0.02)


def test_a_price_that_is_not_known_is_told_with_the_pool() -> None:
    pool = made(DEPEG, B).pool()
    asked: tuple[Callable[[], object], ...] = (
        lambda: pool.mid_price(A),
        lambda: pool.quote(A, 10**6, later(601)),
        lambda: pool.rounding(A, 10**6, later(601)),
    )
    for ask in asked:
        with pytest.raises(VenueUnavailable, match=str(pool.address)):
            ask()


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "lp_supply"),
    [
        pytest.param(1 << 63, 1 << 63, id="their tokens and their LP tokens"),
        pytest.param(1 << 63, 1 << 62, id="their tokens"),
        pytest.param(1 << 62, 1 << 63, id="their LP tokens"),
    ],
)
def test_vaults_count_in_u64(total: int, lp_supply: int) -> None:
    full = VaultSpec(total=total, lp_supply=lp_supply, reserve=total)
    pool = decoded(made(replace(FREE, vaults=(full, full), pool_lp=(lp_supply, lp_supply - 1))))
    assert pool.swap(0, total - 1, CLOCK).lp_in == (total - 1) * lp_supply // total
    assert refused_for(pool, total) is RefusedFor.MATH_OVERFLOW


def test_a_vaults_account_holds_no_more_than_a_u64() -> None:
    room = 10**9
    pool = made(replace(FREE, vaults=(replace(VAULT, reserve=U64_MAX - room), VAULT))).pool()
    assert pool.quote(A, room, CLOCK).amount_out
    with pytest.raises(InsufficientLiquidity, match="the vault can't hold this much"):
        pool.quote(A, room + 1, CLOCK)


def test_a_partners_part_of_the_fee_is_computed_in_u64() -> None:
    spec = replace(PLAIN, trade_fee=(1, 1_000), protocol_fee=(1, 1), partner_fee=U64_MAX)
    pool = decoded(made(spec))
    assert pool.swap(0, 1_999, CLOCK).protocol_fee == 1
    assert refused_for(pool, 2_000) is RefusedFor.MATH_OVERFLOW


def test_a_fee_of_more_than_what_arrives_is_refused() -> None:
    """Of a deposit of less than an LP token little counts for the pool, which is to get its whole fee."""
    spec = replace(PLAIN, vaults=(DEAR, DEAR), pool_lp=(10, 10), trade_fee=(1, 100), protocol_fee=(0, 1))
    assert refused_for(decoded(made(spec)), 400) is RefusedFor.MATH_OVERFLOW


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(replace(PLAIN, trade_fee=(1, 0)), id="of nothing"),
        pytest.param(replace(PLAIN, protocol_fee=(1, 0)), id="of nothing, the protocol's"),
        pytest.param(replace(PLAIN, trade_fee=(2, 1)), id="more than the input"),
        pytest.param(replace(PLAIN, protocol_fee=(2, 1)), id="the protocol's, more than the whole"),
    ],
)
def test_a_fee_that_makes_no_sense_is_refused(spec: DammV1PoolSpec) -> None:
    assert refused_for(decoded(made(spec)), 10**6) is RefusedFor.FEE_CALCULATION


def test_a_swap_too_small_for_either_curve_is_refused() -> None:
    """The first unit is rounded away by the vault: nothing arrives."""
    for spec in (FREE, replace(FREE, curve=StableSpec())):
        assert refused_for(decoded(made(spec)), 1) is RefusedFor.ZERO_TRADING_TOKENS


def test_the_stable_curve_may_give_nothing_for_a_unit() -> None:
    """It keeps a unit of what it owes."""
    even = VaultSpec(total=10**13, lp_supply=10**13, reserve=10**13)
    pool = decoded(made(replace(FREE, curve=StableSpec(), vaults=(even, even))))
    outcome = pool.swap(0, 1, CLOCK)
    assert (outcome.lp_in, outcome.amount_out, outcome.pool_loss) == (1, 0, 0)


@pytest.mark.parametrize(
    ("locked", "reason"), [(0, RefusedFor.MATH_OVERFLOW), (1, RefusedFor.VAULT_MATH_OVERFLOW)], ids=["all", "more"]
)
def test_a_vault_all_of_whose_tokens_are_locked_is_worth_nothing(locked: int, reason: RefusedFor) -> None:
    pool = decoded(made(PLAIN))
    vault = replace(
        pool.vaults[0], locked_profit=pool.vaults[0].total + locked, last_report=CLOCK.unix_timestamp, degradation=1
    )
    assert refused_for(replace(pool, vaults=(vault, pool.vaults[1])), 10**6) is reason


def test_a_pool_rounds_by_what_each_vaults_lp_token_stands_for() -> None:
    plain, rounds = (VaultSpec(total=10**13, lp_supply=10**13, reserve=10**13), [])
    for vault in (plain, DEAR):
        pool = decoded(made(replace(PLAIN, vaults=(vault, vault), pool_lp=(vault.lp_supply, vault.lp_supply))))
        rounds.append(pool.rounding(A, 10**6, CLOCK))
    # both tokens are worth the same, so each rounding is of a unit of either
    assert rounds[0] is not None
    assert rounds[1] == rounds[0] + 2 * (2 * 1_000 - 2)


def test_what_a_vaults_lp_token_stands_for_is_that_of_the_time_and_rounded_up() -> None:
    """Half of each vault is locked: an LP token is a third of a unit, or three and a third. The rest rounds nine times.

    Both sides are worth the same, so each rounding is of a unit of either.
    """
    earning = VaultSpec(
        total=2 * 10**13, lp_supply=3 * 10**13, reserve=10**13, locked_profit=10**13, last_report=CLOCK.unix_timestamp
    )
    dearer = replace(earning, lp_supply=3 * 10**12)
    pool = made(replace(PLAIN, vaults=(earning, dearer), pool_lp=(3 * 10**12, 3 * 10**11))).pool()
    for mint in (A, B):
        assert pool.rounding(mint, 10**6, CLOCK) == (9 + 1 + 4) * 2


def test_no_amount_and_no_token_of_the_pools_are_mistakes_of_the_caller() -> None:
    pool = made(PLAIN).pool()
    for amount in (0, 1 << 64):
        with pytest.raises(ValueError, match="not a u64 above zero"):
            pool.quote(A, amount, CLOCK)
    another = PoolQuote(pool.address, STAKE_POOL, B, 1, 1, 0, STAKE_POOL)
    mistakes: tuple[Callable[[], object], ...] = (
        lambda: pool.quote(STAKE_POOL, 1, CLOCK),
        lambda: pool.mid_price(STAKE_POOL),
        lambda: pool.rounding(STAKE_POOL, 1, CLOCK),
        lambda: pool.swap_instruction(another, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=1),
    )
    for mistake in mistakes:
        with pytest.raises(ValueError, match=str(pool.address)):
            mistake()


def test_an_empty_pool_has_no_price() -> None:
    with pytest.raises(InsufficientLiquidity, match="the pool is empty"):
        made(replace(PLAIN, pool_lp=(0, 10**12))).pool().mid_price(A)


def test_a_pool_that_opens_in_an_unknown_way_is_not_traded() -> None:
    with pytest.raises(VenueUnavailable, match="opens in an unknown way"):
        made(replace(PLAIN, activation_type=2)).pool()


def test_a_pool_that_holds_more_lp_tokens_than_there_are_is_not_traded() -> None:
    with pytest.raises(VenueUnavailable, match=f"of vault {vault_address(B)}'s LP tokens more are held"):
        made(replace(PLAIN, pool_lp=(VAULT.lp_supply, VAULT.lp_supply + 1))).pool()


def test_a_vault_whose_lp_tokens_cannot_be_counted_is_not_traded() -> None:
    of = made(PLAIN)
    lp_mint = decoded(of).vaults[0].lp_mint
    of.accounts[lp_mint] = replace(of.accounts[lp_mint], owner=TOKEN_2022_PROGRAM)
    with pytest.raises(VenueUnavailable, match=f"LP mint {lp_mint} of vault {vault_address(A)}: no mint"):
        of.pool()


def test_a_pools_tokens_are_where_its_vaults_keep_them() -> None:
    assert made(PLAIN).pool().sides == (
        TokenSide(A, TOKEN_PROGRAM, 6, token_vault_address(vault_address(A))),
        TokenSide(B, TOKEN_PROGRAM, 6, token_vault_address(vault_address(B))),
    )


@pytest.mark.parametrize(
    ("spec", "stakes"),
    [(PLAIN, set()), (STABLE, set()), (DEPEG, {STAKE_POOL})],
    ids=["constant product", "stable", "depeg"],
)
def test_a_pool_needs_its_vaults_and_what_they_consist_of(spec: DammV1PoolSpec, stakes: set[Pubkey]) -> None:
    of = made(spec, stake_price=1_100_000)
    needed = {of.pool_address, A, B, CLOCK_SYSVAR, *stakes}
    for vault in decoded(of).vaults:
        needed |= {vault.address, token_vault_address(vault.address), vault.lp_mint}
        needed.add(vault_lp_address(vault.address, of.pool_address))
    assert of.venue.accounts_needed(of.pool_address, of.accounts) == needed


def test_a_pool_of_a_token_2022_mint_is_not_traded() -> None:
    of = made(PLAIN)
    of.accounts[A] = replace(of.accounts[A], owner=TOKEN_2022_PROGRAM)
    with pytest.raises(VenueUnavailable, match="not of the SPL Token program"):
        of.pool()


# --- what it takes, and what is refused -----------------------------------------------------------------------------


def test_swaps_never_burn_more_than_the_quote_expects() -> None:
    for case in VectorFile.load(VECTORS).cases:
        if case.ok and case.kind == "size":
            _, quote = quoted(MeteoraDammV1Venue(), case)
            assert case.result["cu"] <= quote.compute_units <= case.result["cu"] * 1.4


@pytest.mark.parametrize(
    ("program", "code", "kind", "says"),
    [
        (PROGRAM_ID, 6000, VenueUnavailable, "can't fill the whole amount"),
        (VAULT_PROGRAM_ID, 6000, VenueUnavailable, "not open for swaps"),
        (PROGRAM_ID, 6013, VenueUnavailable, "the swap program refused"),
        (VAULT_PROGRAM_ID, 6013, AmountTooSmall, "too small to buy anything"),
    ],
)
def test_one_code_means_another_thing_in_each_of_the_two_programs(
    program: Pubkey, code: int, kind: type[ExecutionError], says: str
) -> None:
    logs = [
        f"Program {PROGRAM_ID} invoke [1]",
        f"Program {VAULT_PROGRAM_ID} invoke [2]",
        f"Program {program} failed: custom program error: {code:#x}",
        f"Program {PROGRAM_ID} failed: custom program error: {code:#x}",
    ]
    error = error_classifier().classify({"InstructionError": [0, {"Custom": code}]}, [PROGRAM_ID], logs)
    assert isinstance(error, kind)
    assert says in str(error)

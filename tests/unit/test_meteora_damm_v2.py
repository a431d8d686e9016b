"""Meteora DAMM v2 quotes: exact at the edges that recorded swaps don't reach, safe on accounts that aren't pools."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    TokenNotTradable,
    VenueUnavailable,
)
from chalicelib.solana.accounts import INSTRUCTIONS_SYSVAR, Account, ChainClock
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    Mint,
    TransferFee,
    TransferFeeConfig,
)
from chalicelib.venues.meteora_damm_v2.layout import (
    AUTHORITY,
    EVENT_AUTHORITY,
    PROGRAM_ID,
    DammV2CollectFeeMode,
    MarketCapScheduler,
    RateLimiter,
    TimeScheduler,
)
from chalicelib.venues.meteora_damm_v2.math import limited_fee_numerator
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool, MeteoraDammV2Venue
from chalicelib.venues.meteora_damm_v2.refusals import MATH_OVERFLOW, TYPE_CAST_FAILED, DammV2SwapRefused
from chalicelib.venues.venue import Pool, Venue
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.meteora_damm_v2_pool import (
    MIN_SQRT_PRICE,
    DammV2PoolSpec,
    dynamic_fee,
    flat_fee,
    genesis_pool,
    sqrt_price,
)
from infra.localnet.programs.token_accounts import mint_account, token_account
from testing.sdk.made_up_pools import MadeUpPool, damm_v2_pools, sizes

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
NOW = CLOCK.unix_timestamp
VENUE = MeteoraDammV2Venue()
ADDRESS_A, ADDRESS_B, TRADER, STRANGER = (Pubkey(bytes([1 + number] * 32)) for number in range(4))
TOKEN_A, TOKEN_B = Mint(ADDRESS_A, TOKEN_PROGRAM, 9), Mint(ADDRESS_B, TOKEN_PROGRAM, 6)
U64_MAX = 2**64 - 1
MILLION = 1_000_000
ONE = 1 << 64
LIMITER = RateLimiter(
    cliff_numerator=10_000_000, increment_bps=50, max_duration=600, max_fee_bps=5_000, reference_amount=MILLION
)
RISING = TransferFeeConfig(TransferFee(0, U64_MAX, 0), TransferFee(1042, U64_MAX, 5_000))
LIMITED: dict[str, Any] = {
    "base_fee": LIMITER,
    "collect_fee_mode": DammV2CollectFeeMode.ONLY_B,
    "activation_point": NOW - 10,
}
COMPOUNDING: dict[str, Any] = {"collect_fee_mode": DammV2CollectFeeMode.COMPOUNDING, "reserves": (10**9, 10**9)}
# Where a pool's account has them.
TOKEN_FLAG_A, LIQUIDITY, TOTAL_PROTOCOL_FEE_B, TOKEN_AMOUNTS = 482, 360, 608, 680


def taxed(address: Pubkey, basis_points: int, maximum_fee: int = U64_MAX) -> Mint:
    fee = TransferFee(0, maximum_fee, basis_points)
    extensions = frozenset({int(ExtensionType.TRANSFER_FEE_CONFIG)})
    return Mint(address, TOKEN_2022_PROGRAM, 6, TransferFeeConfig(fee, fee), extensions)


def on_chain(**changes: Any) -> tuple[GenesisPool, dict[Pubkey, Account | None]]:
    """10^9 of each of two SPL tokens over the full range at par, a quarter percent of the output, but for `changes`."""
    defaults: dict[str, Any] = {"mints": (TOKEN_A, TOKEN_B), "liquidity": 10**9 * ONE}
    spec = DammV2PoolSpec(**defaults | changes)
    built = genesis_pool(spec)
    mints = {mint.address: mint_account(mint, supply=10**12, authority=None) for mint in spec.mints}
    return built, {**built.accounts, **mints}


def pool_of(**changes: Any) -> MeteoraDammV2Pool:
    built, chain = on_chain(**changes)
    return VENUE.decode(built.address, chain)


def with_bytes(chain: dict[Pubkey, Account | None], pool: Pubkey, offset: int, value: bytes) -> MeteoraDammV2Pool:
    account = chain[pool]
    assert account is not None
    data = account.data[:offset] + value + account.data[offset + len(value) :]
    return VENUE.decode(pool, chain | {pool: replace(account, data=data)})


def numerator(pool: MeteoraDammV2Pool, clock: ChainClock = CLOCK, side: int = 1, amount: int = 10**9) -> int:
    """The fee's, as far as an amount tells it: of the output for A, of the input for B (ONLY_B)."""
    outcome = pool.swap(side, amount, clock)
    whole = amount if outcome.fee_on_input else outcome.vault_out + outcome.fee
    return outcome.fee * 10**9 // whole


def at(seconds: int) -> ChainClock:
    return replace(CLOCK, unix_timestamp=NOW + seconds)


def test_the_venue_and_its_pools_keep_the_protocols() -> None:
    built, chain = on_chain()
    venue: Venue = VENUE
    pool: Pool = venue.decode(built.address, chain)

    assert (venue.program, venue.dex, pool.program, pool.dex) == ("meteora-damm-v2", "meteora") * 2
    assert pool.address == built.address
    assert [side.mint for side in pool.sides] == [ADDRESS_A, ADDRESS_B]
    assert [side.decimals for side in pool.sides] == [9, 6]


def test_two_reads_are_enough_and_nothing_more_is_asked_for() -> None:
    built, chain = on_chain()
    accounts: dict[Pubkey, Account | None] = {}

    while wanted := VENUE.accounts_needed(built.address, accounts) - accounts.keys():
        accounts.update({address: chain[address] for address in wanted})

    assert len(accounts) == 5
    assert VENUE.mints(built.address, accounts) == (ADDRESS_A, ADDRESS_B)
    VENUE.decode(built.address, accounts).quote(ADDRESS_A, 1_000, CLOCK)


# --- fees ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "side", "on_input", "of"),
    [
        (DammV2CollectFeeMode.OUTPUT, 0, False, ADDRESS_B),
        (DammV2CollectFeeMode.OUTPUT, 1, False, ADDRESS_A),
        (DammV2CollectFeeMode.ONLY_B, 0, False, ADDRESS_B),
        (DammV2CollectFeeMode.ONLY_B, 1, True, ADDRESS_B),
        (DammV2CollectFeeMode.COMPOUNDING, 0, False, ADDRESS_B),
        (DammV2CollectFeeMode.COMPOUNDING, 1, True, ADDRESS_B),
    ],
)
def test_the_fee_is_of_the_side_that_the_pool_names(
    mode: DammV2CollectFeeMode, side: int, on_input: bool, of: Pubkey
) -> None:
    pool = pool_of(
        collect_fee_mode=mode, reserves=(10**9, 10**9) if mode == DammV2CollectFeeMode.COMPOUNDING else (0, 0)
    )
    mint_in = (ADDRESS_A, ADDRESS_B)[side]

    quote, outcome = pool.quote(mint_in, MILLION, CLOCK), pool.swap(side, MILLION, CLOCK)

    assert (quote.fee_mint, outcome.fee_on_input) == (of, on_input)
    assert quote.fee == sum(outcome.split) > 0
    assert outcome.traded == (MILLION - quote.fee if on_input else MILLION)


@pytest.mark.parametrize(
    ("scheduler", "seconds", "expected"),
    [
        (TimeScheduler(500_000_000, False, 10, 60, 40_000_000), 0, 500_000_000),
        (TimeScheduler(500_000_000, False, 10, 60, 40_000_000), 59, 500_000_000),
        (TimeScheduler(500_000_000, False, 10, 60, 40_000_000), 60, 460_000_000),
        (TimeScheduler(500_000_000, False, 10, 60, 40_000_000), 10**6, 100_000_000),
        (TimeScheduler(500_000_000, True, 10, 60, 5_000), 180, 62_500_000),
        (TimeScheduler(500_000_000, True, 10, 60, 0), 180, 500_000_000),
        (TimeScheduler(500_000_000, True, 10, 60, 1), 60, 499_950_000),
    ],
)
def test_a_time_scheduled_fee_falls_with_each_period(scheduler: TimeScheduler, seconds: int, expected: int) -> None:
    pool = pool_of(base_fee=scheduler, activation_point=NOW, collect_fee_mode=DammV2CollectFeeMode.ONLY_B)
    assert numerator(pool, at(seconds)) == expected


def test_periods_are_of_slots_where_the_pool_counts_slots() -> None:
    scheduler = TimeScheduler(500_000_000, False, 10, 60, 40_000_000)
    pool = pool_of(
        base_fee=scheduler,
        activation_point=CLOCK.slot,
        activation_type=0,
        collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
    )

    assert numerator(pool) == 500_000_000
    assert numerator(pool, replace(CLOCK, slot=CLOCK.slot + 121)) == 420_000_000


@pytest.mark.parametrize(
    ("price", "seconds", "expected"),
    [
        (ONE, 0, 100_000_000),
        (ONE * 101 // 100, 0, 100_000_000),
        (ONE * 102 // 100 + 1, 0, 99_000_000),
        (ONE * 3, 0, 90_000_000),
        (ONE // 2, 0, 100_000_000),
        (ONE // 2, 600, 100_000_000),
        (ONE // 2, 601, 90_000_000),
    ],
)
def test_a_fee_scheduled_by_market_cap_falls_with_each_step_of_the_price(
    price: int, seconds: int, expected: int
) -> None:
    """Two percent of the square root a step, ten steps; after its time it is as low as it gets."""
    scheduler = MarketCapScheduler(100_000_000, False, 10, 200, 600, 1_000_000)
    pool = pool_of(
        base_fee=scheduler,
        sqrt_prices=(MIN_SQRT_PRICE, price, 1 << 96),
        init_sqrt_price=ONE,
        activation_point=NOW,
        collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
    )
    assert numerator(pool, at(seconds)) == expected


@pytest.mark.parametrize(
    ("amount", "fee"),
    [
        (MILLION, Fraction(1, 100)),
        (2 * MILLION, (Fraction(1, 100) + Fraction(15, 1_000)) / 2),
        (3 * MILLION, (Fraction(1, 100) + Fraction(15, 1_000) + Fraction(2, 100)) / 3),
    ],
)
def test_who_buys_more_pays_more_while_a_rate_limiter_is_at_work(amount: int, fee: Fraction) -> None:
    pool = pool_of(**LIMITED)

    assert pool.swap(1, amount, CLOCK).fee == fee * amount
    assert numerator(pool, at(591), amount=amount) == LIMITER.cliff_numerator
    sold = pool.swap(0, amount, CLOCK)
    assert sold.fee == -(-(sold.vault_out + sold.fee) // 100)


@given(st.integers(1, U64_MAX - 1))
def test_a_rate_limiters_fee_never_falls_with_the_amount_and_keeps_below_its_maximum(amount: int) -> None:
    less, more = (limited_fee_numerator(LIMITER, each) for each in (amount, amount + 1))

    assert LIMITER.cliff_numerator <= less <= 500_000_000 + -(-(10**9) // amount)
    # Of a whole fee of units, rounded up twice.
    assert more >= less - -(-2 * 10**9 // amount)


def test_what_moved_the_price_before_makes_this_swap_dearer_and_its_own_move_the_next() -> None:
    calm = pool_of(dynamic_fee=dynamic_fee(), collect_fee_mode=DammV2CollectFeeMode.ONLY_B)
    moved = pool_of(
        dynamic_fee=dynamic_fee(volatility_accumulator=2_000_000, last_update_timestamp=NOW, sqrt_price_reference=ONE),
        collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
    )

    assert numerator(calm) == 2_500_000
    assert numerator(moved) == 2_500_000 + 38_240
    assert numerator(moved, at(10_000)) == numerator(moved)
    after = calm.swap(1, 10**8, CLOCK).dynamic_fee
    assert after is not None
    assert after.volatility_accumulator > 0
    assert after.last_update_timestamp == NOW


@pytest.mark.parametrize(("version", "most"), [(0, 500_000_000), (1, 990_000_000)])
def test_all_fees_together_are_cut_down_to_what_the_pools_version_allows(version: int, most: int) -> None:
    pool = pool_of(
        base_fee=flat_fee(980_000_000),
        dynamic_fee=dynamic_fee(volatility_accumulator=14_460_000, variable_fee_control=40_000),
        collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
        fee_version=version,
    )
    assert numerator(pool) == most


def test_a_part_of_the_fee_stays_in_a_compounding_pool() -> None:
    pool = pool_of(**COMPOUNDING, compounding_fee_bps=2_500)

    outcome = pool.swap(1, MILLION, CLOCK)

    assert outcome.split == (500, 500, 1_500)
    assert outcome.token_amounts == (10**9 - outcome.vault_out, 10**9 + outcome.traded + 500)


# --- amounts -------------------------------------------------------------------------------------------------------


def test_transfer_fees_of_both_tokens_are_taken_off() -> None:
    pool = pool_of(mints=(taxed(ADDRESS_A, 100), taxed(ADDRESS_B, 200)))
    plain = pool_of()

    quote = pool.quote(ADDRESS_A, MILLION, CLOCK)

    before_tax = plain.quote(ADDRESS_A, MILLION - 10_000, CLOCK).amount_out
    assert quote.amount_out == before_tax - -(-before_tax * 200 // 10_000)
    assert quote.amount_in == MILLION
    assert quote.not_guaranteed == 0


def test_a_swaps_effects_tell_what_the_output_mint_withholds() -> None:
    pool = pool_of(mints=(TOKEN_A, taxed(ADDRESS_B, 100)))

    outcome = pool.swap(0, MILLION, CLOCK)

    assert outcome.output_transfer_fee == -(-outcome.vault_out // 100)
    assert outcome.amount_out == pool.quote(ADDRESS_A, MILLION, CLOCK).amount_out


def test_the_amount_that_a_rate_limiter_counts_is_what_arrives() -> None:
    pool = pool_of(**LIMITED, mints=(TOKEN_A, taxed(ADDRESS_B, 5_000)))
    assert pool.swap(1, 2 * MILLION, CLOCK).fee == MILLION // 100


@pytest.mark.parametrize(
    ("changes", "amount_in", "expected"),
    [
        ({"status": 1}, MILLION, VenueUnavailable),
        ({"activation_point": NOW + 1}, MILLION, VenueUnavailable),
        ({"activation_point": CLOCK.slot + 1, "activation_type": 0}, MILLION, VenueUnavailable),
        ({"liquidity": 0}, MILLION, InsufficientLiquidity),
        ({"mints": (taxed(ADDRESS_A, 10_000), TOKEN_B)}, MILLION, AmountTooSmall),
        ({"mints": (TOKEN_A, taxed(ADDRESS_B, 10_000))}, MILLION, AmountTooSmall),
        ({}, 1, AmountTooSmall),
        ({"sqrt_prices": (ONE - 1, ONE, 2 * ONE)}, MILLION, InsufficientLiquidity),
        ({"sqrt_prices": (ONE, ONE, 2 * ONE)}, MILLION, InsufficientLiquidity),
        ({"base_fee": TimeScheduler(100, False, 200, 1, 1)}, MILLION, InsufficientLiquidity),
        ({"base_fee": TimeScheduler(10**8, True, 200, 1, 9_999)}, MILLION, InsufficientLiquidity),
        ({"base_fee": TimeScheduler(10**8, True, 200, 1, 10_001)}, MILLION, InsufficientLiquidity),
        (
            {"base_fee": MarketCapScheduler(100, True, 1, 0, 2**32 - 1, 1), "init_sqrt_price": 5},
            9,
            InsufficientLiquidity,
        ),
        ({"dynamic_fee": dynamic_fee(last_update_timestamp=NOW)}, MILLION, InsufficientLiquidity),
    ],
)
def test_what_the_program_refuses_or_pays_nothing_for_is_refused_in_kind(
    changes: dict[str, Any], amount_in: int, expected: type[ExecutionError]
) -> None:
    with pytest.raises(expected):
        pool_of(**changes).quote(ADDRESS_A, amount_in, CLOCK)


def test_a_pool_opens_at_its_activation_point() -> None:
    assert pool_of(activation_point=NOW).quote(ADDRESS_A, MILLION, CLOCK).amount_out > 0
    assert pool_of(activation_point=CLOCK.slot, activation_type=0).quote(ADDRESS_A, MILLION, CLOCK).amount_out > 0


@pytest.mark.parametrize(("mint", "amount_in"), [(STRANGER, 1), (ADDRESS_A, 0), (ADDRESS_A, -1), (ADDRESS_A, 2**64)])
def test_a_question_that_makes_no_sense_is_a_value_error(mint: Pubkey, amount_in: int) -> None:
    with pytest.raises(ValueError, match="is not a"):
        pool_of().quote(mint, amount_in, CLOCK)


def test_no_more_is_quoted_than_the_vault_holds_or_can_hold() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    paid = pool.quote(ADDRESS_A, MILLION, CLOCK).amount_out
    for vault, mint, held, told in (
        (1, TOKEN_B, paid - 1, "its vault holds"),
        (0, TOKEN_A, U64_MAX - MILLION + 1, "the vault can't hold this much"),
    ):
        short = VENUE.decode(built.address, chain | {pool.vaults[vault]: token_account(mint, AUTHORITY, held)})
        with pytest.raises(InsufficientLiquidity, match=rf"pool {built.address}\b.*{told}"):
            short.quote(ADDRESS_A, MILLION, CLOCK)
    full = chain | {
        pool.vaults[1]: token_account(TOKEN_B, AUTHORITY, paid),
        pool.vaults[0]: token_account(TOKEN_A, AUTHORITY, U64_MAX - MILLION),
    }
    assert VENUE.decode(built.address, full).quote(ADDRESS_A, MILLION, CLOCK).amount_out == paid


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (TOKEN_AMOUNTS, U64_MAX.to_bytes(8, "little")),  # of A, to which is added
        (TOKEN_AMOUNTS + 8, (1).to_bytes(8, "little")),  # of B, from which is taken
        (TOTAL_PROTOCOL_FEE_B, U64_MAX.to_bytes(8, "little")),
        (LIQUIDITY, bytes(16)),
    ],
)
def test_sums_that_the_program_can_not_keep_are_its_overflow(offset: int, value: bytes) -> None:
    built, chain = on_chain()
    pool = with_bytes(chain, built.address, offset, value)

    with pytest.raises(DammV2SwapRefused) as refused:
        pool.swap(0, MILLION, CLOCK)
    assert refused.value.code == MATH_OVERFLOW
    with pytest.raises(InsufficientLiquidity, match=f"pool {pool.address}: .*sums overflow"):
        pool.quote(ADDRESS_A, MILLION, CLOCK)


@pytest.mark.parametrize("changes", [{"liquidity": 0}, {"protocol_fee_percent": 101}, {"compounding_fee_bps": 20_000}])
@pytest.mark.parametrize("kind", [{}, COMPOUNDING], ids=["in a range", "compounding"])
def test_no_pool_is_quoted_without_liquidity_or_of_whose_fee_more_than_all_is_given_away(
    kind: dict[str, Any], changes: dict[str, Any]
) -> None:
    pool = pool_of(**kind)
    broken = replace(pool, state=pool.state._replace(**changes), _terms=[None, None])
    with pytest.raises(InsufficientLiquidity):
        broken.quote(ADDRESS_A, MILLION, CLOCK)


def test_the_fees_that_overflow_are_those_of_the_side_that_the_fee_is_of() -> None:
    built, chain = on_chain(collect_fee_mode=DammV2CollectFeeMode.ONLY_B)
    pool = with_bytes(chain, built.address, TOTAL_PROTOCOL_FEE_B, U64_MAX.to_bytes(8, "little"))
    for mint in (ADDRESS_A, ADDRESS_B):
        with pytest.raises(InsufficientLiquidity, match="sums overflow"):
            pool.quote(mint, MILLION, CLOCK)


def test_a_compounding_pool_without_the_token_that_is_bought_has_no_price_to_keep() -> None:
    pool = pool_of(**COMPOUNDING)
    empty = replace(pool, state=pool.state._replace(token_amounts=(0, 10**9)), _terms=[None, None])
    with pytest.raises(InsufficientLiquidity):
        empty.quote(ADDRESS_B, MILLION, CLOCK)


def test_a_rate_limiters_rate_is_rounded_in_parts_of_the_whole_amount() -> None:
    limited, plain = pool_of(**LIMITED), pool_of()
    rounding, without = (pool.rounding(ADDRESS_B, 5 * 10**9 + 7, CLOCK) for pool in (limited, plain))
    assert rounding is not None
    assert without is not None
    assert rounding == without + 5 * 2


def test_a_compounding_pool_rounds_as_often_as_one_with_a_range() -> None:
    compounding, plain = pool_of(**COMPOUNDING), pool_of()
    assert compounding.mid_price(ADDRESS_A) == plain.mid_price(ADDRESS_A) == 1
    assert compounding.rounding(ADDRESS_A, MILLION, CLOCK) == plain.rounding(ADDRESS_A, MILLION, CLOCK)


def test_what_a_vault_does_not_hold_is_told_with_what_is_owed() -> None:
    pool = replace(pool_of(), vault_amounts=(10**9, 5))
    with pytest.raises(InsufficientLiquidity, match=rf"owes \d+ base units for {MILLION}; its vault holds 5$"):
        pool.quote(ADDRESS_A, MILLION, CLOCK)


def test_a_token_that_it_does_not_trade_has_no_price_in_this_pool() -> None:
    pool = pool_of()
    with pytest.raises(ValueError, match=str(pool.address)):
        pool.mid_price(STRANGER)
    with pytest.raises(ValueError, match=str(pool.address)):
        pool.quote(STRANGER, MILLION, CLOCK)
    with pytest.raises(ValueError, match=str(pool.address)):
        pool.rounding(STRANGER, MILLION, CLOCK)


def test_the_protocols_fees_are_counted_up_to_a_u64() -> None:
    built, chain = on_chain()
    owed = U64_MAX - pool_of().swap(0, MILLION, CLOCK).split.protocol
    full = with_bytes(chain, built.address, TOTAL_PROTOCOL_FEE_B, owed.to_bytes(8, "little"))
    assert full.swap(0, MILLION, CLOCK).amount_out
    with pytest.raises(DammV2SwapRefused) as refused:
        with_bytes(chain, built.address, TOTAL_PROTOCOL_FEE_B, (owed + 1).to_bytes(8, "little")).swap(0, MILLION, CLOCK)
    assert refused.value.code == MATH_OVERFLOW


@pytest.mark.parametrize("side", [0, 1])
def test_each_token_is_counted_up_to_a_u64(side: int) -> None:
    built, chain = on_chain()
    offset, held = TOKEN_AMOUNTS + 8 * side, U64_MAX - MILLION
    full = with_bytes(chain, built.address, offset, held.to_bytes(8, "little"))
    assert full.swap(side, MILLION, CLOCK).token_amounts[side] == U64_MAX
    with pytest.raises(DammV2SwapRefused) as refused:
        with_bytes(chain, built.address, offset, (held + 1).to_bytes(8, "little")).swap(side, MILLION, CLOCK)
    assert refused.value.code == MATH_OVERFLOW


@pytest.mark.parametrize(
    ("reserves", "mint_in", "amount_in", "reference", "uncounted"),
    [
        ((8 * 10**18, 2), ADDRESS_A, 9 * 10**18, 1 << 96, 3 << 95),
        ((2, 9 * 10**18), ADDRESS_B, 9 * 10**18, 1 << 32, 1 << 31),
    ],
    ids=["the price falls", "the price rises"],
)
def test_a_compounding_pools_price_may_be_as_far_from_the_reference_as_128_bits_tell(
    reserves: tuple[int, int], mint_in: Pubkey, amount_in: int, reference: int, uncounted: int
) -> None:
    """Of two units of a token one is sold, without a fee."""
    counted, overflowing = (
        pool_of(
            collect_fee_mode=DammV2CollectFeeMode.COMPOUNDING,
            reserves=reserves,
            base_fee=flat_fee(0),
            dynamic_fee=dynamic_fee(last_update_timestamp=NOW, sqrt_price_reference=price),
        )
        for price in (reference, uncounted)
    )
    assert counted.quote(mint_in, amount_in, CLOCK).amount_out == 1
    with pytest.raises(InsufficientLiquidity, match="sums overflow"):
        overflowing.quote(mint_in, amount_in, CLOCK)


def test_an_amount_that_buys_nothing_is_told_with_the_pool() -> None:
    pool = pool_of()
    with pytest.raises(AmountTooSmall, match=f"{pool.address} pays nothing for 1 base units"):
        pool.quote(ADDRESS_A, 1, CLOCK)


huge = st.one_of(sizes(U64_MAX), st.integers(U64_MAX - 10**7, U64_MAX))


@given(
    made=damm_v2_pools(),
    token_amounts=st.none() | st.tuples(huge, huge),
    total_protocol_fees=st.tuples(huge, huge),
    volatility=st.none() | sizes(2**128 - 1),
    bin_step=st.none() | st.integers(0, 2**17),
    reference=st.none() | sizes(2**128 - 1),
)
@settings(max_examples=60)
def test_a_quote_overflows_where_the_swap_does(
    made: MadeUpPool,
    token_amounts: tuple[int, int] | None,
    total_protocol_fees: tuple[int, int],
    volatility: int | None,
    bin_step: int | None,
    reference: int | None,
) -> None:
    """Quotes look at bounds first, which is quicker, and work out what a swap leaves only where these don't tell."""
    pool = VENUE.decode(made.address, made.accounts)
    state = pool.state._replace(total_protocol_fees=total_protocol_fees)
    if token_amounts is not None:
        state = state._replace(token_amounts=token_amounts)
    if state.dynamic_fee is not None:
        changes = {
            "volatility_reference": volatility,
            "bin_step_q64": bin_step,
            "sqrt_price_reference": reference,
        }
        told = {name: number for name, number in changes.items() if number is not None}
        state = state._replace(dynamic_fee=state.dynamic_fee._replace(**told))
    pool = replace(pool, state=state, vault_amounts=(U64_MAX >> 1, U64_MAX), _terms=[None, None])
    for mint_in, amount_in in made.swaps:
        side = [mint.address for mint in pool.mints].index(mint_in)
        expected: int | type[ExecutionError]
        try:
            outcome = pool.swap(side, amount_in, made.clock)
        except DammV2SwapRefused as refusal:
            expected = type(refusal.execution_error(pool.address))
        else:
            expected = outcome.amount_out or AmountTooSmall
            vault_in = amount_in - outcome.input_transfer_fee
            if outcome.amount_out and (
                pool.vault_amounts[side] + vault_in > U64_MAX or outcome.vault_out > pool.vault_amounts[1 - side]
            ):
                expected = InsufficientLiquidity
        try:
            found: int | type[ExecutionError] = pool.quote(mint_in, amount_in, made.clock).amount_out
        except ExecutionError as error:
            found = type(error)
        assert found == expected


def test_what_was_worked_out_at_one_clock_is_not_used_at_another() -> None:
    pool = pool_of(
        base_fee=TimeScheduler(500_000_000, exponential=False, periods=10, period_frequency=60, reduction=40_000_000),
        activation_point=NOW,
        mints=(TOKEN_A, replace(taxed(ADDRESS_B, 0), transfer_fee=RISING)),
    )
    asked = [CLOCK, at(60), replace(CLOCK, epoch=1042), CLOCK]

    paid = [pool.quote(ADDRESS_A, MILLION, clock).amount_out for clock in asked]

    assert paid[0] == paid[3] < paid[1]
    assert paid[2] == paid[0] // 2


def test_a_price_beyond_128_bits_is_refused() -> None:
    pool = pool_of(liquidity=1 << 20, sqrt_prices=(MIN_SQRT_PRICE, ONE, (1 << 128) - 1))

    with pytest.raises(DammV2SwapRefused) as refused:
        pool.swap(1, U64_MAX, CLOCK)
    assert refused.value.code == TYPE_CAST_FAILED


def test_an_older_pool_counts_its_tokens_at_the_next_swap() -> None:
    counted, uncounted = pool_of(), pool_of(layout_version=0)

    assert uncounted.state.token_amounts == (0, 0)
    assert uncounted.swap(0, MILLION, CLOCK) == counted.swap(0, MILLION, CLOCK)


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"sqrt_prices": (MIN_SQRT_PRICE, ONE * 2, 1 << 90)}, Fraction(4)),
        ({"collect_fee_mode": DammV2CollectFeeMode.COMPOUNDING, "reserves": (4 * 10**6, 6 * 10**6)}, Fraction(3, 2)),
    ],
)
def test_the_mid_price_is_the_curves_both_ways(changes: dict[str, Any], price: Fraction) -> None:
    pool = pool_of(**changes)

    assert pool.mid_price(ADDRESS_A) == price
    assert pool.mid_price(ADDRESS_B) == 1 / price


def test_an_empty_pool_has_no_price() -> None:
    with pytest.raises(InsufficientLiquidity, match="the pool is empty"):
        pool_of(liquidity=0).mid_price(ADDRESS_A)
    with pytest.raises(ValueError, match="is not a token"):
        pool_of().mid_price(STRANGER)


amounts = st.integers(1, 10**15)


@given(
    price=st.fractions(Fraction(1, 10**6), 10**6, max_denominator=10**6),
    amount_in=amounts,
    side=st.integers(0, 1),
    mode=st.sampled_from(list(DammV2CollectFeeMode)),
    fee=st.integers(100_000, 990_000_000),
    reserve=st.integers(10**6, 10**12),
)
def test_no_swap_takes_more_than_it_may(
    price: Fraction, amount_in: int, side: int, mode: DammV2CollectFeeMode, fee: int, reserve: int
) -> None:
    """No pool pays more than its mid price, nothing is lost between vault, trader and fees, no fee is short."""
    other = max(int(reserve * price), 1)
    pool = pool_of(
        liquidity=reserve * ONE,
        sqrt_prices=(MIN_SQRT_PRICE, sqrt_price(price), 1 << 90),
        collect_fee_mode=mode,
        reserves=(reserve, other) if mode == DammV2CollectFeeMode.COMPOUNDING else (0, 0),
        base_fee=flat_fee(fee),
    )
    mint_in = (ADDRESS_A, ADDRESS_B)[side]
    try:
        quote, outcome = pool.quote(mint_in, amount_in, CLOCK), pool.swap(side, amount_in, CLOCK)
    except (AmountTooSmall, InsufficientLiquidity):
        return

    bought = outcome.vault_out + (0 if outcome.fee_on_input else outcome.fee)
    before, after = pool.state.token_amounts, outcome.token_amounts
    compounded = outcome.split.compounding
    assert after[side] - before[side] - (compounded if side == 1 else 0) == outcome.traded
    assert before[1 - side] - after[1 - side] + (compounded if side == 0 else 0) == bought
    assert bought <= pool.mid_price(mint_in) * outcome.traded
    whole = amount_in if outcome.fee_on_input else bought
    assert Fraction(fee, 10**9) * whole <= outcome.fee < Fraction(fee, 10**9) * whole + 1
    assert quote.amount_out == outcome.amount_out > 0


@given(amount_in=st.integers(1, 10**13), side=st.integers(0, 1), limited=st.booleans())
def test_more_in_never_pays_less_out(amount_in: int, side: int, limited: bool) -> None:
    """But for a rate limiter's rounding, and while it is at work its fee grows less than the amount."""
    pool = pool_of(**(LIMITED if limited else {"base_fee": flat_fee(25_000_000)}))
    less, more = (pool.swap(side, amount, CLOCK).amount_out for amount in (amount_in, amount_in + 1))

    assert more >= less - limited


# --- accounts and instruction --------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, LIMITED], ids=["plain", "with a rate limiter"])
def test_the_instruction_names_the_programs_accounts(changes: dict[str, Any]) -> None:
    pool = pool_of(**changes, mints=(TOKEN_A, taxed(ADDRESS_B, 100)))
    quote = pool.quote(ADDRESS_B, MILLION, CLOCK)

    built = pool.swap_instruction(quote, trader=TRADER, source=ADDRESS_A, destination=STRANGER, minimum_out=77)

    assert built.program_id == PROGRAM_ID
    amounts = (MILLION).to_bytes(8, "little") + (77).to_bytes(8, "little")
    assert bytes(built.data) == bytes.fromhex("f8c69e91e17587c8") + amounts
    limiter = [INSTRUCTIONS_SYSVAR] if changes else []
    assert [meta.pubkey for meta in built.accounts] == [
        AUTHORITY,
        pool.address,
        ADDRESS_A,
        STRANGER,
        *pool.vaults,
        ADDRESS_A,
        ADDRESS_B,
        TRADER,
        TOKEN_PROGRAM,
        TOKEN_2022_PROGRAM,
        PROGRAM_ID,
        EVENT_AUTHORITY,
        PROGRAM_ID,
        *limiter,
    ]
    assert [number for number, meta in enumerate(built.accounts) if meta.is_signer] == [8]
    assert [number for number, meta in enumerate(built.accounts) if meta.is_writable] == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="a quote of pool"):
        pool_of(config=STRANGER).swap_instruction(
            quote, trader=TRADER, source=ADDRESS_A, destination=STRANGER, minimum_out=77
        )


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"mints": (TOKEN_A, taxed(ADDRESS_B, 1))}, 3_500),
        (COMPOUNDING, 21_000),
        ({"dynamic_fee": dynamic_fee()}, 7_500),
        ({"base_fee": TimeScheduler(10**7, True, 10, 60, 500)}, 4_500),
        (LIMITED, 4_500),
        ({"layout_version": 0}, 5_000),
    ],
)
def test_a_quote_expects_more_compute_units_where_there_is_more_to_compute(changes: dict[str, Any], more: int) -> None:
    plain, dearer = (pool_of(**each).quote(ADDRESS_A, MILLION, CLOCK).compute_units for each in ({}, changes))
    assert dearer - plain == more


def test_accounts_that_were_not_read_are_named() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    for missing in (built.address, *pool.vaults, ADDRESS_A, ADDRESS_B):
        with pytest.raises(AccountsMissing) as error:
            VENUE.decode(built.address, {address: each for address, each in chain.items() if address != missing})
        assert error.value.addresses == (str(missing),)


def test_an_account_that_does_not_exist_makes_the_pool_unavailable() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    for absent in (built.address, *pool.vaults, ADDRESS_A, ADDRESS_B):
        with pytest.raises(VenueUnavailable):
            VENUE.decode(built.address, chain | {absent: None})


def test_a_mint_that_can_not_be_moved_keeps_the_pool_from_being_traded() -> None:
    built, chain = on_chain(mints=(TOKEN_A, taxed(ADDRESS_B, 1)))
    mint = chain[ADDRESS_B]
    assert mint is not None
    untransferable = mint.data + bytes([ExtensionType.NON_TRANSFERABLE, 0, 0, 0])
    with pytest.raises(TokenNotTradable):
        VENUE.decode(built.address, chain | {ADDRESS_B: replace(mint, data=untransferable)})


def test_a_pool_that_names_another_token_program_than_its_mints_is_none() -> None:
    built, chain = on_chain()
    with pytest.raises(VenueUnavailable, match="other token programs"):
        with_bytes(chain, built.address, TOKEN_FLAG_A, b"\1")

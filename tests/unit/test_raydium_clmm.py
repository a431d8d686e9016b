"""Raydium CLMM as a venue: accounts read as a quote reaches them, what a swap names, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
    VenueUnavailable,
)
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.venues.raydium_clmm.layout import (
    EXTENDED_REACH,
    MAX_TICK,
    MIN_TICK,
    PROGRAM_ID,
    TickArrayBitmap,
    bitmap_extension_address,
    extension_bits,
    tick_array_address,
)
from chalicelib.venues.raydium_clmm.math import (
    MAX_SQRT_PRICE,
    MIN_SQRT_PRICE,
    Unquotable,
    sqrt_price_at,
    tick_at,
)
from chalicelib.venues.raydium_clmm.pool import ARRAYS_EACH_WAY, RaydiumClmmPool, RaydiumClmmVenue
from chalicelib.venues.raydium_clmm.refusals import ERROR_NUMBERS, REFUSALS
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition, genesis_pool
from infra.localnet.programs.token_accounts import mint_account
from testing.sdk.made_up_clmm_pools import PLAIN_0, PLAIN_1, TAXED_0, clmm_specs
from tests.conformance.agreement import quoted
from tests.conformance.subjects.raydium_clmm import RaydiumClmmSubject
from tests.conformance.vector_file import VectorFile
from tests.unit.raydium_clmm_market import CLOCK, DESTINATION, SOURCE, TRADER, Market

VENUE = RaydiumClmmVenue()
VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "raydium_clmm.json.gz"
# One position in each of many tick arrays of spacing 1, side by side.
LADDER = ClmmPoolSpec(
    mint_0=PLAIN_0,
    mint_1=PLAIN_1,
    config_index=1,
    tick_spacing=1,
    sqrt_price=sqrt_price_at(30),
    positions=tuple(ClmmPosition(number * 60 + 10, number * 60 + 70, 10**12) for number in range(-9, 10)),
)
POOL = genesis_pool(LADDER)
ACCOUNTS: dict[Pubkey, Account] = POOL.accounts | {
    mint.address: mint_account(mint, supply=10**18, authority=None) for mint in (PLAIN_0, PLAIN_1)
}
EXTENSION = bitmap_extension_address(POOL.address)
DOWN, UP = PLAIN_0.address, PLAIN_1.address


def array(number: int) -> Pubkey:
    return tick_array_address(POOL.address, number * 60)


def read() -> dict[Pubkey, Account | None]:
    """What is read of the pool before anything is quoted."""
    known: dict[Pubkey, Account | None] = {}
    while wanted := VENUE.accounts_needed(POOL.address, known) - known.keys():
        known |= {address: ACCOUNTS.get(address) for address in wanted}
    return known


def pool_of(accounts: dict[Pubkey, Account | None], spec: ClmmPoolSpec | None = None) -> RaydiumClmmPool:
    if spec is not None:
        accounts = {**accounts, **genesis_pool(spec).accounts}
    return VENUE.decode(POOL.address, accounts)


def test_the_nearest_tick_arrays_are_read_with_the_pool() -> None:
    arrays = {address for address, account in read().items() if account and len(account.data) == 10_240}
    assert arrays == {array(number) for number in range(1 - ARRAYS_EACH_WAY, ARRAYS_EACH_WAY)}


@pytest.mark.parametrize(("mint_in", "further"), [(DOWN, (-3, -4, -5)), (UP, (3, 4, 5))])
def test_a_quote_that_goes_further_names_the_arrays_that_it_needs(mint_in: Pubkey, further: tuple[int, ...]) -> None:
    known = read()
    with pytest.raises(AccountsMissing) as missing:
        pool_of(known).quote(mint_in, 2 * 10**10, CLOCK)
    assert set(missing.value.addresses) == {str(array(number)) for number in further}
    known |= {Pubkey.from_string(each): ACCOUNTS[Pubkey.from_string(each)] for each in missing.value.addresses}
    assert pool_of(known).quote(mint_in, 10**10, CLOCK).amount_out > 0


def test_a_quote_that_ended_for_want_of_an_array_can_be_asked_again() -> None:
    pool = pool_of(read())
    first = pool.quote(DOWN, 10**6, CLOCK)
    for _ in range(2):
        with pytest.raises(AccountsMissing):
            pool.quote(DOWN, 2 * 10**10, CLOCK)
    assert pool.quote(DOWN, 10**6, CLOCK) == first


def test_a_marked_array_that_does_not_exist_is_no_lack_of_liquidity() -> None:
    known = {address: None if address == array(-1) else account for address, account in read().items()}
    with pytest.raises(VenueUnavailable, match="does not exist"):
        pool_of(known).quote(DOWN, 10**9 * 5, CLOCK)


@pytest.mark.parametrize(
    ("mint_in", "amount", "arrays", "spares"),
    [
        (DOWN, 10**6, (0,), (-1, 1, -2)),
        (UP, 10**6, (0, 1), (2, -1, 3)),
        (DOWN, 5 * 10**9, (0, -1, -2), (-3, 1, -4)),
    ],
)
def test_a_swap_names_its_arrays_in_order_and_the_spare_ones_where_they_belong(
    mint_in: Pubkey, amount: int, arrays: tuple[int, ...], spares: tuple[int, ...]
) -> None:
    pool = pool_of(read())
    quote = pool.quote(mint_in, amount, CLOCK)
    assert quote.remaining_accounts == (EXTENSION, *map(array, arrays))
    assert quote.spare_accounts == tuple(map(array, spares))

    with_spares = quote._replace(remaining_accounts=quote.remaining_accounts + quote.spare_accounts)
    swap = pool.swap_instruction(with_spares, trader=DOWN, source=DOWN, destination=UP, minimum_out=1)
    named = [meta.pubkey for meta in swap.accounts[13:]]
    assert named == [EXTENSION, *map(array, sorted((*arrays, *spares), reverse=mint_in == DOWN))]


@pytest.mark.parametrize("moved_to", [30 - 60, 30 + 60])
@pytest.mark.parametrize("mint_in", [DOWN, UP])
def test_a_swap_still_lands_when_the_price_has_moved_over_an_arrays_edge(mint_in: Pubkey, moved_to: int) -> None:
    pool = pool_of(read())
    quote = pool.quote(mint_in, 10**6, CLOCK)
    with_spares = quote._replace(remaining_accounts=quote.remaining_accounts + quote.spare_accounts)
    swap = pool.swap_instruction(with_spares, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=1)
    moved = genesis_pool(replace(LADDER, sqrt_price=sqrt_price_at(moved_to)))
    after = Market(POOL.address, ACCOUNTS | moved.accounts, mint_in)

    effect = after.run(bytes(swap.data), list(swap.accounts))

    assert effect.transfers[1].amount == after.quote(10**6).amount_out


def test_without_a_bitmap_extension_none_is_named() -> None:
    # somebody sent lamports to its address
    known = read() | {EXTENSION: Account(Pubkey.default(), 1, b"")}
    assert EXTENSION not in pool_of(known).quote(DOWN, 10**6, CLOCK).remaining_accounts


def test_a_price_beyond_the_pools_own_bitmap_needs_the_extension() -> None:
    far = replace(
        LADDER,
        sqrt_price=sqrt_price_at(512 * 60 + 30),
        positions=(ClmmPosition(512 * 60, 512 * 60 + 60, 10**12), ClmmPosition(0, 60, 10**12)),
    )
    market = Market.of(far, zero_for_one=True)
    assert market.quote(10**6).amount_out > 0
    data, metas = market.instruction(10**6)
    with pytest.raises(ProgramError, match="bitmap extension"):
        market.run(data, [meta for meta in metas if meta.pubkey != bitmap_extension_address(market.address)])
    del market.accounts[bitmap_extension_address(market.address)]
    with pytest.raises(InsufficientLiquidity, match="no bitmap extension"):
        market.quote(10**6)


def test_arrays_that_only_the_bitmap_extension_names_are_read_too() -> None:
    far = genesis_pool(
        replace(
            LADDER, sqrt_price=sqrt_price_at(512 * 60 + 30), positions=(ClmmPosition(512 * 60, 512 * 60 + 60, 10**12),)
        )
    )
    known: dict[Pubkey, Account | None] = {POOL.address: far.accounts[POOL.address], EXTENSION: far.accounts[EXTENSION]}
    assert array(512) in VENUE.accounts_needed(POOL.address, known)
    assert array(512) not in VENUE.accounts_needed(POOL.address, known | {EXTENSION: None})


def test_how_far_a_pool_rounds_is_told_until_a_transfer_fee_may_come_to_its_maximum() -> None:
    taxed = replace(LADDER, mint_0=TAXED_0, mint_1=PLAIN_1)
    pool = Market.of(taxed, zero_for_one=True).pool()
    assert pool.rounding(TAXED_0.address, 10**6, CLOCK)
    assert pool.rounding(TAXED_0.address, 10**9, CLOCK) is None


@pytest.mark.parametrize(
    ("change", "when", "kind"),
    [
        ({"status": 1 << 4}, CLOCK.unix_timestamp, VenueUnavailable),
        ({"open_time": CLOCK.unix_timestamp}, CLOCK.unix_timestamp, VenueUnavailable),
        ({"open_time": CLOCK.unix_timestamp}, CLOCK.unix_timestamp + 1, None),
        ({"status": 0xFF ^ 1 << 4}, CLOCK.unix_timestamp, None),
        ({"vaults": (10**3, 10**3)}, CLOCK.unix_timestamp, InsufficientLiquidity),
    ],
)
def test_a_pool_that_can_not_pay_says_why(change: dict[str, int], when: int, kind: type[ExecutionError] | None) -> None:
    pool = pool_of(read(), replace(LADDER, **change))  # type: ignore[arg-type]
    clock = ChainClock(CLOCK.slot, CLOCK.epoch, when)
    if kind is None:
        assert pool.quote(DOWN, 10**6, clock).amount_out > 0
    else:
        with pytest.raises(kind):
            pool.quote(DOWN, 10**6, clock)


def test_too_little_buys_nothing_and_no_u64_is_no_amount() -> None:
    pool = pool_of(read())
    with pytest.raises(AmountTooSmall):
        pool.quote(DOWN, 1, CLOCK)
    for amount in (0, 1 << 64):
        with pytest.raises(ValueError, match="u64 above zero"):
            pool.quote(DOWN, amount, CLOCK)
    with pytest.raises(ValueError, match="not a token"):
        pool.quote(POOL.address, 1, CLOCK)


def test_the_mid_price_is_the_squared_price_either_way() -> None:
    pool = pool_of(read())
    assert pool.mid_price(DOWN) == Fraction(sqrt_price_at(30) ** 2, 1 << 128)
    assert pool.mid_price(UP) == 1 / pool.mid_price(DOWN)


@given(spec=clmm_specs(taxed=False), zero_for_one=st.booleans(), amount=st.integers(1, 10**11))
@settings(max_examples=80, deadline=None)
def test_more_in_is_never_less_out_and_never_better_than_the_mid_price(
    spec: ClmmPoolSpec, zero_for_one: bool, amount: int
) -> None:
    market = Market.of(spec, zero_for_one=zero_for_one)
    pool = market.pool()
    try:
        less, more = (pool.quote(market.mint_in, each, CLOCK) for each in (amount, amount + amount // 3 + 1))
    except ExecutionError:
        return
    assert less.amount_out <= more.amount_out
    assert more.amount_out <= more.amount_in * pool.mid_price(market.mint_in)


@given(spec=clmm_specs(), zero_for_one=st.booleans(), amounts=st.lists(st.integers(1, 10**11), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_quote_does_not_depend_on_those_before_it(spec: ClmmPoolSpec, zero_for_one: bool, amounts: list[int]) -> None:
    market = Market.of(spec, zero_for_one=zero_for_one)
    used = market.pool()
    for amount in amounts:
        answers = []
        for pool in (used, market.pool()):
            try:
                answers.append(str(pool.quote(market.mint_in, amount, CLOCK)))
            except ExecutionError as refusal:
                answers.append(repr(refusal))
        assert answers[0] == answers[1]


def test_quotes_expect_no_less_compute_units_than_the_program_burned() -> None:
    for case in VectorFile.load(VECTORS).cases:
        if case.ok and case.result["amount_out"] and case.kind not in RaydiumClmmSubject.not_reproduced:
            _, quote = quoted(VENUE, case)
            assert case.result["cu"] <= quote.compute_units <= 2.5 * case.result["cu"], case.name


# --- prices and bitmaps -------------------------------------------------------------------------------------------


def test_prices_end_where_the_program_says() -> None:
    assert (sqrt_price_at(MIN_TICK), sqrt_price_at(MAX_TICK)) == (MIN_SQRT_PRICE, MAX_SQRT_PRICE)
    assert sqrt_price_at(0) == 1 << 64
    for beyond in (MIN_TICK - 1, MAX_TICK + 1):
        with pytest.raises(Unquotable):
            sqrt_price_at(beyond)
    for beyond in (MIN_SQRT_PRICE - 1, MAX_SQRT_PRICE):
        with pytest.raises(Unquotable):
            tick_at(beyond)


@given(tick=st.integers(MIN_TICK, MAX_TICK - 1), part=st.fractions(0, 1))
def test_a_price_is_in_the_tick_that_it_has_reached(tick: int, part: Fraction) -> None:
    low, high = sqrt_price_at(tick), sqrt_price_at(tick + 1)
    price = low + int((high - 1 - low) * part)
    assert tick_at(price) == tick


@given(
    marked=st.sets(st.integers(-EXTENDED_REACH, EXTENDED_REACH - 1), max_size=8),
    start=st.integers(-EXTENDED_REACH - 5, EXTENDED_REACH + 5),
    down=st.booleans(),
)
def test_the_bitmaps_name_every_marked_array_in_order(marked: set[int], start: int, down: bool) -> None:
    spec = replace(LADDER, positions=(ClmmPosition(0, 1, 1),))
    state = VENUE.decode(POOL.address, ACCOUNTS | genesis_pool(spec).accounts).state
    inside = sum(1 << (number + 512) for number in marked if -512 <= number < 512)
    data = bytearray(ACCOUNTS[EXTENSION].data)
    for number in marked:
        # tickarray_bitmap_extension.rs, tick_array_offset_in_bitmap and get_bitmap_offset
        if number >= 512:
            row, bit, at = number // 512 - 1, number % 512, 40
        elif number < -512:
            row, bit, at = -(number // 512) - 2, number % 512, 936
        else:
            continue
        data[at + row * 64 + bit // 8] |= 1 << bit % 8
    bits = extension_bits(PROGRAM_ID, bytes(data), POOL.address)
    bitmap = TickArrayBitmap.build(state._replace(bitmap=inside), bits)
    expected = sorted((each for each in marked if (each < start if down else each > start)), reverse=down)
    assert bitmap.following(start, down, 20) == expected


# --- errors -------------------------------------------------------------------------------------------------------


def _classified(code: int, name: str | None) -> ExecutionError:
    line = f"Program log: AnchorError thrown in a.rs:1. Error Code: {name}. Error Number: {code}. Error Message: x."
    logs = [] if name is None else [line, f"Program {PROGRAM_ID} failed: custom program error"]
    error = ErrorClassifier([REFUSALS]).classify({"InstructionError": [0, {"Custom": code}]}, [PROGRAM_ID], logs)
    assert error is not None
    return error


@pytest.mark.parametrize("name", ERROR_NUMBERS)
def test_an_error_means_the_same_whatever_its_release_numbers_it(name: str) -> None:
    before, since = (_classified(number, name) for number in ERROR_NUMBERS[name])
    assert type(before) is type(since)
    assert "the swap program refused" not in str(before)


def test_a_floor_that_is_not_met_is_told_apart_from_too_little_by_name() -> None:
    assert isinstance(_classified(6022, "TooLittleOutputReceived"), SlippageExceeded)
    assert isinstance(_classified(6022, "TooSmallInputOrOutputAmount"), AmountTooSmall)
    # without its name, nobody can tell: another pool may do
    assert isinstance(_classified(6022, None), VenueUnavailable)
    assert isinstance(_classified(6018, None), SlippageExceeded)

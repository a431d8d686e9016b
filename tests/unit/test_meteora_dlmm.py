"""Meteora DLMM as a venue: what it reads, what it refuses, what it quotes, what it asks the program to do."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    InsufficientLiquidity,
    PermanentError,
    TokenNotTradable,
    VenueUnavailable,
)
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint, TransferFee, TransferFeeConfig
from chalicelib.venues.meteora_dlmm.instruction import MEMO_PROGRAM
from chalicelib.venues.meteora_dlmm.layout import (
    BINS_PER_ARRAY,
    EVENT_AUTHORITY,
    PROGRAM_ID,
    bin_array_address,
    bitmap_extension_address,
    oracle_address,
    reserve_address,
)
from chalicelib.venues.meteora_dlmm.pool import ARRAYS_EACH_WAY, MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec, genesis_pool
from infra.localnet.programs.token_accounts import mint_account
from tests.conformance.agreement import quoted
from tests.conformance.vector_file import VectorFile

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
VENUE = MeteoraDlmmVenue()
VECTORS = VectorFile.load(Path(__file__).parents[1] / "conformance" / "vectors" / "meteora_dlmm.json")
X = Mint(Pubkey(bytes([1] * 32)), TOKEN_PROGRAM, 9)
Y = Mint(Pubkey(bytes([2] * 32)), TOKEN_PROGRAM, 6)
TRADER, SOURCE, DESTINATION = (Pubkey(bytes([11 + number] * 32)) for number in range(3))
WIDE = {
    bin_id: (1_000_000 if bin_id >= 0 else 0, 1_000_000 if bin_id <= 0 else 0)
    for bin_id in range(-8 * BINS_PER_ARRAY, 8 * BINS_PER_ARRAY, 35)
}


def taxed(mint: Mint, basis_points: int, maximum_fee: int = 10**12) -> Mint:
    fee = TransferFee(epoch=0, maximum_fee=maximum_fee, basis_points=basis_points)
    return replace(
        mint, token_program=TOKEN_2022_PROGRAM, transfer_fee=TransferFeeConfig(fee, fee), extensions=frozenset({1})
    )


def spec(**changes: Any) -> DlmmPoolSpec:
    liquidity = {bin_id: (10**9 if bin_id >= 0 else 0, 10**9 if bin_id <= 0 else 0) for bin_id in range(-40, 41)}
    defaults: dict[str, Any] = {
        "mint_x": X,
        "mint_y": Y,
        "bin_step": 20,
        "active_id": 0,
        "base_factor": 8_000,
        "liquidity": liquidity,
    }
    return DlmmPoolSpec(**defaults | changes)


def chain(made: DlmmPoolSpec) -> tuple[Pubkey, dict[Pubkey, Account]]:
    built = genesis_pool(made)
    mints = {mint.address: mint_account(mint, supply=10**18, authority=None) for mint in (made.mint_x, made.mint_y)}
    return built.address, built.accounts | mints


def read(pool: Pubkey, on_chain: dict[Pubkey, Account]) -> dict[Pubkey, Account | None]:
    """As a reader does it: what the venue names, until nothing new is named."""
    accounts: dict[Pubkey, Account | None] = {}
    while wanted := VENUE.accounts_needed(pool, accounts) - accounts.keys():
        accounts |= {address: on_chain.get(address) for address in wanted}
    return accounts


def decoded(made: DlmmPoolSpec) -> MeteoraDlmmPool:
    pool, on_chain = chain(made)
    return VENUE.decode(pool, {bitmap_extension_address(pool): None, **on_chain})


def patched(account: Account, offset: int, content: bytes) -> Account:
    return replace(account, data=account.data[:offset] + content + account.data[offset + len(content) :])


def test_reading_begins_with_the_pool_and_ends_with_the_nearest_arrays_on_both_sides() -> None:
    pool, on_chain = chain(spec(liquidity=WIDE))

    assert VENUE.accounts_needed(pool, {}) == {pool}
    needed = set(read(pool, on_chain))

    nearest = {bin_array_address(pool, index) for index in range(1 - ARRAYS_EACH_WAY, ARRAYS_EACH_WAY)}
    reserves = {reserve_address(pool, mint) for mint in (X.address, Y.address)}
    assert needed == nearest | reserves | {pool, X.address, Y.address, bitmap_extension_address(pool)}


def test_arrays_that_only_the_bitmap_extension_names_are_read_too() -> None:
    far = 700 * BINS_PER_ARRAY
    pool, on_chain = chain(spec(bin_step=1, liquidity={0: (1_000, 1_000), far: (10**9, 0), -far: (0, 10**9)}))

    accounts = read(pool, on_chain)

    assert accounts[bin_array_address(pool, 700)] is not None
    assert accounts[bin_array_address(pool, -700)] is not None
    quote = VENUE.decode(pool, accounts).quote(X.address, 10**6, CLOCK)
    assert [bin_array_address(pool, 0), bin_array_address(pool, -700)] == list(quote.remaining_accounts)


def test_the_mints_are_known_from_the_pool_alone() -> None:
    pool, on_chain = chain(spec())

    assert VENUE.mints(pool, {pool: on_chain[pool]}) == (X.address, Y.address)


def test_a_pools_sides_are_x_and_y_with_their_vaults() -> None:
    pool = decoded(spec(mint_y=taxed(Y, 100)))

    side_x, side_y = pool.sides
    assert (side_x.mint, side_x.token_program, side_x.decimals) == (X.address, TOKEN_PROGRAM, 9)
    assert (side_y.mint, side_y.token_program, side_y.decimals) == (Y.address, TOKEN_2022_PROGRAM, 6)
    assert side_x.vault == reserve_address(pool.address, X.address)
    assert side_y.vault == reserve_address(pool.address, Y.address)


@pytest.mark.parametrize(
    "broken",
    [
        lambda account: replace(account, owner=TOKEN_PROGRAM),
        lambda account: patched(account, 0, b"\0"),
        lambda account: replace(account, data=account.data[:-1]),
        lambda account: None,
    ],
)
def test_an_account_that_is_no_pair_is_refused(broken: Any) -> None:
    pool, on_chain = chain(spec())
    accounts = {**read(pool, on_chain), pool: broken(on_chain[pool])}

    with pytest.raises(VenueUnavailable):
        VENUE.decode(pool, accounts)
    with pytest.raises(VenueUnavailable):
        VENUE.mints(pool, accounts)


def test_decoding_names_what_was_not_read() -> None:
    pool, on_chain = chain(spec())
    accounts = read(pool, on_chain)

    for address in (pool, X.address, Y.address, bitmap_extension_address(pool)):
        with pytest.raises(AccountsMissing) as missing:
            VENUE.decode(pool, {key: account for key, account in accounts.items() if key != address})
        assert missing.value.addresses == (str(address),)


@pytest.mark.parametrize(
    "broken",
    [
        lambda account: replace(account, owner=TOKEN_PROGRAM),
        lambda account: patched(account, 0, b"\0"),
        lambda account: patched(account, 8, b"\x01"),
        lambda account: patched(account, 24, b"\xff"),
        lambda account: None,
    ],
)
def test_a_bin_array_that_is_not_this_pairs_is_refused(broken: Any) -> None:
    pool, on_chain = chain(spec())
    address = bin_array_address(pool, 0)
    accounts = {**read(pool, on_chain), address: broken(on_chain[address])}

    with pytest.raises(VenueUnavailable, match=r"(?i)bin ?array"):
        VENUE.decode(pool, accounts).quote(Y.address, 1_000, CLOCK)


def test_another_pairs_bitmap_extension_is_refused() -> None:
    pool, on_chain = chain(spec(with_bitmap_extension=True))
    extension = bitmap_extension_address(pool)
    accounts = {**read(pool, on_chain), extension: patched(on_chain[extension], 8, b"\xff")}

    with pytest.raises(VenueUnavailable, match=f"^{pool}: the bitmap extension is another pair's$"):
        VENUE.decode(pool, accounts)


def test_lamports_at_the_extensions_address_are_no_extension() -> None:
    pool, on_chain = chain(spec())
    accounts = {**read(pool, on_chain), bitmap_extension_address(pool): Account(Pubkey.default(), 1, b"")}

    assert not VENUE.decode(pool, accounts).has_bitmap_extension


def test_a_mint_whose_transfers_need_more_than_the_program_is_given_is_refused() -> None:
    pool, on_chain = chain(spec())
    hook = (14).to_bytes(2, "little") + (64).to_bytes(2, "little") + bytes([7] * 64)
    data = on_chain[X.address].data.ljust(165, b"\0") + b"\x01" + hook
    accounts = {**read(pool, on_chain), X.address: Account(TOKEN_2022_PROGRAM, 10**7, data)}

    with pytest.raises(TokenNotTradable, match="transfer_hook"):
        VENUE.decode(pool, accounts)


def test_a_mint_of_another_token_program_than_the_pair_names_is_refused() -> None:
    pool, on_chain = chain(spec())
    accounts = {**read(pool, on_chain), X.address: replace(on_chain[X.address], owner=TOKEN_2022_PROGRAM)}

    with pytest.raises(VenueUnavailable, match=f"^pool {pool} names other token programs than its mints'$"):
        VENUE.decode(pool, accounts)


def test_the_mid_price_is_the_active_bins() -> None:
    pool = decoded(spec(active_id=0))
    assert pool.mid_price(X.address) == pool.mid_price(Y.address) == 1

    pool = decoded(spec(active_id=10, liquidity={10: (10**9, 10**9)}))
    assert abs(pool.mid_price(X.address) - Fraction(1002, 1000) ** 10) < Fraction(1, 10**12)
    assert pool.mid_price(Y.address) == 1 / pool.mid_price(X.address)


def test_an_active_bin_beyond_all_prices_has_none() -> None:
    pool = decoded(spec())
    beyond = replace(pool, pair=pool.pair._replace(active_id=443_637, bin_step=400))
    with pytest.raises(VenueUnavailable, match=f"pool {pool.address}: "):
        beyond.mid_price(X.address)


def test_a_quote_beyond_what_was_read_names_the_next_arrays_and_succeeds_with_them() -> None:
    pool, on_chain = chain(spec(liquidity=WIDE))
    accounts = read(pool, on_chain)
    short = VENUE.decode(pool, accounts)
    amount_in = 11_000_000

    with pytest.raises(AccountsMissing) as missing:
        short.quote(X.address, amount_in, CLOCK)
    named = [Pubkey.from_string(address) for address in missing.value.addresses]
    assert named == [bin_array_address(pool, -ARRAYS_EACH_WAY - number) for number in range(ARRAYS_EACH_WAY)]
    assert short.quote(X.address, 1_000_000, CLOCK).amount_out > 0

    accounts |= {address: on_chain[address] for address in named}
    quote = VENUE.decode(pool, accounts).quote(X.address, amount_in, CLOCK)
    assert quote == VENUE.decode(pool, {**accounts, **on_chain}).quote(X.address, amount_in, CLOCK)
    assert len(quote.remaining_accounts) > ARRAYS_EACH_WAY


def test_more_than_all_bins_can_take_is_refused() -> None:
    with pytest.raises(InsufficientLiquidity, match="can't take 1000000000000 base units"):
        decoded(spec()).quote(X.address, 10**12, CLOCK)
    with pytest.raises(InsufficientLiquidity):
        decoded(spec(liquidity={0: (10**9, 0)})).quote(X.address, 1, CLOCK)


def test_dust_is_refused() -> None:
    with pytest.raises(AmountTooSmall, match="pays nothing for 1 base units"):
        decoded(spec()).quote(X.address, 1, CLOCK)
    with pytest.raises(AmountTooSmall, match="takes all of 1000000 base units"):
        decoded(spec(mint_x=taxed(X, 10_000))).quote(X.address, 1_000_000, CLOCK)
    with pytest.raises(AmountTooSmall, match="pays nothing for 1000000 base units"):
        decoded(spec(mint_y=taxed(Y, 10_000))).quote(X.address, 1_000_000, CLOCK)


@pytest.mark.parametrize("amount_in", [0, -1, 1 << 64])
def test_an_amount_that_is_no_u64_above_zero_is_a_mistake(amount_in: int) -> None:
    with pytest.raises(ValueError, match="u64"):
        decoded(spec()).quote(X.address, amount_in, CLOCK)


def test_a_token_of_another_pool_is_a_mistake() -> None:
    pool = decoded(spec())

    with pytest.raises(ValueError, match=f"not a token of pool {pool.address}"):
        pool.quote(TRADER, 1_000, CLOCK)
    with pytest.raises(ValueError, match=f"not a token of pool {pool.address}"):
        pool.mid_price(TRADER)


@pytest.mark.parametrize("pair_type", [1, 2])
@pytest.mark.parametrize(("activation_type", "now"), [(0, CLOCK.slot), (1, CLOCK.unix_timestamp)])
def test_a_pair_trades_from_its_activation_point_on(pair_type: int, activation_type: int, now: int) -> None:
    gated = {"pair_type": pair_type, "activation_type": activation_type}

    assert decoded(spec(**gated, activation_point=now)).quote(X.address, 1_000, CLOCK).amount_out > 0
    with pytest.raises(VenueUnavailable):
        decoded(spec(**gated, activation_point=now + 1)).quote(X.address, 1_000, CLOCK)


@pytest.mark.parametrize("pair_type", [0, 3])
def test_a_permissionless_pair_has_no_activation_point(pair_type: int) -> None:
    pool = decoded(spec(pair_type=pair_type, activation_point=1 << 62))

    assert pool.quote(X.address, 1_000, CLOCK).amount_out > 0


def test_a_disabled_pair_does_not_trade() -> None:
    with pytest.raises(VenueUnavailable, match="is not open for swaps"):
        decoded(spec(status=1)).quote(X.address, 1_000, CLOCK)


def test_nobody_is_quoted_the_early_address_privilege() -> None:
    early = {"pair_type": 1, "activation_point": CLOCK.slot + 10, "pre_activation_duration": 10}
    pool = decoded(spec(**early, pre_activation_swap_address=TRADER))

    assert pool.pair.is_open(CLOCK, TRADER)
    assert not pool.pair.is_open(CLOCK, SOURCE)
    with pytest.raises(VenueUnavailable):
        pool.quote(X.address, 1_000, CLOCK)


@given(st.integers(1_000, 10**9), st.sampled_from([0, 1, 300, 5_000]), st.sampled_from([0, 1, 300, 5_000]))
@settings(max_examples=40, deadline=None)
def test_transfer_fees_come_off_before_and_after_the_swap(amount_in: int, tax_x: int, tax_y: int) -> None:
    mint_x, mint_y = taxed(X, tax_x), taxed(Y, tax_y, maximum_fee=400_000)
    plain = decoded(spec())

    quote = decoded(spec(mint_x=mint_x, mint_y=mint_y)).quote(X.address, amount_in, CLOCK)

    received = mint_x.amount_after_transfer_fee(amount_in, CLOCK.epoch)
    paid = plain.quote(X.address, received, CLOCK).amount_out
    assert quote.amount_in == amount_in
    assert quote.amount_out == mint_y.amount_after_transfer_fee(paid, CLOCK.epoch)


def test_a_transfer_fee_is_that_of_the_clocks_epoch() -> None:
    older, newer = TransferFee(0, 10**9, 0), TransferFee(CLOCK.epoch, 10**9, 1_000)
    mint_x = replace(taxed(X, 0), transfer_fee=TransferFeeConfig(older, newer))
    pool = decoded(spec(mint_x=mint_x))

    before = pool.quote(X.address, 10**6, replace(CLOCK, epoch=CLOCK.epoch - 1))
    assert before.amount_out > pool.quote(X.address, 10**6, CLOCK).amount_out


@pytest.mark.parametrize(
    ("collect_fee_mode", "mint_in", "fee_mint"),
    [(0, X, X), (0, Y, Y), (1, X, Y), (1, Y, Y)],
)
def test_the_fee_is_named_in_the_token_it_is_taken_in(collect_fee_mode: int, mint_in: Mint, fee_mint: Mint) -> None:
    pool = decoded(spec(collect_fee_mode=collect_fee_mode))

    quote = pool.quote(mint_in.address, 10**6, CLOCK)

    assert quote.fee_mint == fee_mint.address
    # 0.16 % of either token, as the price is one.
    assert quote.fee in (1_600, 1_601)


def test_a_price_that_moved_lately_costs_more() -> None:
    pool = decoded(spec(volatility_accumulator=300_000, volatility_reference=300_000, last_update_timestamp=0))

    def fee_at(seconds: int) -> int:
        return pool.quote(X.address, 10**6, replace(CLOCK, unix_timestamp=seconds)).fee

    assert fee_at(0) == fee_at(29) > fee_at(30) == fee_at(599) > fee_at(600) == fee_at(10**6)


def test_a_pool_whose_volatility_overflows_does_not_trade() -> None:
    moved = {"volatility_accumulator": 1 << 31, "last_update_timestamp": CLOCK.unix_timestamp - 100}
    pool = decoded(spec(**moved, reduction_factor=10_000))

    with pytest.raises(VenueUnavailable, match=f"^pool {pool.address}: the volatility accumulator overflows$"):
        pool.quote(X.address, 10**6, CLOCK)


def test_a_pool_rounds_twice_and_four_times_in_each_bin_that_what_it_receives_comes_to() -> None:
    """At a price of one each rounding is of two units; the transfer fee keeps half of X from coming to a second bin."""
    pool = decoded(spec(mint_x=taxed(X, 5_000)))

    assert [pool.rounding(mint.address, 19 * 10**8, CLOCK) for mint in (X, Y)] == [2 * (2 + 4), 2 * (2 + 4 + 4)]


@given(st.lists(st.integers(1_000, 10**10), min_size=2, max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_quote_does_not_depend_on_the_quotes_before_it(sizes: list[int], sell_x: bool) -> None:
    mint_in = X.address if sell_x else Y.address
    used = decoded(spec())

    assert [used.quote(mint_in, size, CLOCK) for size in sizes] == [
        decoded(spec()).quote(mint_in, size, CLOCK) for size in sizes
    ]


@st.composite
def specs(draw: st.DrawFn) -> DlmmPoolSpec:
    amounts = st.integers(0, 10**9)
    ids = draw(st.lists(st.integers(-90, 90), min_size=1, max_size=40, unique=True))
    return spec(
        liquidity={
            bin_id: (draw(amounts) if bin_id >= 0 else 0, draw(amounts) if bin_id <= 0 else 0) for bin_id in ids
        },
        bin_step=draw(st.sampled_from([1, 20])),
        base_factor=draw(st.sampled_from([0, 1_000, 50_000])),
        collect_fee_mode=draw(st.sampled_from([0, 1])),
    )


def amount_out(pool: MeteoraDlmmPool, mint_in: Pubkey, amount_in: int) -> int:
    try:
        return pool.quote(mint_in, amount_in, CLOCK).amount_out
    except AmountTooSmall:
        return 0


@given(specs(), st.booleans(), st.integers(1, 10**10), st.integers(1, 10**10))
@settings(max_examples=150, deadline=None)
def test_what_a_pool_pays_grows_ever_more_slowly_and_never_exceeds_its_reserves(
    made: DlmmPoolSpec, sell_x: bool, first: int, second: int
) -> None:
    pool, mint_in = decoded(made), X.address if sell_x else Y.address
    reserves = sum(amounts[1 if sell_x else 0] for amounts in made.liquidity.values())
    try:
        together = amount_out(pool, mint_in, first + second)
    except PermanentError:
        return

    one, other = amount_out(pool, mint_in, first), amount_out(pool, mint_in, second)

    assert max(one, other) <= together <= reserves
    # Two trades against the same pool would pay more than one, but for what roundings take: an output unit a bin, and
    # the fee's unit of either token.
    assert together <= one + other + 6


def test_a_quote_is_guaranteed_to_the_unit() -> None:
    assert decoded(spec()).quote(X.address, 10**6, CLOCK).not_guaranteed == 0


@pytest.mark.parametrize(("mint_in", "ahead"), [(X, -2), (Y, 2)])
def test_spare_arrays_are_looked_for_on_the_way_and_on_the_way_back(mint_in: Mint, ahead: int) -> None:
    far = 2 * BINS_PER_ARRAY
    pool = decoded(spec(liquidity={-far: (0, 10**9), 0: (10**9, 10**9), far: (10**9, 0)}))

    spare = pool.quote(mint_in.address, 10**6, CLOCK).spare_accounts

    assert spare == (bin_array_address(pool.address, ahead), bin_array_address(pool.address, -ahead))


@pytest.mark.parametrize(("further", "more"), [(1, 7_500), (BINS_PER_ARRAY, 7_500 + 15_000)])
def test_a_quote_expects_more_compute_units_for_a_further_bin_and_a_further_array(further: int, more: int) -> None:
    pool = decoded(spec(liquidity={0: (10**6, 0), further: (10**6, 0)}))

    one_bin, two_bins = (pool.quote(Y.address, amount_in, CLOCK).compute_units for amount_in in (500_000, 1_500_000))

    assert two_bins - one_bin == more


def test_quotes_expect_no_less_compute_units_than_the_program_burned() -> None:
    for case in VECTORS.cases:
        if case.ok and case.kind == "size":
            _, quote = quoted(VENUE, case)
            assert case.result["cu"] <= quote.compute_units <= 2.1 * case.result["cu"], case.name


def test_an_instruction_names_sixteen_accounts_then_the_arrays_in_swap_order() -> None:
    pool = decoded(spec(liquidity=WIDE))
    quote = pool.quote(X.address, 3_500_000, CLOCK)

    built = pool.swap_instruction(quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=123)

    assert built.program_id == PROGRAM_ID
    assert bytes(built.data) == bytes([65, 75, 63, 76, 235, 91, 91, 136]) + (3_500_000).to_bytes(8, "little") + (
        123
    ).to_bytes(8, "little") + bytes(4)
    assert [meta.pubkey for meta in built.accounts] == [
        pool.address,
        PROGRAM_ID,  # no bitmap extension
        reserve_address(pool.address, X.address),
        reserve_address(pool.address, Y.address),
        SOURCE,
        DESTINATION,
        X.address,
        Y.address,
        oracle_address(pool.address),
        PROGRAM_ID,  # no host fee
        TRADER,
        TOKEN_PROGRAM,
        TOKEN_PROGRAM,
        MEMO_PROGRAM,
        EVENT_AUTHORITY,
        PROGRAM_ID,
        *(bin_array_address(pool.address, index) for index in (0, -1, -2)),
    ]
    assert [number for number, meta in enumerate(built.accounts) if meta.is_signer] == [10]
    writable = [number for number, meta in enumerate(built.accounts) if meta.is_writable]
    assert writable == [0, 2, 3, 4, 5, 8, 16, 17, 18]


def test_an_instruction_names_the_bitmap_extension_where_there_is_one() -> None:
    pool = decoded(spec(with_bitmap_extension=True))
    quote = pool.quote(Y.address, 10**6, CLOCK)

    built = pool.swap_instruction(quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=1)

    assert built.accounts[1].pubkey == bitmap_extension_address(pool.address)
    assert built.accounts[1].is_writable


def test_another_pools_quote_makes_no_instruction() -> None:
    pool = decoded(spec())
    quote = PoolQuote(TRADER, X.address, Y.address, 1, 1, 0, X.address)

    with pytest.raises(ValueError, match="not of"):
        pool.swap_instruction(quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=0)

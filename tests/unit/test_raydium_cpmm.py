"""Raydium CPMM quotes: exact at the edges that the recorded swaps don't reach, safe on accounts that aren't pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
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
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    Mint,
    TransferFee,
    TransferFeeConfig,
)
from chalicelib.venues.raydium_cpmm.layout import AUTHORITY, PROGRAM_ID
from chalicelib.venues.raydium_cpmm.math import SwapOutcome
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from chalicelib.venues.raydium_cpmm.refusals import REQUIRE_GT_VIOLATED, CpmmSwapRefused
from chalicelib.venues.venue import Pool, Venue
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.raydium_cpmm_pool import CpmmPoolSpec, genesis_pool
from infra.localnet.programs.token_accounts import mint_account, token_account

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
VENUE = RaydiumCpmmVenue()
ADDRESS_0, ADDRESS_1, TRADER, STRANGER = (Pubkey(bytes([1 + number] * 32)) for number in range(4))
TOKEN_0, TOKEN_1 = Mint(ADDRESS_0, TOKEN_PROGRAM, 9), Mint(ADDRESS_1, TOKEN_PROGRAM, 6)
U64_MAX = 2**64 - 1
MILLION = 1_000_000
# Where a pool's account names them.
TOKEN_PROGRAM_0_OFFSET, OBSERVATION_OFFSET = 232, 296


def taxed(address: Pubkey, basis_points: int, maximum_fee: int = U64_MAX) -> Mint:
    fee = TransferFee(0, maximum_fee, basis_points)
    extensions = frozenset({int(ExtensionType.TRANSFER_FEE_CONFIG)})
    return Mint(address, TOKEN_2022_PROGRAM, 6, TransferFeeConfig(fee, fee), extensions)


def pool_of(**changes: object) -> RaydiumCpmmPool:
    """Two SPL tokens, 10^9 of each, no fee at all but what is named."""
    defaults: dict[str, object] = {
        "address": STRANGER,
        "config": STRANGER,
        "observation": STRANGER,
        "mints": (TOKEN_0, TOKEN_1),
        "vaults": (Pubkey(bytes([9] * 32)), Pubkey(bytes([10] * 32))),
        "vault_amounts": (10**9, 10**9),
        "reserves": (10**9, 10**9),
        "trade_fee_rate": 2_500,
        "protocol_fee_rate": 120_000,
        "fund_fee_rate": 40_000,
        "creator_fee_rate": 0,
        "creator_fee_on": 0,
        "status": 0,
        "open_time": 0,
    }
    return RaydiumCpmmPool(**(defaults | changes))  # type: ignore[arg-type]


def on_chain(**changes: object) -> tuple[GenesisPool, dict[Pubkey, Account | None]]:
    defaults: dict[str, object] = {"mints": (TOKEN_0, TOKEN_1), "reserves": (10**9, 10**9), "config_index": 3}
    spec = CpmmPoolSpec(**(defaults | changes))  # type: ignore[arg-type]
    built = genesis_pool(spec)
    mints = {mint.address: mint_account(mint, supply=10**12, authority=None) for mint in spec.mints}
    return built, {**built.accounts, **mints}


def read_as_asked(pool: Pubkey, chain: Mapping[Pubkey, Account | None]) -> dict[Pubkey, Account | None]:
    accounts: dict[Pubkey, Account | None] = {}
    while wanted := VENUE.accounts_needed(pool, accounts) - accounts.keys():
        accounts.update({address: chain.get(address) for address in wanted})
    return accounts


def test_the_venue_and_its_pools_keep_the_protocols() -> None:
    built, chain = on_chain()
    venue: Venue = VENUE
    pool: Pool = venue.decode(built.address, chain)

    assert (venue.program, venue.dex, pool.program, pool.dex) == ("raydium-cpmm", "raydium") * 2
    assert pool.address == built.address
    assert [side.mint for side in pool.sides] == [ADDRESS_0, ADDRESS_1]
    assert [side.decimals for side in pool.sides] == [9, 6]


def test_two_reads_are_enough_and_nothing_more_is_asked_for() -> None:
    built, chain = on_chain()

    assert VENUE.accounts_needed(built.address, {}) == {built.address}
    accounts = read_as_asked(built.address, chain)

    assert len(accounts) == 6
    assert VENUE.mints(built.address, accounts) == (ADDRESS_0, ADDRESS_1)
    VENUE.decode(built.address, accounts).quote(ADDRESS_0, 1_000, CLOCK)


@pytest.mark.parametrize(
    ("creator_fee_on", "side", "on_input"),
    [(0, 0, True), (0, 1, True), (1, 0, True), (1, 1, False), (2, 0, False), (2, 1, True)],
)
def test_the_creators_fee_is_on_the_side_that_the_pool_names(creator_fee_on: int, side: int, on_input: bool) -> None:
    pool = pool_of(creator_fee_on=creator_fee_on, creator_fee_rate=1_000)

    assert pool.swap(side, MILLION, CLOCK).creator_fee_on_input is on_input


def test_fees_on_input_are_rounded_up_as_a_sum_and_then_split() -> None:
    # 333 of input at 0.25 % and 0.05 %: each alone would round up to 1, together they are 1.
    outcome = pool_of(creator_fee_rate=500).swap(0, 333, CLOCK)

    assert (outcome.trade_fee, outcome.creator_fee) == (1, 0)
    assert outcome.vault_out == 331


def test_a_creators_fee_on_output_is_rounded_up_and_stays_in_the_vault() -> None:
    outcome = pool_of(creator_fee_on=2, creator_fee_rate=500).swap(0, MILLION, CLOCK)

    traded = MILLION - outcome.trade_fee
    swapped = traded * 10**9 // (10**9 + traded)
    assert outcome.creator_fee == -(-swapped * 500 // MILLION)
    assert outcome.vault_out == swapped - outcome.creator_fee


def test_protocol_and_fund_take_their_parts_of_the_trade_fee_rounded_down() -> None:
    outcome = pool_of().swap(0, 4_321, CLOCK)

    assert (outcome.trade_fee, outcome.protocol_fee, outcome.fund_fee) == (11, 1, 0)


def test_a_switched_off_creator_fee_is_not_taken() -> None:
    built, chain = on_chain(creator_fee_rate=500, enable_creator_fee=False)
    assert VENUE.decode(built.address, chain).swap(0, MILLION, CLOCK).creator_fee == 0

    built, chain = on_chain(creator_fee_rate=500, enable_creator_fee=True)
    assert VENUE.decode(built.address, chain).swap(0, MILLION, CLOCK).creator_fee == 500


def test_owed_fees_are_no_liquidity() -> None:
    owing, chain = on_chain(protocol_fees=(5, 50), fund_fees=(7, 70), creator_fees=(11, 110))
    pool = VENUE.decode(owing.address, chain)

    assert pool.vault_amounts == (10**9 + 23, 10**9 + 230)
    assert pool.reserves == (10**9, 10**9)


def test_transfer_fees_of_both_tokens_are_taken_off() -> None:
    pool = pool_of(mints=(taxed(ADDRESS_0, 100), taxed(ADDRESS_1, 200)))
    plain = pool_of()

    quote = pool.quote(ADDRESS_0, MILLION, CLOCK)

    before_tax = plain.quote(ADDRESS_0, MILLION - 10_000, CLOCK).amount_out
    assert quote.amount_out == before_tax - -(-before_tax * 200 // 10_000)
    assert quote.amount_in == MILLION


def test_the_epoch_of_the_clock_decides_the_transfer_fee() -> None:
    fees = TransferFeeConfig(TransferFee(0, U64_MAX, 0), TransferFee(1042, U64_MAX, 5_000))
    mint = replace(taxed(ADDRESS_0, 0), transfer_fee=fees)
    pool = pool_of(mints=(mint, TOKEN_1))

    now = pool.swap(0, MILLION, CLOCK).input_transfer_fee
    then = pool.swap(0, MILLION, replace(CLOCK, epoch=1042)).input_transfer_fee

    assert (now, then) == (0, 500_000)


@pytest.mark.parametrize(
    ("changes", "amount_in", "expected"),
    [
        ({"status": 4}, MILLION, VenueUnavailable),
        ({"status": 7}, MILLION, VenueUnavailable),
        ({"open_time": CLOCK.unix_timestamp + 1}, MILLION, VenueUnavailable),
        ({"creator_fee_on": 3}, MILLION, VenueUnavailable),
        ({"reserves": (0, 10**9)}, MILLION, InsufficientLiquidity),
        ({"reserves": (10**9, -1)}, MILLION, InsufficientLiquidity),
        ({"vault_amounts": (U64_MAX, 10**9)}, MILLION, InsufficientLiquidity),
        ({"trade_fee_rate": 0}, MILLION, AmountTooSmall),
        ({}, 1, AmountTooSmall),
        ({"mints": (taxed(ADDRESS_0, 10_000), TOKEN_1)}, MILLION, AmountTooSmall),
        ({"mints": (TOKEN_0, taxed(ADDRESS_1, 10_000))}, MILLION, AmountTooSmall),
    ],
)
def test_what_the_program_refuses_is_refused_in_kind(
    changes: dict[str, object], amount_in: int, expected: type[ExecutionError]
) -> None:
    with pytest.raises(expected):
        pool_of(**changes).quote(ADDRESS_0, amount_in, CLOCK)


@pytest.mark.parametrize("status", [1, 2, 3])
def test_closed_deposits_and_withdrawals_do_not_close_swaps(status: int) -> None:
    assert pool_of(status=status).quote(ADDRESS_0, MILLION, CLOCK).amount_out > 0


def test_a_pool_opens_in_the_second_of_its_open_time() -> None:
    assert pool_of(open_time=CLOCK.unix_timestamp).quote(ADDRESS_0, MILLION, CLOCK).amount_out > 0


@pytest.mark.parametrize(("mint", "amount_in"), [(STRANGER, 1), (ADDRESS_0, 0), (ADDRESS_0, -1), (ADDRESS_0, 2**64)])
def test_a_question_that_makes_no_sense_is_a_value_error(mint: Pubkey, amount_in: int) -> None:
    with pytest.raises(ValueError, match="is not a"):
        pool_of().quote(mint, amount_in, CLOCK)


def test_a_vault_takes_what_just_fits_beneath_u64() -> None:
    pool = pool_of(vault_amounts=(10**9, 10**9), reserves=(10**9, 10**9))

    assert pool.quote(ADDRESS_0, U64_MAX - 10**9, CLOCK).amount_out == 10**9 - 1
    with pytest.raises(InsufficientLiquidity):
        pool.quote(ADDRESS_0, U64_MAX - 10**9 + 1, CLOCK)


def test_the_mid_price_is_the_reserves_ratio_both_ways() -> None:
    pool = pool_of(reserves=(4, 6))

    assert pool.mid_price(ADDRESS_0) == Fraction(3, 2)
    assert pool.mid_price(ADDRESS_1) == Fraction(2, 3)
    with pytest.raises(InsufficientLiquidity):
        pool_of(reserves=(0, 6)).mid_price(ADDRESS_0)


amounts = st.integers(1, U64_MAX)
rates = st.integers(0, 300_000)


@given(
    reserves=st.tuples(amounts, amounts),
    amount_in=amounts,
    side=st.integers(0, 1),
    trade_fee_rate=st.integers(1, 300_000),
    creator_fee_rate=rates,
    creator_fee_on=st.integers(0, 2),
    taxes=st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)),
)
def test_no_swap_takes_more_than_it_may(
    reserves: tuple[int, int],
    amount_in: int,
    side: int,
    trade_fee_rate: int,
    creator_fee_rate: int,
    creator_fee_on: int,
    taxes: tuple[int, int],
) -> None:
    """Each unit that comes in is traded or a fee, the curve's product never falls, and fees are never short."""
    pool = pool_of(
        mints=(taxed(ADDRESS_0, taxes[0]), taxed(ADDRESS_1, taxes[1])),
        reserves=reserves,
        vault_amounts=reserves,
        trade_fee_rate=trade_fee_rate,
        creator_fee_rate=creator_fee_rate,
        creator_fee_on=creator_fee_on,
    )
    outcome = swap_or_none(pool, side, amount_in)
    assume(outcome is not None)
    assert outcome is not None

    fee_in = outcome.creator_fee if outcome.creator_fee_on_input else 0
    fee_out = 0 if outcome.creator_fee_on_input else outcome.creator_fee
    after_in = reserves[side] + outcome.vault_in - outcome.trade_fee - fee_in
    after_out = reserves[1 - side] - outcome.vault_out - fee_out
    assert after_out >= 0
    assert after_in * after_out >= reserves[0] * reserves[1]
    assert outcome.trade_fee + fee_in >= Fraction(trade_fee_rate, MILLION) * outcome.vault_in
    assert outcome.protocol_fee + outcome.fund_fee <= outcome.trade_fee
    assert outcome.amount_out > 0


@given(reserves=st.tuples(amounts, amounts), amount_in=st.integers(1, U64_MAX - 1), side=st.integers(0, 1))
def test_more_in_never_pays_less_out(reserves: tuple[int, int], amount_in: int, side: int) -> None:
    pool = pool_of(reserves=reserves, vault_amounts=reserves)
    less, more = swap_or_none(pool, side, amount_in), swap_or_none(pool, side, amount_in + 1)
    assume(less is not None)
    assert less is not None
    assert more is not None

    assert more.amount_out >= less.amount_out


def swap_or_none(pool: RaydiumCpmmPool, side: int, amount_in: int) -> SwapOutcome | None:
    try:
        return pool.swap(side, amount_in, CLOCK)
    except CpmmSwapRefused as refusal:
        if refusal.code != REQUIRE_GT_VIOLATED:
            raise
        return None


def test_the_instruction_names_the_programs_thirteen_accounts() -> None:
    pool = pool_of(mints=(TOKEN_0, taxed(ADDRESS_1, 100)))
    quote = pool.quote(ADDRESS_1, MILLION, CLOCK)

    built = pool.swap_instruction(quote, trader=TRADER, source=ADDRESS_0, destination=STRANGER, minimum_out=77)

    assert built.program_id == PROGRAM_ID
    assert bytes(built.data) == bytes.fromhex("8fbe5adac41e33de") + (MILLION).to_bytes(8, "little") + (77).to_bytes(
        8, "little"
    )
    vault_0, vault_1 = pool.vaults
    assert [meta.pubkey for meta in built.accounts] == [
        TRADER,
        AUTHORITY,
        pool.config,
        pool.address,
        ADDRESS_0,
        STRANGER,
        vault_1,
        vault_0,
        TOKEN_2022_PROGRAM,
        TOKEN_PROGRAM,
        ADDRESS_1,
        ADDRESS_0,
        pool.observation,
    ]
    assert [meta.is_signer for meta in built.accounts] == [True] + [False] * 12
    assert [meta.is_writable for meta in built.accounts] == [*map(bool, (0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1))]


def test_accounts_that_were_not_read_are_named() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    for missing in (built.address, pool.config, *pool.vaults, ADDRESS_0, ADDRESS_1):
        with pytest.raises(AccountsMissing) as error:
            VENUE.decode(built.address, {address: each for address, each in chain.items() if address != missing})
        assert error.value.addresses == (str(missing),)


def test_an_account_that_does_not_exist_makes_the_pool_unavailable() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    for absent in (built.address, pool.config, *pool.vaults, ADDRESS_0, ADDRESS_1):
        with pytest.raises(VenueUnavailable):
            VENUE.decode(built.address, chain | {absent: None})


def test_accounts_that_are_not_what_the_program_would_take_make_the_pool_unavailable_and_are_named() -> None:
    built, chain = on_chain()
    pool = VENUE.decode(built.address, chain)
    state, config, vault = chain[built.address], chain[pool.config], chain[pool.vaults[0]]
    assert state is not None
    assert config is not None
    assert vault is not None
    for address, wrong in (
        (built.address, replace(state, owner=STRANGER)),
        (built.address, replace(state, data=state.data[:-1])),
        (built.address, replace(state, data=bytes(8) + state.data[8:])),
        (built.address, config),
        (pool.config, replace(config, owner=STRANGER)),
        (pool.config, replace(config, data=config.data[:-1])),
        (pool.config, state),
        (pool.vaults[0], replace(vault, owner=STRANGER)),
        (pool.vaults[0], token_account(TOKEN_1, AUTHORITY, 5)),
        (pool.vaults[0], token_account(TOKEN_0, TRADER, 5)),
        (pool.vaults[0], replace(vault, data=vault.data[:108] + b"\2" + vault.data[109:])),
        (ADDRESS_0, vault),
    ):
        with pytest.raises(VenueUnavailable, match=str(address)):
            VENUE.decode(built.address, chain | {address: wrong})


def test_a_pool_that_names_what_is_not_its_own_is_unavailable_and_named() -> None:
    built, chain = on_chain()
    state = chain[built.address]
    assert state is not None
    for offset, named in ((OBSERVATION_OFFSET, STRANGER), (TOKEN_PROGRAM_0_OFFSET, TOKEN_2022_PROGRAM)):
        data = state.data[:offset] + bytes(named) + state.data[offset + 32 :]
        with pytest.raises(VenueUnavailable, match=str(built.address)):
            VENUE.decode(built.address, chain | {built.address: replace(state, data=data)})


def test_a_mint_that_needs_more_than_a_plain_transfer_can_not_be_traded() -> None:
    hooked = Mint(ADDRESS_0, TOKEN_2022_PROGRAM, 6)
    built, chain = on_chain(mints=(hooked, TOKEN_1))
    mint = chain[ADDRESS_0]
    assert mint is not None
    hook = b"\x0e\x00\x40\x00" + bytes(32) + bytes(STRANGER)
    chain[ADDRESS_0] = replace(mint, data=mint.data.ljust(165, b"\0") + b"\1" + hook)

    with pytest.raises(TokenNotTradable, match="transfer_hook"):
        VENUE.decode(built.address, chain)


@given(data=st.binary(max_size=700), keep=st.integers(0, 64))
def test_no_bytes_whatever_crash_the_decoder(data: bytes, keep: int) -> None:
    """Anything that is not a pool says so in the tree of our errors."""
    built, chain = on_chain()
    state = chain[built.address]
    assert state is not None
    chain[built.address] = replace(state, data=(state.data[:keep] + data).ljust(637, b"\0"))
    try:
        VENUE.decode(built.address, chain).quote(ADDRESS_0, MILLION, CLOCK)
    except (ExecutionError, ValueError):
        return

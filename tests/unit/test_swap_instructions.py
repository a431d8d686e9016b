"""What a venue's encoder writes its decoder reads back, and anything else it refuses to read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap, SwapDecoder
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.derived_addresses import DerivedAddresses
from chalicelib.venues.meteora_damm_v2 import layout as damm_v2_layout
from chalicelib.venues.meteora_damm_v2.instruction import DammV2Swap
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Venue
from chalicelib.venues.meteora_dlmm.instruction import Swap2
from chalicelib.venues.meteora_dlmm.layout import bin_array_address, oracle_address, reserve_address
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_clmm import layout as clmm
from chalicelib.venues.raydium_clmm.instruction import SwapV2
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmVenue
from chalicelib.venues.raydium_cpmm.instruction import SwapBaseInput
from chalicelib.venues.raydium_cpmm.layout import config_address, observation_address, vault_address
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue

POOL, TRADER, SOURCE, DESTINATION, STRANGER = (Pubkey(bytes([number] * 32)) for number in range(11, 16))
ONE, OTHER = TokenMint(Pubkey(bytes([20] * 32)), TOKEN_PROGRAM), TokenMint(Pubkey(bytes([21] * 32)), TOKEN_2022_PROGRAM)

amounts = st.integers(0, 2**64 - 1)
CPMM = SwapBaseInput(
    pool=POOL,
    config=config_address(3),
    observation=observation_address(POOL),
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    vaults=(vault_address(POOL, ONE.mint), vault_address(POOL, OTHER.mint)),
    tokens=(ONE, OTHER),
    amount_in=7,
    minimum_out=5,
)
DLMM = Swap2(
    pool=POOL,
    has_bitmap_extension=True,
    reserves=(reserve_address(POOL, ONE.mint), reserve_address(POOL, OTHER.mint)),
    tokens=(ONE, OTHER),
    oracle=oracle_address(POOL),
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    bin_arrays=(bin_array_address(POOL, -3), bin_array_address(POOL, -4), bin_array_address(POOL, -9)),
    amount_in=7,
    minimum_out=5,
)
DAMM_V2 = DammV2Swap(
    pool=POOL,
    vaults=(damm_v2_layout.vault_address(POOL, ONE.mint), damm_v2_layout.vault_address(POOL, OTHER.mint)),
    tokens=(ONE, OTHER),
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    has_rate_limiter=False,
    amount_in=7,
    minimum_out=5,
)
DAMM_V2_LIMITED = replace(DAMM_V2, has_rate_limiter=True)
CLMM_POOL = clmm.pool_address(clmm.config_address(3), ONE.mint, OTHER.mint)
CLMM = SwapV2(
    pool=CLMM_POOL,
    config=clmm.config_address(3),
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    tokens=(ONE, OTHER),
    remaining_accounts=(
        clmm.bitmap_extension_address(CLMM_POOL),
        *(clmm.tick_array_address(CLMM_POOL, start) for start in (3_600, -3_600, -36_000)),
    ),
    amount_in=7,
    minimum_out=5,
)
AnySwap = SwapBaseInput | Swap2 | SwapV2 | DammV2Swap
EACH = pytest.mark.parametrize(
    ("venue", "swap"),
    [
        (RaydiumCpmmVenue(), CPMM),
        (MeteoraDlmmVenue(), DLMM),
        (RaydiumClmmVenue(), CLMM),
        (MeteoraDammV2Venue(), DAMM_V2),
        (MeteoraDammV2Venue(), DAMM_V2_LIMITED),
    ],
)


def decoded(venue: SwapDecoder, instruction: Instruction) -> DecodedSwap:
    return venue.decode_swap([meta.pubkey for meta in instruction.accounts], bytes(instruction.data))


@EACH
@given(amount_in=amounts, minimum_out=amounts)
def test_a_swap_reads_back_as_what_it_was_written_from(
    venue: SwapDecoder, swap: AnySwap, amount_in: int, minimum_out: int
) -> None:
    instruction = replace(swap, amount_in=amount_in, minimum_out=minimum_out).encode()
    found = decoded(venue, instruction)
    assert found.instruction == instruction
    assert (found.amount_in, found.minimum_out) == (amount_in, minimum_out)
    assert (found.pool, found.trader, found.source, found.destination) == (swap.pool, TRADER, SOURCE, DESTINATION)
    assert instruction.program_id == venue.program_id


def test_raydium_says_which_way_a_swap_goes_and_meteora_leaves_it_to_the_accounts() -> None:
    assert decoded(RaydiumCpmmVenue(), CPMM.encode()).directions == ((ONE, OTHER),)
    assert decoded(MeteoraDlmmVenue(), DLMM.encode()).directions == ((ONE, OTHER), (OTHER, ONE))
    assert decoded(MeteoraDammV2Venue(), DAMM_V2.encode()).directions == ((ONE, OTHER), (OTHER, ONE))


# Where the accounts stand that are the trader's choice, or tell which pool and tokens are meant.
FREE = {
    RaydiumCpmmVenue: {0, 4, 5, 8, 9},
    MeteoraDlmmVenue: {4, 5, 10, 11, 12},
    RaydiumClmmVenue: {0, 3, 4},
    MeteoraDammV2Venue: {2, 3, 8, 9, 10},
}


@EACH
def test_every_account_that_is_the_pools_is_derived_from_it(
    venue: RaydiumCpmmVenue | MeteoraDlmmVenue | RaydiumClmmVenue | MeteoraDammV2Venue, swap: AnySwap
) -> None:
    instruction = swap.encode()
    accounts, data = [meta.pubkey for meta in instruction.accounts], bytes(instruction.data)
    for position in range(len(accounts)):
        changed = [*accounts[:position], STRANGER, *accounts[position + 1 :]]
        if position in FREE[type(venue)]:
            assert venue.decode_swap(changed, data) != decoded(venue, instruction)
        else:
            with pytest.raises(NotOurSwap):
                venue.decode_swap(changed, data)


@EACH
@given(cut=st.integers(1, 12), more=st.binary(min_size=1, max_size=4), bit=st.integers(0, 63))
def test_other_lengths_and_another_discriminator_are_refused(
    venue: SwapDecoder, swap: AnySwap, cut: int, more: bytes, bit: int
) -> None:
    accounts, data = [meta.pubkey for meta in swap.encode().accounts], bytes(swap.encode().data)
    other = bytearray(data)
    other[bit // 8] ^= 1 << bit % 8
    for wrong in (data[:-cut], data + more, bytes(other)):
        with pytest.raises(NotOurSwap):
            venue.decode_swap(accounts, wrong)
    for wrong_accounts in (accounts[: min(cut, 12)], [*accounts, STRANGER]):
        with pytest.raises(NotOurSwap):
            venue.decode_swap(wrong_accounts, data)


@pytest.mark.parametrize("indexes", [(0, 0), (1, 2, 2), (3, 1, 2), (-1, -2, -1)])
def test_bin_arrays_come_once_each_and_in_a_row(indexes: tuple[int, ...]) -> None:
    arrays = tuple(bin_array_address(POOL, index) for index in indexes)
    with pytest.raises(NotOurSwap, match="bin arrays"):
        decoded(MeteoraDlmmVenue(), replace(DLMM, bin_arrays=arrays).encode())


@pytest.mark.parametrize("indexes", [(), (0,), (-1, 0, 1), (5, 2, -30), (512 * 13 - 1,), (-512 * 13,)])
def test_bin_arrays_may_be_any_of_the_pools(indexes: tuple[int, ...]) -> None:
    arrays = tuple(bin_array_address(POOL, index) for index in indexes)
    without = replace(DLMM, bin_arrays=arrays, has_bitmap_extension=False).encode()
    assert decoded(MeteoraDlmmVenue(), without).instruction == without


def test_clmm_leaves_the_token_programs_to_the_accounts() -> None:
    directions = decoded(RaydiumClmmVenue(), CLMM.encode()).directions
    assert {(token_in.mint, token_out.mint) for token_in, token_out in directions} == {(ONE.mint, OTHER.mint)}
    assert (ONE, OTHER) in directions


@pytest.mark.parametrize("starts", [(0, 0), (60, 120, 120), (180, 60, 120), (-60, -120, -60), (1,), (443_700,)])
def test_tick_arrays_come_once_each_and_in_a_row(starts: tuple[int, ...]) -> None:
    arrays = tuple(clmm.tick_array_address(CLMM_POOL, start) for start in starts)
    with pytest.raises(NotOurSwap, match="tick arrays"):
        decoded(RaydiumClmmVenue(), replace(CLMM, remaining_accounts=arrays).encode())


@pytest.mark.parametrize("starts", [(), (0,), (-60, 0, 60), (7_200, 60, -1_800), (443_580,), (-443_640,)])
def test_tick_arrays_may_be_any_of_the_pools(starts: tuple[int, ...]) -> None:
    arrays = tuple(clmm.tick_array_address(CLMM_POOL, start) for start in starts)
    for remaining in (arrays, (clmm.bitmap_extension_address(CLMM_POOL), *arrays)):
        instruction = replace(CLMM, remaining_accounts=remaining).encode()
        assert decoded(RaydiumClmmVenue(), instruction).instruction == instruction


@pytest.mark.parametrize(("offset", "value"), [(24, b"\1"), (40, b"\0"), (40, b"\2")])
def test_a_clmm_swap_with_a_price_limit_or_of_an_exact_output_is_refused(offset: int, value: bytes) -> None:
    data = bytearray(bytes(CLMM.encode().data))
    data[offset : offset + 1] = value
    with pytest.raises(NotOurSwap, match="exact-in swap_v2 without price limit"):
        RaydiumClmmVenue().decode_swap([meta.pubkey for meta in CLMM.encode().accounts], bytes(data))


def test_another_pools_bin_array_is_refused() -> None:
    foreign = replace(DLMM, bin_arrays=(bin_array_address(STRANGER, 0),)).encode()
    with pytest.raises(NotOurSwap, match="bin arrays"):
        decoded(MeteoraDlmmVenue(), foreign)


def test_an_address_is_derived_once_and_then_known() -> None:
    derived: list[int] = []

    def derive(index: int) -> Pubkey:
        derived.append(index)
        return Pubkey(bytes([index] * 32))

    addresses = DerivedAddresses(derive, range(4))
    assert addresses.index_of(Pubkey(bytes([2] * 32))) == 2
    assert derived == [0, 1, 2]
    assert [addresses.index_of(Pubkey(bytes([number] * 32))) for number in (0, 9, 9, 3)] == [0, None, None, 3]
    assert derived == [0, 1, 2, 3]

"""Swaps of programs that are told no mints: the signing policy takes these from the registry, and all that follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import SigningRefused
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.signing_policy import SigningPolicy, TradablePool
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_PROGRAM
from chalicelib.venues import supported
from chalicelib.venues.meteora_damm_v1 import layout as damm_v1
from chalicelib.venues.meteora_damm_v1.instruction import DammV1Swap
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Venue
from chalicelib.venues.raydium_amm_v4 import layout as amm_v4
from chalicelib.venues.raydium_amm_v4.instruction import SwapBaseInV2
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Venue
from tests.trades_to_sign import FEE_CAP, as_bytes, compiled, policy, registry, trade

POOL, TRADER, SOURCE, DESTINATION, STRANGER, COIN_VAULT, PC_VAULT, FEE, STAKE, LP_A, LP_B = (
    Pubkey(bytes([number] * 32)) for number in range(11, 22)
)
ONE, OTHER = TokenMint(Pubkey(bytes([30] * 32)), TOKEN_PROGRAM), TokenMint(Pubkey(bytes([31] * 32)), TOKEN_PROGRAM)
MINTS = (ONE.mint, OTHER.mint)

AMM_V4 = SwapBaseInV2(
    pool=POOL,
    vaults=(COIN_VAULT, PC_VAULT),
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    amount_in=7,
    minimum_out=5,
)
DAMM_V1 = DammV1Swap(
    pool=POOL,
    vaults=(damm_v1.vault_address(ONE.mint), damm_v1.vault_address(OTHER.mint)),
    lp_mints=(LP_A, LP_B),
    protocol_fee=FEE,
    stake=None,
    trader=TRADER,
    source=SOURCE,
    destination=DESTINATION,
    amount_in=7,
    floor=6,
)
DEPEG = replace(DAMM_V1, stake=STAKE)
Venue = RaydiumAmmV4Venue | MeteoraDammV1Venue
EACH = pytest.mark.parametrize(
    ("venue", "swap"),
    [(RaydiumAmmV4Venue(), AMM_V4), (MeteoraDammV1Venue(), DAMM_V1), (MeteoraDammV1Venue(), DEPEG)],
    ids=["AMM v4", "DAMM v1", "DAMM v1, depeg"],
)
amounts = st.integers(0, 2**64 - 2)


def decoded(venue: Venue, instruction: Instruction) -> DecodedSwap:
    return venue.decode_swap([meta.pubkey for meta in instruction.accounts], bytes(instruction.data))


@EACH
@given(amount_in=amounts, minimum_out=amounts)
def test_a_swap_reads_back_as_what_it_was_written_from(
    venue: Venue, swap: SwapBaseInV2 | DammV1Swap, amount_in: int, minimum_out: int
) -> None:
    if isinstance(swap, SwapBaseInV2):
        instruction = replace(swap, amount_in=amount_in, minimum_out=minimum_out).encode()
    else:
        instruction = replace(swap, amount_in=amount_in, floor=minimum_out + 1).encode()
    found = decoded(venue, instruction)
    assert found.instruction == instruction
    assert (found.amount_in, found.minimum_out) == (amount_in, minimum_out)
    assert (found.pool, found.trader, found.source, found.destination) == (POOL, TRADER, SOURCE, DESTINATION)
    assert found.directions_between is not None
    assert found.directions_between(MINTS) == ((ONE, OTHER), (OTHER, ONE))
    assert instruction.program_id == venue.program_id


# Where the accounts stand that are the trader's choice, tell which pool is meant, or that only the program can tell.
FREE = {
    RaydiumAmmV4Venue: {"pool": {1}, "trader": {5, 6, 7}, "told by the program": {3, 4}},
    MeteoraDammV1Venue: {"pool": {0}, "trader": {1, 2, 12}, "told by the program": {7, 8, 11, 15}},
}


@EACH
def test_every_other_account_is_derived(venue: Venue, swap: SwapBaseInV2 | DammV1Swap) -> None:
    instruction = swap.encode()
    accounts, data = [meta.pubkey for meta in instruction.accounts], bytes(instruction.data)
    free = FREE[type(venue)]
    for position in range(len(accounts)):
        changed = [*accounts[:position], STRANGER, *accounts[position + 1 :]]
        if position in free["trader"] | free["told by the program"]:
            assert venue.decode_swap(changed, data) != decoded(venue, instruction)
        elif isinstance(venue, RaydiumAmmV4Venue) and position in free["pool"]:
            assert venue.decode_swap(changed, data).pool == STRANGER
        else:
            with pytest.raises(NotOurSwap):
                venue.decode_swap(changed, data)


@EACH
@given(cut=st.integers(1, 8), more=st.binary(min_size=1, max_size=4), bit=st.integers(0, 7))
def test_other_lengths_and_another_tag_are_refused(
    venue: Venue, swap: SwapBaseInV2 | DammV1Swap, cut: int, more: bytes, bit: int
) -> None:
    accounts, data = [meta.pubkey for meta in swap.encode().accounts], bytes(swap.encode().data)
    other = bytes([data[0] ^ 1 << bit]) + data[1:]
    for wrong in (data[:-cut], data + more, other):
        with pytest.raises(NotOurSwap):
            venue.decode_swap(accounts, wrong)
    for wrong_accounts in (accounts[:-2], [*accounts, STRANGER, PC_VAULT], [*accounts[:-1], accounts[0]]):
        with pytest.raises(NotOurSwap):
            venue.decode_swap(wrong_accounts, data)


def test_a_vault_of_another_token_is_refused_once_the_mints_are_known() -> None:
    found = decoded(MeteoraDammV1Venue(), DAMM_V1.encode())
    assert found.directions_between is not None
    for mints in ((OTHER.mint, ONE.mint), (ONE.mint, STRANGER)):
        with pytest.raises(NotOurSwap, match="not that of the pool's token"):
            found.directions_between(mints)


def test_a_swap_guarantees_a_unit_less_than_the_floor_that_is_written() -> None:
    assert decoded(MeteoraDammV1Venue(), replace(DAMM_V1, floor=1_000).encode()).minimum_out == 999
    with pytest.raises(NotOurSwap, match="with a floor"):
        decoded(MeteoraDammV1Venue(), replace(DAMM_V1, floor=0).encode())
    with pytest.raises(ValueError, match="more than can be paid"):
        replace(DAMM_V1, floor=2**64).encode()


# --- what is signed -------------------------------------------------------------------------------------------------

PROGRAMS = {"AMM v4": amm_v4.PROGRAM_ID, "DAMM v1": damm_v1.PROGRAM_ID}
SIGNED = pytest.mark.parametrize("name", PROGRAMS)


@SIGNED
@pytest.mark.parametrize(("sold", "bought"), [("SOL", "USDC"), ("USDC", "SOL"), ("JUP", "SOL")])
@pytest.mark.parametrize("slippage_ppm", [0, 10_000])
def test_the_policy_signs_a_trade_of_theirs(name: str, sold: str, bought: str, slippage_ppm: int) -> None:
    programs = (PROGRAMS[name],)
    made = trade(sold, bought, 10**9, slippage_ppm, programs=programs)
    message = as_bytes(made.message)
    assert bytes(policy(programs=programs).approve(message, made.terms)) == message


@SIGNED
def test_an_accounts_place_taken_by_another_is_signed_only_where_the_program_tells_them_apart(name: str) -> None:
    programs = (PROGRAMS[name],)
    made = trade("SOL", "USDC", 10**9, programs=programs)
    index = next(n for n, each in enumerate(made.instructions) if each.program_id in programs)
    swap = made.instructions[index]
    venue = next(each for each in supported.VENUES if each.program_id in programs)
    told_by_program = FREE[type(venue)]["told by the program"]
    for position, meta in enumerate(swap.accounts):
        accounts = list(swap.accounts)
        accounts[position] = AccountMeta(STRANGER, meta.is_signer, meta.is_writable)
        instructions = made.instructions
        instructions[index] = Instruction(swap.program_id, bytes(swap.data), accounts)
        if position in told_by_program:
            policy(programs=programs).approve(compiled(instructions), made.terms)
        elif not meta.is_signer:
            with pytest.raises(SigningRefused):
                policy(programs=programs).approve(compiled(instructions), made.terms)


@SIGNED
def test_a_pool_that_is_registered_with_other_tokens_is_not_traded(name: str) -> None:
    programs = (PROGRAMS[name],)
    made = trade("SOL", "USDC", 10**9, programs=programs)
    known = registry((), programs).tradable()
    others = {pool: TradablePool(of.program, (of.mints[0], STRANGER)) for pool, of in known.items()}
    with pytest.raises(SigningRefused):
        SigningPolicy(supported.VENUES, lambda: others, FEE_CAP).approve(as_bytes(made.message), made.terms)

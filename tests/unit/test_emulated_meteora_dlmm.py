"""The emulated Meteora DLMM does what the real program does: balances and pool state. Genesis pools are whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from struct import Struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction

from chalicelib.problems import ExecutionError
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.meteora_dlmm.layout import (
    PROGRAM_ID,
    bin_array_address,
    bitmap_extension_address,
    oracle_address,
    reserve_address,
)
from chalicelib.venues.meteora_dlmm.math import price_of_bin
from infra.localnet.cross_program_invocation import check_effect
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec, LimitOrders, genesis_pool, pair_address
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.token_accounts import rent_exempt
from tests.conformance.subjects.meteora_dlmm import arrays_in_swap_order
from tests.conformance.vector_file import VectorCase, VectorFile
from tests.unit.meteora_dlmm_market import (
    CLOCK,
    DESTINATION,
    HOST,
    SOL,
    SOURCE,
    STRANGER,
    TAXED,
    Market,
    as_swap,
    genesis_market,
    protocol_fees,
    spec,
    specs,
)

VECTORS = VectorFile.load(Path(__file__).parents[1] / "conformance" / "vectors" / "meteora_dlmm.json")
_OBSERVATION = Struct("<16sqq")


def vector_instruction(case: VectorCase) -> tuple[Market, bytes, list[AccountMeta]]:
    """The instruction that the case's kind says was run."""
    market = Market(case.pool.address, case.pool.accounts, case.mint_in)
    arrays = arrays_in_swap_order(case)
    handed = {
        "no_bin_arrays": arrays[:0],
        "only_active_bin_array": arrays[:1],
        "bin_arrays_reversed": arrays[::-1],
        "first_two_bin_arrays": arrays[:2],
    }
    data, metas = market.instruction(case.amount_in, case.min_out, handed.get(case.kind, arrays))
    if case.kind == "host_fee":
        metas[9] = AccountMeta(HOST, is_signer=False, is_writable=True)
    if case.kind == "swap_v1":
        data, metas = as_swap(data, metas)
    return market, data, metas


@pytest.mark.parametrize("case", [case for case in VECTORS.cases if case.ok], ids=lambda case: case.name)
def test_a_swap_moves_and_accrues_what_the_real_program_did(case: VectorCase) -> None:
    market, data, metas = vector_instruction(case)
    before = protocol_fees(market.accounts[case.pool.address].data)

    effect = market.run(data, metas, case.clock)

    assert effect.transfers[0].amount == case.result["amount_in_taken"]
    assert effect.transfers[-1].amount == case.result["amount_out"]
    if case.kind == "host_fee":
        assert effect.transfers[1].amount == case.result["host_fee"]
    market.settle(effect)
    pair = market.pair()
    assert pair.active_id == case.result["active_id_after"]
    assert pair.volatility.accumulator == case.result["volatility_accumulator_after"]
    after = protocol_fees(market.accounts[case.pool.address].data)
    earned = [new - old for new, old in zip(after, before, strict=True)]
    assert earned == [case.result["protocol_fee_x"], case.result["protocol_fee_y"]]


@pytest.mark.parametrize("case", [case for case in VECTORS.cases if not case.ok], ids=lambda case: case.name)
def test_a_refused_swap_gives_the_real_programs_code_and_name(case: VectorCase) -> None:
    market, data, metas = vector_instruction(case)

    with pytest.raises(ProgramError) as refusal:
        market.run(data, metas, case.clock)

    assert (refusal.value.code, refusal.value.name) == (case.result["code"], case.result["name"])


@given(specs(), st.lists(st.tuples(st.booleans(), st.integers(1, 3 * 10**9), st.integers(0, 700)), max_size=5))
@settings(max_examples=80, deadline=None)
def test_a_trader_gets_what_was_quoted_and_the_reserves_cover_all_that_is_owed(
    made: DlmmPoolSpec, trades: list[tuple[bool, int, int]]
) -> None:
    markets = {sell_x: genesis_market(made, sell_x) for sell_x in (True, False)}
    accounts, clock = markets[True].accounts, CLOCK
    for sell_x, amount_in, pause in trades:
        market = markets[sell_x]
        market.accounts |= {key: account for key, account in accounts.items() if key not in (SOURCE, DESTINATION, HOST)}
        clock = replace(clock, unix_timestamp=clock.unix_timestamp + pause)
        received = market.balance(DESTINATION)
        try:
            quote = market.pool().quote(market.mint_in, amount_in, clock)
        except ExecutionError:
            with pytest.raises(ProgramError):
                market.swap(amount_in, clock=clock)
            continue
        arrays = list(quote.remaining_accounts)
        with pytest.raises(ProgramError, match="slippage"):
            market.run(*market.instruction(amount_in, quote.amount_out + 1, arrays), clock)
        data, metas = market.instruction(amount_in, quote.amount_out, arrays)
        market.settle(market.run(data, metas, clock))
        assert market.balance(DESTINATION) - received == quote.amount_out
        accounts = market.accounts
        assert_covered(market, made)


def assert_covered(market: Market, made: DlmmPoolSpec) -> None:
    """What bins, orders and the protocol own is in the reserves."""
    held = [0, 0]
    for bin_id in {*made.liquidity, *made.orders}:
        each = market.bin(bin_id)
        held[0] += each["amount_x"]
        held[1] += each["amount_y"]
        if bin_id in made.orders:
            held[0 if made.orders[bin_id].ask else 1] += each["open"] + each["remaining"]
    fees = protocol_fees(market.accounts[market.address].data)
    for side, token in enumerate(market.pool().sides):
        assert held[side] + fees[side] <= market.balance(token.vault)


def test_everything_a_swap_changes_it_was_given_to_write() -> None:
    market = genesis_market(spec())
    data, metas = market.instruction(50 * 10**9)

    effect = market.run(data, metas)

    check_effect(effect, Instruction(PROGRAM_ID, data, metas), market.accounts)
    assert set(effect.writes) == {
        market.address,
        oracle_address(market.address),
        *(bin_array_address(market.address, index) for index in (0, -1)),
    }


def test_market_makers_earn_what_the_protocol_does_not_take() -> None:
    market = genesis_market(spec(protocol_share=1_000))

    market.settle(market.swap(10**6))

    # 0.16 % of a million, of which a tenth is the protocol's.
    assert protocol_fees(market.accounts[market.address].data) == (160, 0)
    supply = market.bin(0)["supply"] >> 64
    assert market.bin(0)["growth_x"] == (1_440 << 64) // supply
    assert market.bin(0)["amount_x"] == 10**9 + 10**6 - 1_600


def test_the_volatility_of_a_swap_is_written_for_the_next_one() -> None:
    market = genesis_market(spec())

    market.settle(market.swap(3_500_000_000))

    pair = market.pair()
    assert pair.active_id == -3
    assert (pair.volatility.accumulator, pair.volatility.reference, pair.volatility.index_reference) == (30_000, 0, 0)
    assert pair.volatility.last_update_timestamp == CLOCK.unix_timestamp


def test_a_swap_that_leaves_the_price_leaves_the_time_of_its_last_move() -> None:
    market = genesis_market(spec())
    before = market.pair().volatility.last_update_timestamp

    market.settle(market.swap(10**6))

    assert market.pair().volatility.last_update_timestamp == before


def test_orders_are_filled_after_market_makers_the_processed_before_the_open() -> None:
    orders = LimitOrders(ask=False, open=5_000, processing=3_000, remaining=2_000)
    made = spec(liquidity={0: (0, 1_000), -1: (0, 10**6)}, orders={0: orders}, base_factor=0)

    def after(amount_in: int) -> dict[str, int]:
        market = genesis_market(made)
        market.settle(market.swap(amount_in))
        return market.bin(0)

    none, some, touched = after(900), after(2_500), after(4_000)
    assert (none["amount_y"], none["remaining"], none["open"], none["fulfilled_y"]) == (100, 2_000, 5_000, 0)
    assert (some["amount_y"], some["remaining"], some["open"], some["fulfilled_y"]) == (0, 500, 5_000, 1_500)
    # The open orders became the processed ones.
    assert (touched["open"], touched["processing"], touched["remaining"]) == (0, 5_000, 4_000)
    assert (touched["fulfilled_y"], touched["age"], some["age"]) == (3_000, 2, 1)


@pytest.mark.parametrize(("bin_id", "index"), [(-140, -2), (-700 * 70, -700)])
def test_a_bin_array_that_orders_leave_empty_is_forgotten_by_the_bitmap(bin_id: int, index: int) -> None:
    orders = {bin_id: LimitOrders(ask=False, open=5_000)}
    made = spec(bin_step=1, liquidity={0: (0, 1_000)}, orders=orders, base_factor=0, variable_fee_control=0)
    cost = 1_000 - (-(5_000 << 64) // price_of_bin(bin_id, 1))

    def next_array_after(amount_in: int) -> int | None:
        market = genesis_market(made)
        market.settle(market.swap(amount_in))
        return market.pool().bitmap.next_index(-1, down=True)

    assert next_array_after(cost - 1) == index
    assert next_array_after(cost) is None


def test_the_oracle_adds_up_the_active_bin_in_samples_of_two_minutes() -> None:
    market = genesis_market(spec())
    oracle = oracle_address(market.address)

    def observe(seconds: int) -> tuple[tuple[int, int], tuple[int, int, int]]:
        clock = replace(CLOCK, unix_timestamp=seconds)
        market.settle(market.swap(1_500_000_000, clock=clock))
        data = market.accounts[oracle].data
        index, active_size = Struct("<QQ").unpack_from(data, 8)
        total, created_at, updated_at = _OBSERVATION.unpack_from(data, 32 + 32 * index)
        return (index, active_size), (int.from_bytes(total, "little", signed=True), created_at, updated_at)

    assert observe(1_000) == ((0, 1), (0, 1_000, 1_000))
    held = market.pair().active_id
    assert observe(1_119) == ((0, 1), (119 * held, 1_000, 1_119))
    total = 119 * held + market.pair().active_id
    assert observe(1_120) == ((1, 2), (total, 1_120, 1_120))


@pytest.mark.parametrize(("sell_x", "mode", "side"), [(True, 0, 0), (False, 0, 1), (True, 1, 1), (False, 1, 1)])
def test_a_host_is_paid_out_of_the_protocols_fee_in_the_fees_token(sell_x: bool, mode: int, side: int) -> None:
    market = genesis_market(spec(collect_fee_mode=mode, protocol_share=1_000), sell_x)
    data, metas = market.instruction(10**6)
    metas[9] = AccountMeta(HOST, is_signer=False, is_writable=True)

    market.settle(market.run(data, metas))

    # A fifth of the protocol's 160.
    assert market.balance(HOST) == 32
    assert protocol_fees(market.accounts[market.address].data)[side] == 128


def test_swap_and_swap2_do_the_same() -> None:
    market = genesis_market(spec())
    data, metas = market.instruction(10**9)

    effect, older = market.run(data, metas), market.run(*as_swap(data, metas))

    assert replace(older, logs=()) == replace(effect, logs=())
    assert older.logs == ("Program log: Instruction: Swap",)
    assert effect.logs == ("Program log: Instruction: Swap2",)


def test_accounts_set_aside_for_transfer_hooks_are_no_bin_arrays() -> None:
    market = genesis_market(spec())
    data, metas = market.instruction(10**6)
    hook = AccountMeta(STRANGER, is_signer=False, is_writable=False)
    with_hooks = data[:24] + (2).to_bytes(4, "little") + bytes([0, 1]) + bytes([3, 0, 1])

    assert market.run(with_hooks, [*metas[:16], hook, hook, *metas[16:]]) == market.run(data, metas)


def test_a_genesis_pool_is_rent_exempt_and_stands_at_the_programs_own_addresses() -> None:
    made = spec(mint_y=TAXED, with_bitmap_extension=True)
    built = genesis_pool(made)

    assert built.address == pair_address(made)[0]
    bin_arrays = [bin_array_address(built.address, index) for index in (-2, -1, 0, 1)]
    x, y = (reserve_address(built.address, mint.address) for mint in (SOL, TAXED))
    others = built.address, x, y, oracle_address(built.address), bitmap_extension_address(built.address)
    assert set(built.accounts) == {*others, *bin_arrays}
    for account in built.accounts.values():
        assert account.lamports >= rent_exempt(len(account.data))
        assert account.owner in (PROGRAM_ID, TOKEN_PROGRAM, TOKEN_2022_PROGRAM)


def test_a_genesis_pools_reserves_hold_its_liquidity_and_orders() -> None:
    orders = {5: LimitOrders(ask=True, open=70, processing=9, remaining=4), -5: LimitOrders(ask=False, open=30)}
    market = genesis_market(spec(liquidity={0: (100, 200), 5: (11, 0)}, orders=orders))

    x, y = market.pool().sides
    assert market.balance(x.vault) == 100 + 11 + 70 + 4
    assert market.balance(y.vault) == 200 + 30
    assert market.accounts[x.vault].lamports == rent_exempt(165) + market.balance(x.vault)  # wrapped SOL


@pytest.mark.parametrize("liquidity", [{-1: (1, 0)}, {1: (0, 1)}])
def test_no_genesis_pool_has_a_token_on_the_wrong_side_of_its_price(liquidity: dict[int, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="side"):
        genesis_pool(spec(liquidity=liquidity))

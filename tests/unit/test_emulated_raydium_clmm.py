"""The emulated Raydium CLMM does what the real program does: balances, pool state, refusals."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, ExecutionError, InsufficientLiquidity
from chalicelib.solana.accounts import Account
from chalicelib.venues.raydium_clmm.layout import (
    PROGRAM_ID,
    ClmmPoolState,
    bitmap_extension_address,
    tick_array_address,
    ticks_of,
)
from chalicelib.venues.raydium_clmm.math import MIN_SQRT_PRICE, sqrt_price_at
from infra.localnet.programs.program import ProgramError
from infra.localnet.programs.raydium_clmm_pool import ClmmPoolSpec, ClmmPosition, TickOrders, genesis_pool
from testing.sdk.made_up_clmm_pools import PLAIN_0, PLAIN_1, clmm_specs
from tests.conformance.subjects.raydium_clmm import RaydiumClmmSubject
from tests.conformance.vector_file import VectorCase, VectorFile
from tests.unit.raydium_clmm_market import CLOCK, DESTINATION, SOURCE, Market

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors"
APRIL, OF_2026 = (
    VectorFile.load(VECTORS / name) for name in ("raydium_clmm.json.gz", "raydium_clmm_2026_by_models.json.gz")
)
NOT_REPRODUCED = RaydiumClmmSubject.not_reproduced | {"swap_v1", "insufficient_user_balance", "zero_amount"}
# Where PoolState has the fees that it owes.
PROTOCOL_FEES, FUND_FEES = 309, 1064


def cases(file: VectorFile, *, paid: bool) -> list[VectorCase]:
    """One in three: the quotes of all are compared in tests/conformance."""
    found = [case for case in file.cases if case.ok == paid and case.kind not in NOT_REPRODUCED]
    return found[::3]


def vector_market(case: VectorCase) -> Market:
    return Market(case.pool.address, case.pool.accounts, case.mint_in)


def every_array(case: VectorCase) -> tuple[Pubkey, ...]:
    """The bitmap extension, and all tick arrays of the pool in swap order."""
    arrays = {int(start): Pubkey.from_string(address) for start, address in case.pool.roles["tick_arrays"].items()}
    down = case.mint_in == Pubkey.from_string(case.pool.roles["mint0"])
    in_order = [arrays[start] for start in sorted(arrays, reverse=down)]
    extension = bitmap_extension_address(case.pool.address)
    return ((extension,) if extension in case.pool.accounts else ()) + tuple(in_order)


def owed(account: Account, offset: int, side: int) -> int:
    return int.from_bytes(account.data[offset + 8 * side : offset + 8 * side + 8], "little")


def spec(**changes: object) -> ClmmPoolSpec:
    fields: dict[str, object] = {
        "mint_0": PLAIN_0,
        "mint_1": PLAIN_1,
        "config_index": 1,
        "tick_spacing": 10,
        "sqrt_price": sqrt_price_at(5),
        "positions": (ClmmPosition(-1_000, 1_000, 10**12),),
    }
    return ClmmPoolSpec(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "case", [*cases(APRIL, paid=True), *cases(OF_2026, paid=True)], ids=lambda case: f"{case.name}"
)
def test_a_swap_moves_and_accrues_what_the_real_program_did(case: VectorCase) -> None:
    market = vector_market(case)
    side = [mint.address for mint in market.pool().mints].index(case.mint_in)
    data, metas = market.instruction(case.amount_in, case.min_out, every_array(case), case.clock)
    before = market.accounts[case.pool.address]

    effect = market.run(data, metas, case.clock)
    market.settle(effect, case.clock.epoch)

    assert effect.transfers[0].amount == case.result["amount_in_taken"]
    assert market.balance(DESTINATION) == case.result["amount_out"]
    account = market.accounts[case.pool.address]
    after = ClmmPoolState.decode(account.owner, account.data)
    assert after.tick == case.result["tick_after"]
    assert after.sqrt_price == int(case.result["sqrt_price_after"])
    assert after.liquidity == int(case.result["liquidity_after"])
    if "volatility_accumulator_after" in case.result:
        assert after.dynamic_fee is not None
        assert after.dynamic_fee.accumulator == case.result["volatility_accumulator_after"]
    fee_side = {0: side, 1: 0, 2: 1}[after.fee_on]
    for name, offset in (("protocol_fee", PROTOCOL_FEES), ("fund_fee", FUND_FEES)):
        assert owed(account, offset, fee_side) - owed(before, offset, fee_side) == case.result[name]


@pytest.mark.parametrize("case", cases(APRIL, paid=False), ids=lambda case: case.name)
def test_a_refused_swap_gives_the_real_programs_name(case: VectorCase) -> None:
    market = vector_market(case)
    data, metas = market.instruction(case.amount_in, case.min_out, every_array(case), case.clock)
    if case.result["name"] == "InsufficientFunds":  # which the token program says, for the vault
        paid = market.run(data, metas, case.clock).transfers[1]
        assert paid.amount > market.balance(paid.source)
        return

    with pytest.raises(ProgramError) as refusal:
        market.run(data, metas, case.clock)

    assert refusal.value.name == case.result["name"]


@pytest.mark.parametrize("name", APRIL.pools)
def test_genesis_writes_accounts_as_they_are_on_the_chain(name: str) -> None:
    """A pool that is built of what a recorded one says has the same addresses, config and bitmaps."""
    pool = APRIL.pools[name]
    account = pool.accounts[pool.address]
    state = ClmmPoolState.decode(account.owner, account.data)
    arrays = {
        int(start): ticks_of(array.owner, array.data, pool.address, int(start))
        for start, address in pool.roles["tick_arrays"].items()
        if (array := pool.accounts.get(Pubkey.from_string(address))) is not None
    }
    # any set of positions with these net liquidities will do: one from each tick to the end of the last
    ticks = sorted({tick.tick for each in arrays.values() for tick in each})
    index = int.from_bytes(pool.accounts[Pubkey(state.config)].data[9:11], "little")
    mints = Market(pool.address, pool.accounts, Pubkey(state.mint_0)).mints

    built = genesis_pool(
        ClmmPoolSpec(
            mint_0=mints[0],
            mint_1=mints[1],
            config_index=index,
            tick_spacing=state.tick_spacing,
            sqrt_price=state.sqrt_price,
            tick=state.tick,
            positions=tuple(ClmmPosition(low, high, 1) for low, high in pairwise(ticks)),
        )
    )

    assert built.address == pool.address
    written = built.accounts[pool.address].data
    assert written[8:237] == account.data[8:41] + written[41:73] + account.data[73:237]
    assert written[904:1032] == account.data[904:1032]
    extension = bitmap_extension_address(pool.address)
    if extension in pool.accounts:
        assert built.accounts[extension].data == pool.accounts[extension].data
    for start, address in pool.roles["tick_arrays"].items():
        recorded = pool.accounts.get(Pubkey.from_string(address))
        if recorded is not None:
            array = built.accounts[tick_array_address(pool.address, int(start))]
            assert array.data[:44] == recorded.data[:44]
            assert [tick.tick for tick in ticks_of(array.owner, array.data, pool.address, int(start))] == [
                tick.tick for tick in arrays[int(start)]
            ]


@given(made=clmm_specs(), zero_for_one=st.booleans(), amounts=st.lists(st.integers(1, 10**10), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_quoted_is_what_is_paid_and_the_vaults_can_pay_it(
    made: ClmmPoolSpec, zero_for_one: bool, amounts: list[int]
) -> None:
    market = Market.of(made, zero_for_one=zero_for_one)
    for number, amount in enumerate(amounts):
        clock = CLOCK.__class__(CLOCK.slot, CLOCK.epoch, CLOCK.unix_timestamp + 7 * number)
        try:
            quote = market.quote(amount, clock)
        except ExecutionError:
            continue
        before = market.balance(DESTINATION)
        data, metas = market.instruction(amount, quote.amount_out, clock=clock)
        effect = market.run(data, metas, clock)
        market.settle(effect, clock.epoch)
        assert market.balance(DESTINATION) - before == quote.amount_out
        assert effect.compute_units <= quote.compute_units
        assert market.balance(effect.transfers[1].source) >= 0


@given(made=clmm_specs(taxed=False), zero_for_one=st.booleans(), amount=st.integers(1, 10**9))
@settings(max_examples=60, deadline=None)
def test_there_and_back_gains_nothing(made: ClmmPoolSpec, zero_for_one: bool, amount: int) -> None:
    there = Market.of(made, zero_for_one=zero_for_one)
    try:
        received = there.quote(amount).amount_out
    except ExecutionError:
        assume(False)
    there.settle(there.run(*there.instruction(amount)), CLOCK.epoch)
    back = Market(there.address, there.accounts, there.mints[1].address)
    with suppress(ExecutionError):  # nothing is left for so little
        assert back.quote(received).amount_out <= amount


def pays(market: Market, amount: int) -> bool:
    try:
        return market.quote(amount).amount_out > 0
    except InsufficientLiquidity:
        return False
    except AmountTooSmall:
        return True  # more will buy something


def test_the_last_order_of_a_tick_without_liquidity_unmarks_its_array() -> None:
    pool = spec(positions=(ClmmPosition(-100, 100, 10**12),), orders={900: TickOrders(open=1_000)})
    market = Market.of(pool, zero_for_one=False)
    everything = bisect_left(range(10**10), True, key=lambda amount: amount > 0 and not pays(market, amount)) - 1

    effect = market.run(*market.instruction(everything))
    market.settle(effect, CLOCK.epoch)

    account = market.accounts[market.address]
    assert ClmmPoolState.decode(account.owner, account.data).bitmap == 0b11 << 511


def test_a_swap_stops_at_its_price_limit() -> None:
    market = Market.of(spec(), zero_for_one=True)
    data, metas = market.instruction(10**9)
    limit = sqrt_price_at(3)
    limited = data[:24] + limit.to_bytes(16, "little") + data[40:]

    effect = market.run(limited, metas)
    market.settle(effect, CLOCK.epoch)

    assert 0 < effect.transfers[0].amount < 10**9
    account = market.accounts[market.address]
    assert ClmmPoolState.decode(account.owner, account.data).sqrt_price == limit


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: b"", 101),
        (lambda data: data[:-1], 102),
        (lambda data: data[:-1] + b"\0", 102),
        (lambda data: data[:24] + (MIN_SQRT_PRICE - 1).to_bytes(16, "little") + data[40:], 6011),
        (lambda data: data[:8] + bytes(8) + data[16:], 6020),
        (lambda data: data[:16] + b"\xff" * 8 + data[24:], 6018),
    ],
    ids=["nothing", "too short", "exact out", "a limit beyond all prices", "no amount", "too high a floor"],
)
def test_wrong_arguments_are_refused_with_the_real_programs_code(change: Callable[[bytes], bytes], code: int) -> None:
    market = Market.of(spec(), zero_for_one=True)
    data, metas = market.instruction(10**6)
    with pytest.raises(ProgramError) as refusal:
        market.run(change(data), metas)
    assert refusal.value.code == code


def changed(metas: list[AccountMeta], position: int, **change: object) -> list[AccountMeta]:
    old = metas[position]
    fields: dict[str, object] = {
        "pubkey": old.pubkey,
        "is_signer": old.is_signer,
        "is_writable": old.is_writable,
    } | change
    return [*metas[:position], AccountMeta(**fields), *metas[position + 1 :]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("position", "change", "code"),
    [
        (0, {"is_signer": False}, 3010),
        (1, {"pubkey": SOURCE}, 3007),
        (2, {"is_writable": False}, 2000),
        (2, {"pubkey": SOURCE}, 3007),
        (3, {"is_writable": False}, 2000),
        (5, {"pubkey": SOURCE}, 6021),
        (7, {"is_writable": False}, 2000),
        (8, {"pubkey": SOURCE}, 3008),
        (10, {"pubkey": SOURCE}, 3008),
        (11, {"pubkey": PLAIN_1.address}, 2012),
        (14, {"is_writable": False}, 3006),
    ],
)
def test_wrong_accounts_are_refused_with_the_real_programs_code(
    position: int, change: dict[str, object], code: int
) -> None:
    market = Market.of(spec(), zero_for_one=True)
    data, metas = market.instruction(10**6)
    with pytest.raises(ProgramError) as refusal:
        market.run(data, changed(metas, position, **change))
    assert refusal.value.code == code


def test_arrays_that_are_not_handed_over_are_missed() -> None:
    market = Market.of(spec(positions=(ClmmPosition(-5_000, 5_000, 10**12),)), zero_for_one=True)
    data, metas = market.instruction(10**6)
    # what lies ahead, and what lies behind
    below, above = metas[14], AccountMeta(market.quote(10**6).spare_accounts[0], is_signer=False, is_writable=True)
    assert market.run(data, [*metas[:14], above, below])
    for handed, name in (([], "NotEnoughTickArrayAccount"), ([above], "InvalidFirstTickArrayAccount")):
        with pytest.raises(ProgramError) as refusal:
            market.run(data, [*metas[:14], *handed])
        assert refusal.value.name == name


def test_it_is_the_program_at_its_own_address() -> None:
    market = Market.of(spec(), zero_for_one=True)
    paid_in, paid_out = market.run(*market.instruction(10**6)).transfers
    assert (paid_in.source, paid_out.destination) == (SOURCE, DESTINATION)
    assert (paid_out.authority, market.accounts[market.address].owner) == (market.address, PROGRAM_ID)

"""The wallet is looked at before anything is signed, and what is signed is what was simulated: on a chain that judges
rent as a validator does.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.message import MessageV0, MessageV1, TransactionConfig, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import VersionedTransaction

from chalicelib.orders.execution import Landed, NeverLands, Undecided
from chalicelib.problems import (
    ExecutionError,
    FeeTooHigh,
    InsufficientBalance,
    OrderExpired,
    RpcRefused,
    WalletUnavailable,
)
from chalicelib.risk.network_fees import FeeRange
from chalicelib.solana.accounts import Account
from chalicelib.solana.cluster import Cluster, ConsensusProtocol
from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS, MAX_COMPUTE_UNITS, PriorityFeePolicy
from chalicelib.solana.rpc import Beside, ReadBeside, Simulation
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.simulation import VersionRefused
from chalicelib.solana.tips import Tips
from chalicelib.solana.transaction import MAX_TRANSACTION_BYTES, TransactionVersion
from chalicelib.solana.wallet_funds import WalletFunds
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm.layout import bin_array_address
from infra.localnet.programs import meteora_dlmm_pool
from infra.localnet.startup import Options
from tests.integration.chain_trading import MINTS, Engine, InProcessChain, genesis_pools, meteora

WALLET = Keypair.from_seed(bytes([52] * 32))
LANE = Keypair.from_seed(bytes([54] * 32)).pubkey()
POOLS = genesis_pools()
RENT_EXEMPT, TOKEN_RENT = 890_880, 2_039_280
LEVY_RENT = 2_157_600  # of an account with the extensions that a mint with a transfer fee asks for
PLENTY = 10 * 10**9
DEAR = 1_000_000
FLOOR = PriorityFeePolicy().floor
# Where in a message the compute-unit limit stands: its instruction comes first.
LIMIT_TAG = b"\x02"
ACCOUNT_BYTES = 33  # what one account more takes: its address, and its place in the instruction that names it


def engine(
    lamports: int,
    *,
    holding: Sequence[str] = (),
    pair: tuple[str, str] = ("USDC", "LEVY"),
    version: TransactionVersion = 1,
    now_ms: Callable[[], int] = lambda: 0,
) -> Engine:
    """A wallet of so many lamports, and of a thousand of each token it holds an account of."""
    chain = InProcessChain(Options(with_traders=False), 1_795_000_000)
    wallet = WALLET.pubkey()
    for symbol in holding:
        amount = 1_000 * 10 ** MINTS[symbol].decimals
        chain.call("localnet_fund", {"address": str(wallet), "mint": str(MINTS[symbol].address), "amount": str(amount)})
    # no transfer would leave so little as some of these have
    chain.chain.node.ledger.set_account(wallet, Account(SYSTEM_PROGRAM, lamports, b""))
    chain.chain.node.advance(3)
    made = Engine(chain, WALLET, POOLS[frozenset(pair)], version, now_ms=now_ms)
    assert made.balance("SOL") == lamports
    return made


def fees_are(of: Engine, price: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody pays so many micro-lamports a unit."""
    read = of.rpc.read_beside
    monkeypatch.setattr(of.rpc, "read_beside", lambda *asked: replace(read(*asked), recent_fees=(price,)))


def simulated(of: Engine) -> list[MessageV0 | MessageV1]:
    wires = [base64.b64decode(first) for method, first in of.http.asked if method == "simulateTransaction"]
    return [message_of(wire) for wire in wires]


def message_of(wire: bytes) -> MessageV0 | MessageV1:
    message = VersionedTransaction.from_bytes(wire).message
    assert isinstance(message, MessageV0 | MessageV1)
    return message


def budget_of(message: MessageV0 | MessageV1) -> tuple[int, int]:
    """Its compute-unit limit, and its priority fee in lamports."""
    if isinstance(message, MessageV1):
        assert message.config.compute_unit_limit is not None
        assert message.config.priority_fee is not None
        return message.config.compute_unit_limit, message.config.priority_fee
    limit, price = (bytes(instruction.data) for instruction in message.instructions[:2])
    assert (limit[:1], price[:1]) == (LIMIT_TAG, b"\x03")
    units = int.from_bytes(limit[1:], "little")
    return units, -(-units * int.from_bytes(price[1:], "little") // 10**6)


def without_budget(message: MessageV0 | MessageV1) -> bytes:
    """The message's bytes, but for those of its compute-unit limit and, in version 1, of its fee."""
    if isinstance(message, MessageV1):
        blank = TransactionConfig(1, 1, message.config.loaded_accounts_data_size_limit)
        keys, instructions = message.account_keys, message.instructions
        return bytes(to_bytes_versioned(MessageV1(message.header, blank, message.recent_blockhash, keys, instructions)))
    data, instruction = bytes(to_bytes_versioned(message)), bytes(message.instructions[0].data)
    assert data.count(instruction) == 1
    return data.replace(instruction, LIMIT_TAG + bytes(4))


VERSIONS = pytest.mark.parametrize("version", [0, 1])


def signed_by(of: Engine, sold: str, bought: str, amount: int, **terms: Any) -> SignedTransaction:
    order = replace(of.order(sold, bought, amount), **terms)
    return of.build(order, of.trader.plan(order))


# --- what the wallet must have ------------------------------------------------------------------------------------


def test_all_sol_but_its_fee_its_rent_and_a_little_can_be_sold() -> None:
    """What is left between wrapping and unwrapping is judged at the end, when the rent has come back."""
    made = engine(PLENTY, holding=["USDC"], pair=("SOL", "USDC"))
    executed = made.execute(made.order("SOL", "USDC", PLENTY - TOKEN_RENT - BASE_FEE_LAMPORTS - 400_000))
    assert executed.fate == Landed(executed.planned.quoted_out)
    assert made.balance("SOL") == TOKEN_RENT + BASE_FEE_LAMPORTS + 400_000 - executed.fee


@pytest.mark.parametrize(
    ("lamports", "told"),
    [
        pytest.param(945_880, "holds 0.00094588 SOL", id="a fee that takes it below rent exemption"),
        pytest.param(60_000, "holds 0.00006 SOL", id="a fee that it does not have"),
    ],
)
def test_a_fee_that_the_wallet_can_not_pay_is_told_before_anything_is_signed(
    lamports: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(lamports, holding=["USDC", "LEVY"])
    fees_are(made, DEAR, monkeypatch)
    with pytest.raises(InsufficientBalance, match=told) as refused:
        signed_by(made, "USDC", "LEVY", 10**6)
    assert "for the network's fee" in str(refused.value)
    assert "sendTransaction" not in made.http.methods


def test_a_wallet_below_rent_exemption_may_stay_there_as_long_as_it_can_pay() -> None:
    made = engine(60_000, holding=["USDC", "LEVY"])
    executed = made.execute(made.order("USDC", "LEVY", 10**6))
    assert executed.fate == Landed(executed.planned.quoted_out)


def test_rent_that_the_wallet_can_not_lend_is_told_before_anything_is_even_simulated() -> None:
    made = engine(1_000_000, holding=["USDC"])
    with pytest.raises(InsufficientBalance, match=r"0\.0021576 for the rent of new token accounts"):
        signed_by(made, "USDC", "LEVY", 10**6)
    assert "simulateTransaction" not in made.http.methods


@pytest.mark.parametrize(
    ("sold", "bought", "amount", "holding", "needed"),
    [
        pytest.param("USDC", "LEVY", 10**6, ["USDC"], LEVY_RENT + RENT_EXEMPT, id="opening an account that stays"),
        pytest.param("USDC", "LEVY", 10**6, ["USDC", "LEVY"], RENT_EXEMPT, id="opening none"),
        pytest.param("SOL", "USDC", 10**9, ["USDC"], 10**9 + TOKEN_RENT, id="selling SOL, the rent comes back"),
        pytest.param("SOL", "USDC", 10**9, [], 10**9 + 2 * TOKEN_RENT, id="selling SOL into a new account"),
        pytest.param("USDC", "SOL", 10**8, ["USDC"], TOKEN_RENT, id="buying SOL"),
    ],
)
def test_the_wallet_must_have_what_the_chain_asks_for_to_the_lamport(
    sold: str, bought: str, amount: int, holding: list[str], needed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_with(lamports: int) -> Engine:
        return engine(lamports, holding=holding, pair=(sold, bought))

    rich = made_with(PLENTY)
    fee = rich.execute(rich.order(sold, bought, amount)).fee
    enough = made_with(needed + fee)
    executed = enough.execute(enough.order(sold, bought, amount))
    assert executed.fate == Landed(executed.planned.quoted_out)

    short = made_with(needed + fee - 1)
    with pytest.raises(InsufficientBalance):
        signed_by(short, sold, bought, amount)
    monkeypatch.setattr(WalletFunds, "check", lambda *of: None)
    with pytest.raises(ExecutionError):
        signed_by(short, sold, bought, amount)
    assert "sendTransaction" not in short.http.methods, "the chain's own refusal, of a simulation"


def test_looking_at_the_wallet_takes_no_round_trip_of_its_own() -> None:
    made = engine(PLENTY, holding=["USDC"])
    made.execute(made.order("USDC", "LEVY", 10**6))
    made.http.methods.clear()
    signed_by(made, "USDC", "LEVY", 10**6)
    assert made.http.methods == ["getMultipleAccounts", "simulateTransaction"], "blockhash and fees come beside"


def test_fees_are_asked_of_the_pools_with_each_attempts_first_read_and_rent_with_the_very_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = engine(PLENTY, holding=["USDC"])
    asked: list[Beside] = []
    read = made.rpc.read_beside

    def noting(addresses: Iterable[Pubkey], beside: Beside) -> ReadBeside:
        asked.append(beside)
        return read(addresses, beside)

    monkeypatch.setattr(made.rpc, "read_beside", noting)
    for _ in range(2):
        signed_by(made, "USDC", "LEVY", 10**6)
    pools = {pool.address for pool in POOLS[frozenset(("USDC", "LEVY"))]}
    assert [(set(map(str, beside.fees_of)), beside.rent_of) for beside in asked] == [(pools, 165), (pools, None)]
    assert made.http.methods.count("getMultipleAccounts") > 1, "what the pools pointed to, when they were not known"
    assert "getMinimumBalanceForRentExemption" not in made.http.methods


def test_rent_that_no_node_told_beside_the_accounts_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(PLENTY, holding=["USDC"], pair=("SOL", "USDC"))
    read = made.rpc.read_beside
    monkeypatch.setattr(made.rpc, "read_beside", lambda *asked: replace(read(*asked), rent_lamports=None))
    for _ in range(2):
        executed = made.execute(made.order("SOL", "USDC", 10**9))
        assert executed.fate == Landed(executed.planned.quoted_out)
    assert [of for method, of in made.http.asked if method == "getMinimumBalanceForRentExemption"] == [165]


def test_an_attempt_takes_three_round_trips_to_its_send_and_asks_nothing_twice() -> None:
    made = engine(PLENTY, holding=["USDC"])
    made.execute(made.order("USDC", "LEVY", 10**6))
    made.http.methods.clear()
    made.execute(made.order("USDC", "LEVY", 10**6))
    assert made.http.methods[:3] == ["getMultipleAccounts", "simulateTransaction", "sendTransaction"]
    assert set(made.http.methods[3:]) <= {"getSignatureStatuses", "getTransaction", "getEpochInfo"}


# --- what is signed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sold", "bought", "amount"), [("USDC", "LEVY", 10**6), ("SOL", "USDC", 10**9)])
@pytest.mark.parametrize("price", [0, 40_000, DEAR])
@VERSIONS
def test_what_is_signed_was_simulated_in_every_byte_but_a_lower_compute_unit_limit_and_what_that_costs(
    version: TransactionVersion, sold: str, bought: str, amount: int, price: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"], pair=(sold, bought), version=version)
    fees_are(made, price, monkeypatch)
    signed = message_of(signed_by(made, sold, bought, amount).wire)
    (tried,) = simulated(made)
    assert without_budget(signed) == without_budget(tried)
    assert budget_of(signed)[0] < budget_of(tried)[0]
    for limit, fee in (budget_of(signed), budget_of(tried)):
        assert fee == -(-limit * max(price, FLOOR) // 10**6)


@pytest.mark.parametrize("units", [None, 0])
@VERSIONS
def test_a_node_that_does_not_tell_what_was_used_leaves_the_limit_as_it_was_simulated(
    version: TransactionVersion, units: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"], version=version)
    simulate = made.rpc.simulate_transaction
    monkeypatch.setattr(made.rpc, "simulate_transaction", lambda wire: replace(simulate(wire), units_consumed=units))
    signed = message_of(signed_by(made, "USDC", "LEVY", 10**6).wire)
    (tried,) = simulated(made)
    assert bytes(signed) == bytes(tried)
    assert budget_of(signed)[0] == MAX_COMPUTE_UNITS


@pytest.mark.parametrize("others", [-1_000 * 10**9, -500 * 10**9, 500 * 10**9, 1_000 * 10**9])
@pytest.mark.parametrize("amount", [10**9, 3 * 10**11])
def test_the_margin_above_what_was_simulated_is_enough_for_a_market_that_moves_within_the_slippage(
    amount: int, others: int
) -> None:
    """What a swap burns grows with the bins that it crosses, and the market may leave it more of these."""
    made = engine(1_000 * 10**9, holding=["USDC"], pair=("SOL", "USDC"))
    meteora = POOLS[frozenset(("SOL", "USDC"))][1]
    alone = Engine(made.chain, WALLET, [meteora])
    order = alone.order("SOL", "USDC", amount, slippage_ppm=100_000)
    planned = alone.trader.plan(order)
    submission = alone.build(order, planned)
    sold, of_it = ("SOL", others) if others > 0 else ("USDC", -others * 150 // 1_000)
    alone.another_trader_sells(meteora.address, sold, of_it)

    executed = alone.settle(order, planned, submission)

    assert isinstance(executed.fate, Landed)
    assert executed.fate.amount_out != planned.quoted_out, "the market has moved"
    limit, _ = budget_of(message_of(submission.wire))
    simulated, used = limit * 5 // 6, executed.transaction["meta"]["computeUnitsConsumed"]
    assert (used > simulated) == (amount > 10**9), "a larger order crosses another bin: without a margin it would fail"


# --- what it may cost ---------------------------------------------------------------------------------------------


@VERSIONS
def test_an_order_that_may_cost_less_than_others_pay_offers_all_that_it_may_and_no_more(
    version: TransactionVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"], version=version)
    fees_are(made, DEAR, monkeypatch)
    most = BASE_FEE_LAMPORTS + 7_000
    signed = message_of(signed_by(made, "USDC", "LEVY", 10**6, max_network_fee=most).wire)
    tried = simulated(made)
    if version == 0:
        assert bytes(signed) == bytes(tried[-1]), "what it needs is known by then"
    else:
        assert len(tried) == 1, "the fee is beside the limit: it isn't tried again for it"
    limit, fee = budget_of(signed)
    assert 7_000 - limit // 10**6 - 1 <= fee <= 7_000


def test_an_order_that_may_not_even_cost_the_lowest_price_is_refused_before_it_is_signed() -> None:
    made = engine(PLENTY, holding=["USDC"])
    with pytest.raises(FeeTooHigh, match=r"may cost 0\.000005001 SOL"):
        signed_by(made, "USDC", "LEVY", 10**6, max_network_fee=BASE_FEE_LAMPORTS + 1)
    assert "sendTransaction" not in made.http.methods


def test_the_fee_that_was_paid_is_told_with_the_fate() -> None:
    made = engine(PLENTY, holding=["USDC"])
    executed = made.execute(made.order("USDC", "LEVY", 10**6))
    assert isinstance(executed.fate, Landed)
    assert executed.fate.network_fee == executed.fee > BASE_FEE_LAMPORTS


def test_an_order_that_names_the_wallet_is_planned_for_that_one_alone() -> None:
    made = engine(PLENTY, holding=["USDC"])
    order = made.order("USDC", "LEVY", 10**6)
    assert made.trader.plan(replace(order, wallet=str(WALLET.pubkey()))).quoted_out
    with pytest.raises(WalletUnavailable, match=str(SYSTEM_PROGRAM)):
        made.trader.plan(replace(order, wallet=str(SYSTEM_PROGRAM)))


def test_a_direct_way_has_no_other_behind_it_once_its_version_is_known_to_be_taken() -> None:
    made = engine(PLENTY, holding=["USDC"])
    made.execute(made.order("USDC", "LEVY", 10**6))
    assert made.trader.plan(made.order("USDC", "LEVY", 10**6)).otherwise == ()


@pytest.mark.parametrize("expires_at_ms", [6_000, 6_001])
def test_an_order_whose_deadline_passes_while_it_is_simulated_is_not_signed(
    expires_at_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [5_000]
    made = engine(PLENTY, holding=["USDC"], now_ms=lambda: clock[0])
    simulate = made.rpc.simulate_transaction

    def slowly(wire: bytes) -> Simulation:
        clock[0] += 1_000
        return simulate(wire)

    monkeypatch.setattr(made.rpc, "simulate_transaction", slowly)
    with pytest.raises(OrderExpired) if expires_at_ms == 6_000 else nullcontext():
        assert signed_by(made, "USDC", "LEVY", 10**6, expires_at_ms=expires_at_ms).wire
    assert len(simulated(made)) == 1


@pytest.mark.parametrize(("passed_ms", "asks_again"), [(10_000, False), (10_001, True)])
def test_a_blockhash_that_has_lived_a_third_of_its_life_since_the_plan_is_not_built_on(
    passed_ms: int, asks_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [5_000]
    made = engine(PLENTY, holding=["USDC"], now_ms=lambda: clock[0])
    monkeypatch.setattr(made.rpc, "known_cluster", lambda: Cluster(ConsensusProtocol.ALPENGLOW, 200))
    order = made.order("USDC", "LEVY", 10**6)
    planned, asked_before = made.trader.plan(order), len(made.http.asked)
    clock[0] += passed_ms
    made.build(order, planned)
    asked = [method for method, _ in made.http.asked[asked_before:]]
    assert ("getLatestBlockhash" in asked) is asks_again


def test_a_transaction_is_signed_at_the_newest_slot_that_any_answer_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(PLENTY, holding=["USDC"])
    simulated_at = signed_by(made, "USDC", "LEVY", 10**6).slot
    assert simulated_at
    monkeypatch.setattr(made.rpc, "newest_slot", lambda: simulated_at + 7)
    assert signed_by(made, "USDC", "LEVY", 10**6).slot == simulated_at + 7


# --- clusters without version 1 -----------------------------------------------------------------------------------


def refusing_version_1(made: Engine, monkeypatch: pytest.MonkeyPatch, refusal: object) -> list[bytes]:
    """What it refuses from now on."""
    simulate = made.rpc.simulate_transaction
    refused: list[bytes] = []

    def answer(wire: bytes) -> Simulation:
        if wire[0] != 0x81:
            return simulate(wire)
        refused.append(wire)
        if isinstance(refusal, Exception):
            raise refusal
        return Simulation(1, refusal, (), None)  # type: ignore[arg-type]

    monkeypatch.setattr(made.rpc, "simulate_transaction", answer)
    return refused


@pytest.mark.parametrize(
    "refusal",
    ["UnsupportedVersion", RpcRefused("simulateTransaction", -32602, "failed to deserialize the transaction")],
    ids=["a bank where it is not active", "a node that can't read it"],
)
def test_where_a_simulation_refuses_version_1_the_same_attempt_signs_version_0_and_the_next_begins_with_it(
    refusal: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"])
    refusing_version_1(made, monkeypatch, refusal)
    executed = made.execute(made.order("USDC", "LEVY", 10**6))
    assert executed.fate == Landed(executed.planned.quoted_out)
    assert isinstance(message_of(executed.submission.wire), MessageV0)

    tried: list[int] = []
    simulate = made.rpc.simulate_transaction

    def noting(wire: bytes) -> Simulation:
        tried.append(wire[0])
        return simulate(wire)

    monkeypatch.setattr(made.rpc, "simulate_transaction", noting)
    again = made.execute(made.order("USDC", "LEVY", 10**6))
    assert isinstance(message_of(again.submission.wire), MessageV0)
    assert 0x81 not in tried


def test_a_way_that_is_built_after_version_1_was_refused_for_another_begins_with_version_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = engine(PLENTY, holding=["USDC"])
    refused = refusing_version_1(made, monkeypatch, "UnsupportedVersion")
    order = made.order("USDC", "LEVY", 10**6)
    planned = made.trader.plan(order)
    made.build(order, planned)
    built_first = len(simulated(made))
    made.build(order, planned)
    assert len(refused) == 1
    again = simulated(made)[built_first:]
    assert again
    assert all(isinstance(message, MessageV0) for message in again)


def test_a_route_that_version_0_has_no_room_for_is_planned_anew_and_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That the cluster takes no version 1 is known by the first simulation, and the route was planned before."""
    every_program = tuple(venue.program_id for venue in supported.VENUES)
    few = engine(10**15, holding=["USDC"], pair=("SOL", "USDC"))
    made = Engine(few.chain, WALLET, genesis_pools(every_program)[frozenset(("SOL", "USDC"))])
    refusing_version_1(made, monkeypatch, "UnsupportedVersion")
    order = made.order("SOL", "USDC", 3_000 * 10**9)
    planned = made.trader.plan(order)
    with pytest.raises(VersionRefused, match="1232 fit"):
        made.build(order, planned)
    anew = made.execute(order)
    assert len(anew.planned.route) < len(planned.route)
    assert anew.fate == Landed(anew.planned.quoted_out)
    assert isinstance(message_of(anew.submission.wire), MessageV0)


def test_what_was_read_for_version_0_is_built_as_version_0_even_where_version_1_is_due_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0]
    made = engine(PLENTY, holding=["USDC"], now_ms=lambda: clock[0])
    with monkeypatch.context() as while_refused:
        refusing_version_1(made, while_refused, "UnsupportedVersion")
        made.execute(made.order("USDC", "LEVY", 10**6))
    order = made.order("USDC", "LEVY", 10**6)
    planned = made.trader.plan(order)
    clock[0] += 3_600_000
    assert isinstance(message_of(made.build(order, planned).wire), MessageV0)
    assert isinstance(message_of(made.execute(order).submission.wire), MessageV1)


def test_what_a_send_is_answered_never_changes_the_version_of_what_was_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(PLENTY, holding=["USDC"])
    order = made.order("USDC", "LEVY", 10**6)
    submission = made.build(order, made.trader.plan(order))
    sent: list[bytes] = []

    def refuse(wire: bytes, **how: Any) -> str:
        sent.append(wire)
        raise RpcRefused("sendTransaction", -32602, "transaction version (1) is not supported")

    monkeypatch.setattr(made.rpc, "send_transaction", refuse)
    assert isinstance(made.trader.settle(order, submission), Undecided | NeverLands)
    assert set(sent) == {submission.wire}
    assert len(sent) > 1
    assert submission.wire[0] == 0x81


def test_a_version_0_stage_never_tries_another() -> None:
    made = engine(PLENTY, holding=["USDC"], version=0)
    executed = made.execute(made.order("USDC", "LEVY", 10**6))
    assert isinstance(message_of(executed.submission.wire), MessageV0)
    assert all(isinstance(message, MessageV0) for message in simulated(made))


def open_lane(chain: InProcessChain) -> None:
    chain.chain.node.ledger.set_account(LANE, Account(SYSTEM_PROGRAM, RENT_EXEMPT, b""))
    chain.chain.node.advance(3)


@VERSIONS
def test_a_tip_is_paid_once_and_is_neither_sold_nor_bought(version: TransactionVersion) -> None:
    for sold, bought in (("SOL", "USDC"), ("USDC", "SOL")):
        plain = engine(PLENTY, holding=["USDC"], pair=(sold, bought))
        assert isinstance(plain.chain, InProcessChain)
        open_lane(plain.chain)
        made = Engine(plain.chain, WALLET, POOLS[frozenset((sold, bought))], version, Tips(12_345, (LANE,)))
        order = made.order(sold, bought, 10**8)
        executed = made.execute(order)
        assert executed.fate == Landed(executed.planned.quoted_out)
        assert isinstance(executed.fate, Landed)
        assert executed.fate.network_fee == executed.fee + 12_345
        dearest = MAX_COMPUTE_UNITS * PriorityFeePolicy().cap // 10**6
        least = BASE_FEE_LAMPORTS + 12_345
        assert executed.planned.fees == FeeRange(least, least + dearest)
        paid = made.rpc.get_multiple_accounts([LANE]).accounts[LANE]
        assert paid is not None
        assert paid.lamports == RENT_EXEMPT + 12_345


@pytest.mark.parametrize(("tip", "spare_arrays"), [(0, 2), (12_345, 1)])
def test_a_transaction_names_the_spare_arrays_that_there_is_room_for_beside_its_tip(
    tip: int, spare_arrays: int
) -> None:
    """Through five bin arrays in version 0: of the two that the pool would name besides, a tip leaves room for one."""
    pool = meteora_dlmm_pool.genesis_pool(
        meteora_dlmm_pool.DlmmPoolSpec(
            mint_x=MINTS["LEVY"],
            mint_y=MINTS["SOL"],
            bin_step=1,
            base_factor=10_001,
            active_id=35,
            liquidity={70 * array + 35: (10**9, 0) for array in range(10)},
        )
    )
    chain = InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), 1_795_000_000)
    for address, account in pool.accounts.items():
        chain.chain.node.ledger.set_account(address, account)
    open_lane(chain)
    made = Engine(chain, WALLET, [meteora(pool)], version=0, tips=Tips(tip, (LANE,)))

    executed = made.execute(made.order("SOL", "LEVY", 4 * 10**9 + 10**9 // 2))

    assert executed.fate == Landed(executed.planned.quoted_out)
    accounts = executed.transaction["transaction"]["message"]["accountKeys"]
    named = [index for index in range(10) if str(bin_array_address(pool.address, index)) in accounts]
    assert named == list(range(5 + spare_arrays))
    size = len(executed.submission.wire)
    assert (size + ACCOUNT_BYTES > MAX_TRANSACTION_BYTES[0]) == (spare_arrays == 1)

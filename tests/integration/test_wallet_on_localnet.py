"""The wallet is looked at before anything is signed, and what is signed is what was simulated: on a chain that judges
rent as a validator does.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import VersionedTransaction

from chalicelib.orders.execution import Landed
from chalicelib.problems import ExecutionError, FeeTooHigh, InsufficientBalance
from chalicelib.solana.accounts import Account
from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS, MAX_COMPUTE_UNITS, PriorityFeePolicy
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.wallet_funds import WalletFunds
from infra.localnet.startup import Options
from tests.integration.chain_trading import MINTS, Engine, InProcessChain, genesis_pools

WALLET = Keypair.from_seed(bytes([52] * 32))
POOLS = genesis_pools()
RENT_EXEMPT, TOKEN_RENT = 890_880, 2_039_280
LEVY_RENT = 2_157_600  # of an account with the extensions that a mint with a transfer fee asks for
PLENTY = 10 * 10**9
DEAR = 1_000_000
FLOOR = PriorityFeePolicy().floor
# Where in a message the compute-unit limit stands: its instruction comes first.
LIMIT_TAG = b"\x02"


def engine(lamports: int, *, holding: Sequence[str] = (), pair: tuple[str, str] = ("USDC", "LEVY")) -> Engine:
    """A wallet of so many lamports, and of a thousand of each token it holds an account of."""
    chain = InProcessChain(Options(with_traders=False), 1_795_000_000)
    wallet = WALLET.pubkey()
    for symbol in holding:
        amount = 1_000 * 10 ** MINTS[symbol].decimals
        chain.call("localnet_fund", {"address": str(wallet), "mint": str(MINTS[symbol].address), "amount": str(amount)})
    # no transfer would leave so little as some of these have
    chain.chain.node.ledger.set_account(wallet, Account(SYSTEM_PROGRAM, lamports, b""))
    chain.chain.node.advance(3)
    made = Engine(chain, WALLET, POOLS[frozenset(pair)])
    assert made.balance("SOL") == lamports
    return made


def fees_are(of: Engine, price: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody pays so many micro-lamports a unit."""
    monkeypatch.setattr(of.rpc, "get_recent_prioritization_fees", lambda written: (price,))


def simulated(of: Engine) -> list[MessageV0]:
    wires = [base64.b64decode(first) for method, first in of.http.asked if method == "simulateTransaction"]
    return [message_of(wire) for wire in wires]


def message_of(wire: bytes) -> MessageV0:
    message = VersionedTransaction.from_bytes(wire).message
    assert isinstance(message, MessageV0)
    return message


def budget_of(message: MessageV0) -> tuple[int, int]:
    """Its compute-unit limit, and its price in micro-lamports."""
    limit, price = (bytes(instruction.data) for instruction in message.instructions[:2])
    assert (limit[:1], price[:1]) == (LIMIT_TAG, b"\x03")
    return int.from_bytes(limit[1:], "little"), int.from_bytes(price[1:], "little")


def without_limit(message: MessageV0) -> bytes:
    """The message's bytes, but for those of its compute-unit limit."""
    data, instruction = bytes(to_bytes_versioned(message)), bytes(message.instructions[0].data)
    assert data.count(instruction) == 1
    return data.replace(instruction, LIMIT_TAG + bytes(4))


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
    assert made.http.methods == [
        "getMultipleAccounts",
        "getRecentPrioritizationFees",
        "getLatestBlockhash",
        "simulateTransaction",
    ]


# --- what is signed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sold", "bought", "amount"), [("USDC", "LEVY", 10**6), ("SOL", "USDC", 10**9)])
@pytest.mark.parametrize("price", [0, 40_000, DEAR])
def test_what_is_signed_was_simulated_in_every_byte_but_a_lower_compute_unit_limit(
    sold: str, bought: str, amount: int, price: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"], pair=(sold, bought))
    fees_are(made, price, monkeypatch)
    signed = message_of(signed_by(made, sold, bought, amount).wire)
    (tried,) = simulated(made)
    assert without_limit(signed) == without_limit(tried)
    assert budget_of(signed)[0] < budget_of(tried)[0]
    assert budget_of(signed)[1] == budget_of(tried)[1] == max(price, FLOOR)


@pytest.mark.parametrize("units", [None, 0])
def test_a_node_that_does_not_tell_what_was_used_leaves_the_limit_as_it_was_simulated(
    units: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(PLENTY, holding=["USDC"])
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


def test_an_order_that_may_cost_less_than_others_pay_offers_all_that_it_may_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = engine(PLENTY, holding=["USDC"])
    fees_are(made, DEAR, monkeypatch)
    most = BASE_FEE_LAMPORTS + 7_000
    signed = message_of(signed_by(made, "USDC", "LEVY", 10**6, max_network_fee=most).wire)
    *_, tried = simulated(made)
    assert bytes(signed) == bytes(tried), "what it needs is known by then"
    limit, price = budget_of(signed)
    assert limit * price <= 7_000 * 10**6 < limit * (price + 1)


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

"""Somebody has got at the code, the quotes or the node: the transaction that they want is not signed, and not sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from chalicelib.orders import trading
from chalicelib.orders.execution import Landed
from chalicelib.problems import SigningRefused
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, plan_swap
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.tokens import TOKEN_PROGRAM, associated_token_address
from chalicelib.solana.transaction import SwapPlan
from testing.localnet import Localnet
from tests.integration.chain_trading import MINTS, Engine, genesis_pools

WALLET = Keypair.from_seed(bytes([45] * 32))
STRANGER = Pubkey(bytes([66] * 32))
POOLS = genesis_pools()[frozenset(("SOL", "USDC"))]
USDC = associated_token_address(WALLET.pubkey(), MINTS["USDC"].address, TOKEN_PROGRAM)


@pytest.fixture(scope="module")
def chain() -> Iterator[Localnet]:
    with Localnet("--slot-ms", "20", "--no-traders", "--fund", str(WALLET.pubkey())) as localnet:
        yield localnet


def with_a_transfer(plan: SwapPlan) -> SwapPlan:
    sent = transfer(TransferParams(from_pubkey=WALLET.pubkey(), to_pubkey=STRANGER, lamports=10**9))
    return replace(plan, swaps=(*plan.swaps, sent))


def with_an_approval(plan: SwapPlan) -> SwapPlan:
    metas = [
        AccountMeta(USDC, is_signer=False, is_writable=True),
        AccountMeta(STRANGER, is_signer=False, is_writable=False),
        AccountMeta(WALLET.pubkey(), is_signer=True, is_writable=False),
    ]
    approve = Instruction(TOKEN_PROGRAM, bytes([4]) + (10**12).to_bytes(8, "little"), metas)
    return replace(plan, swaps=(approve, *plan.swaps))


def without_a_floor(plan: SwapPlan) -> SwapPlan:
    swap = plan.swaps[-1]
    data = bytes(swap.data)[:16] + (1).to_bytes(8, "little") + bytes(swap.data)[24:]
    return replace(plan, swaps=(*plan.swaps[:-1], Instruction(swap.program_id, data, swap.accounts)))


@pytest.mark.parametrize("compromise", [with_a_transfer, with_an_approval, without_a_floor])
def test_a_builder_that_adds_or_weakens_something_gets_no_signature(
    chain: Localnet,
    compromise: Callable[[SwapPlan], SwapPlan],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each of these would land: the simulation before it is signed finds no fault."""
    engine = Engine(chain, WALLET, POOLS)
    order = engine.order("SOL", "USDC", 10**9)
    signatures, lamports = engine.signatures(), engine.balance("SOL")

    def compromised(route: Route, trade: Trade, min_out: int) -> SwapPlan:
        return compromise(plan_swap(route, trade, min_out))

    with monkeypatch.context() as patch:
        patch.setattr(trading, "plan_swap", compromised)
        planned = engine.trader.plan(order)
        with pytest.raises(SigningRefused):
            engine.build(order, planned)

    assert "simulateTransaction" in engine.http.methods
    assert "sendTransaction" not in engine.http.methods
    assert (engine.signatures(), engine.balance("SOL")) == (signatures, lamports)
    assert isinstance(engine.execute(order).fate, Landed), "the order itself is sound"
    (told,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert "signing policy" in told.getMessage()
    assert set(vars(told)) - set(vars(logging.makeLogRecord({}))) == {"reason", "attempt", "message"}
    assert len(vars(told)["reason"]) < 300, "the reason, and never the bytes"


def _tells(monkeypatch: pytest.MonkeyPatch, **beside: Any) -> None:
    """The node tells this beside the accounts."""
    read = SolanaRpc.read_beside
    monkeypatch.setattr(SolanaRpc, "read_beside", lambda *asked: replace(read(*asked), **beside))


def test_a_node_that_names_a_high_rent_does_not_make_the_wallet_lend_it(
    chain: Localnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(chain, WALLET, POOLS)
    _tells(monkeypatch, rent_lamports=50 * 10**9)
    with pytest.raises(SigningRefused, match="rent"):
        engine.execute(engine.order("SOL", "USDC", 10**9))


def test_a_node_that_names_high_priority_fees_gets_the_cap_at_most(
    chain: Localnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(chain, WALLET, POOLS)
    _tells(monkeypatch, recent_fees=(10**12,))
    executed = engine.execute(engine.order("SOL", "USDC", 10**9))
    assert isinstance(executed.fate, Landed)
    assert executed.fee <= 5_000 + 2_800_000

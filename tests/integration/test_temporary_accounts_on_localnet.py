"""Nobody stands in an order's way by taking the account that it will wrap SOL into: nobody knows where it will be.

An account that exists can't be created, and for its rent anybody can make one exist whose address they know.
"""

from __future__ import annotations

from hashlib import sha256

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.orders.execution import Landed
from chalicelib.orders.life import draw_nonce
from chalicelib.orders.order import Order
from chalicelib.problems import TransientError
from chalicelib.solana.token_accounts import TokenMint, destination_account, source_account
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_PROGRAM
from infra.localnet.startup import Options
from tests.integration.chain_trading import Engine, InProcessChain, genesis_pools

WALLET = Keypair.from_seed(bytes([47] * 32))
POOLS = genesis_pools()[frozenset(("SOL", "USDC"))]
SOL = TokenMint(NATIVE_MINT, TOKEN_PROGRAM)
RENT, TOKEN_RENT, FEE = 890_880, 2_039_280, 5_000
WAYS = pytest.mark.parametrize(("sold", "bought", "amount"), [("SOL", "USDC", 10**9), ("USDC", "SOL", 10**8)])


@pytest.fixture
def chain() -> InProcessChain:
    return InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), 1_795_000_000)


@pytest.fixture
def engine(chain: InProcessChain) -> Engine:
    return Engine(chain, WALLET, POOLS)


def squat(chain: InProcessChain, address: Pubkey) -> None:
    chain.call("localnet_fund", {"address": str(address), "amount": RENT})
    chain.chain.node.advance(3)


def foretold(order: Order, nonce: str | None) -> list[Pubkey]:
    """Where the order's first attempt would wrap SOL to sell it or get it wrapped, with this nonce; None: without."""
    if nonce is None:
        labels = [f"fillrate:{order.order_id}:1:{side}" for side in ("in", "out")]
        seeds = [sha256(label.encode()).hexdigest()[:16] for label in labels]
        return [Pubkey.create_with_seed(WALLET.pubkey(), seed, TOKEN_PROGRAM) for seed in seeds]
    of = {"order_id": order.order_id, "attempt": 1, "nonce": nonce}
    return [
        source_account(WALLET.pubkey(), SOL, 1, **of, rent_lamports=1).address,  # type: ignore[arg-type]
        destination_account(WALLET.pubkey(), SOL, **of, rent_lamports=1).address,  # type: ignore[arg-type]
    ]


@WAYS
@pytest.mark.parametrize("guess", [None, "", "0" * 64])
def test_accounts_at_addresses_that_follow_from_the_order_stop_it_no_longer(
    chain: InProcessChain, engine: Engine, sold: str, bought: str, amount: int, guess: str | None
) -> None:
    order = engine.order(sold, bought, amount)
    for address in foretold(order, guess):
        squat(chain, address)
    executed = engine.execute(order)
    assert executed.fate == Landed(executed.planned.quoted_out)


@WAYS
def test_who_learns_an_attempts_nonce_costs_it_that_attempt_and_no_other(
    chain: InProcessChain, engine: Engine, sold: str, bought: str, amount: int
) -> None:
    """A node, for one: it is asked to simulate what is then signed."""
    order = engine.order(sold, bought, amount)
    assert order.attempt_nonce is not None
    for address in foretold(order, order.attempt_nonce):
        squat(chain, address)
    with pytest.raises(TransientError):
        engine.build(order, engine.trader.plan(order))
    assert "sendTransaction" not in engine.http.methods

    again = draw_nonce(order, "another")
    executed = engine.execute(again)
    assert executed.fate == Landed(executed.planned.quoted_out)


def test_all_but_a_little_of_the_wallets_sol_can_be_sold(chain: InProcessChain, engine: Engine) -> None:
    """Between wrapping and unwrapping the wallet has less than its rent; in the end it has the token account's."""
    left = 400_000
    order = engine.order("SOL", "USDC", engine.balance("SOL") - TOKEN_RENT - FEE - left)
    executed = engine.execute(order)
    assert executed.fate == Landed(executed.planned.quoted_out)
    assert engine.balance("SOL") == TOKEN_RENT + left + FEE - executed.fee

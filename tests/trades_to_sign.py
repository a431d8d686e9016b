"""Transactions as the product builds them, over the genesis market's pools, with the terms that they must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, MessageV1, to_bytes_versioned
from solders.pubkey import Pubkey

from chalicelib.amounts import floor_of
from chalicelib.routing.market import Market
from chalicelib.routing.swap_plan import Trade, plan_swap
from chalicelib.solana.compute_budget import ComputeBudget
from chalicelib.solana.rpc import LatestBlockhash
from chalicelib.solana.signing_policy import ApprovedMessage, OrderTerms, SigningPolicy
from chalicelib.solana.transaction import OrderMemo, SwapPlan, TransactionVersion, build_message
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as DLMM
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as CPMM
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from infra.localnet.market.genesis import genesis_market
from infra.localnet.market.tokens import TOKENS
from tests.unit.model_market import ModelChain

KEYPAIR = Keypair.from_seed(bytes([44] * 32))
WALLET = KEYPAIR.pubkey()
RENT = 2_039_280
FEE_CAP = 2_800_000
BUDGET = ComputeBudget(300_000, 5_000)
ORDER_ID = "0197c3d2-7a1f-7000-8000-0123456789ab"
NONCE = "5e2b7c"
LATEST = LatestBlockhash(Hash(bytes([9] * 32)), last_valid_block_height=1_150, slot=9)
MINTS = {token.symbol: token.mint.address for token in TOKENS}

_GENESIS = genesis_market(seed=0)
_CHAIN = ModelChain(dict(_GENESIS.accounts))


@cache
def registry(pairs: tuple[str, ...] = (), programs: tuple[Pubkey, ...] = (CPMM, DLMM)) -> PoolRegistry:
    """The genesis pools of these programs and of such pairs as `SOL/USDC`; of all pairs where none is named."""
    wanted = [set(pair.split("/")) for pair in pairs]
    lines = tuple(
        PoolEntry(str(pool.address), str(pool.program))
        for pool in _GENESIS.pools
        if pool.program in programs and (not pairs or {pool.base.symbol, pool.quote.symbol} in wanted)
    )
    return PoolRegistry(
        lambda: lines, lambda keys: _CHAIN.get_multiple_accounts(keys).accounts, supported.VENUES, lambda: 0
    )


@cache
def _market(pairs: tuple[str, ...], programs: tuple[Pubkey, ...], version: TransactionVersion) -> Market:
    return Market(_CHAIN, registry(pairs, programs), lambda: 0, version=version)


def policy(
    pairs: tuple[str, ...] = (),
    fee_cap: int = FEE_CAP,
    tip_accounts: tuple[Pubkey, ...] = (),
    programs: tuple[Pubkey, ...] = (CPMM, DLMM),
) -> SigningPolicy:
    """The product's own, for the genesis pools of these pairs, or all."""
    return SigningPolicy(supported.VENUES, registry(pairs, programs).tradable, fee_cap, tip_accounts)


@dataclass(frozen=True)
class TradeToSign:
    """One attempt at an order: the plan of its transaction, and the terms that the policy holds it to."""

    plan: SwapPlan
    terms: OrderTerms
    min_out: int

    @property
    def message(self) -> MessageV0:
        """Of version 0."""
        message = build_message(self.plan, BUDGET, LATEST.blockhash, 0)
        assert isinstance(message, MessageV0)
        return message

    @property
    def message_1(self) -> MessageV1:
        """Of version 1."""
        message = build_message(self.plan, BUDGET, LATEST.blockhash, 1)
        assert isinstance(message, MessageV1)
        return message

    @property
    def instructions(self) -> list[Instruction]:
        """Of version 0."""
        return [*BUDGET.instructions(), *self.plan.instructions()]


@cache
def trade(
    sold: str,
    bought: str,
    amount: int,
    slippage_ppm: int = 10_000,
    *,
    pools: tuple[str, ...] = (),
    attempt: int = 1,
    programs: tuple[Pubkey, ...] = (CPMM, DLMM),
    version: TransactionVersion = 0,
) -> TradeToSign:
    """The best route for so many base units over these programs' genesis pools of such pairs as `SOL/USDC`, or all.

    One that a transaction of this `version` can carry.
    """
    route = _market(pools, programs, version).price(MINTS[sold], MINTS[bought], amount, leg_lamports=1_000).route
    min_out = floor_of(route.amount_out, slippage_ppm)
    plan = plan_swap(route, Trade(WALLET, OrderMemo(ORDER_ID, attempt), RENT, NONCE), min_out)
    terms = OrderTerms(
        wallet=WALLET,
        order_id=ORDER_ID,
        attempt=attempt,
        nonce=NONCE,
        mint_in=MINTS[sold],
        mint_out=MINTS[bought],
        amount_in=amount,
        min_out=min_out,
        rent_lamports=RENT,
        most_lamports=5_000 + FEE_CAP,
    )
    return TradeToSign(plan, terms, min_out)


def as_bytes(message: MessageV0 | MessageV1) -> bytes:
    return bytes(to_bytes_versioned(message))


def compiled(instructions: Sequence[Instruction]) -> bytes:
    """A message of these instructions that the wallet pays for."""
    return as_bytes(MessageV0.try_compile(WALLET, list(instructions), [], LATEST.blockhash))


def approved(of: TradeToSign | None = None) -> ApprovedMessage:
    """A message that the policy has passed: of a plain sale of SOL where none is given."""
    made = of or trade("SOL", "USDC", 10**9)
    return policy().approve(as_bytes(made.message), made.terms)

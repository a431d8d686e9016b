"""Pools that take one swap in a transaction: the emulated Meteora DAMM v2 sees other instructions as the real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chalicelib.solana.tokens import associated_token_address
from chalicelib.venues.meteora_damm_v2.layout import DammV2CollectFeeMode, RateLimiter
from infra.localnet.commitment import Commitment
from infra.localnet.market.tokens import TOKENS
from infra.localnet.programs.meteora_damm_v2_pool import DammV2PoolSpec, genesis_pool
from infra.localnet.startup import Options, build
from infra.localnet.transaction_error import TransactionError
from tests.integration.chain_trading import dump_accounts
from tests.real_programs import METEORA_DAMM_V2

NOW = 1_795_000_000
WALLET = Keypair.from_seed(bytes([48] * 32))
JUP, USDC = (next(token.mint for token in TOKENS if token.symbol == symbol) for symbol in ("JUP", "USDC"))
LIMITER = RateLimiter(10_000_000, increment_bps=20, max_duration=600, max_fee_bps=6_000, reference_amount=10**8)
LIMITED = [
    genesis_pool(
        DammV2PoolSpec(
            mints=(JUP, USDC),
            liquidity=10**12 << 64,
            base_fee=LIMITER,
            collect_fee_mode=DammV2CollectFeeMode.ONLY_B,
            activation_point=NOW - 60,
            config=Pubkey(bytes([number] * 32)),
        )
    )
    for number in (1, 2)
]
REFUSED = {"Custom": 6049}


class Buyer:
    """A wallet that buys JUP for USDC at the pools."""

    def __init__(self, directory: Path, *, is_real: bool) -> None:
        dump_accounts(directory, LIMITED)
        self.chain = build(
            Options(
                with_traders=False,
                funded=(WALLET.pubkey(),),
                account_directories=(directory,),
                bpf_programs=((METEORA_DAMM_V2.address, METEORA_DAMM_V2.bytecode),) if is_real else (),
            ),
            lambda: NOW,
        )

    def swap(self, number: int) -> Instruction:
        pool = self.chain.node.desk.pool(LIMITED[number].address)
        source, destination = (
            associated_token_address(WALLET.pubkey(), mint.address, mint.token_program) for mint in (USDC, JUP)
        )
        quote = pool.quote(USDC.address, 10**6, self.chain.node.ledger.clock)
        return pool.swap_instruction(
            quote, trader=WALLET.pubkey(), source=source, destination=destination, minimum_out=1
        )

    def land(self, *instructions: Instruction) -> TransactionError | None:
        ledger = self.chain.node.ledger
        blockhash, _ = ledger.latest_blockhash(ledger.bank(Commitment.PROCESSED))
        limit = set_compute_unit_limit(400_000)
        message = MessageV0.try_compile(WALLET.pubkey(), [limit, *instructions], [], blockhash)
        return ledger.submit(VersionedTransaction(message, [WALLET])).error


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.real_programs)], ids=["emulated", "real"])
def buyer(request: pytest.FixtureRequest, tmp_path: Path) -> Buyer:
    return Buyer(tmp_path, is_real=request.param)


def test_a_swap_at_each_of_several_pools_is_taken(buyer: Buyer) -> None:
    assert buyer.land(buyer.swap(0), buyer.swap(1)) is None


def test_a_second_swap_at_the_same_pool_is_refused(buyer: Buyer) -> None:
    assert buyer.land(buyer.swap(0), buyer.swap(1), buyer.swap(0)) == TransactionError.instruction(3, REFUSED)


def test_a_swap_after_whatever_else_names_the_pool_is_refused(buyer: Buyer) -> None:
    pool = LIMITED[0].address
    gift = transfer(TransferParams(from_pubkey=WALLET.pubkey(), to_pubkey=pool, lamports=1))
    assert buyer.land(buyer.swap(0), gift) is None
    assert buyer.land(gift, buyer.swap(1)) is None
    assert buyer.land(gift, buyer.swap(0)) == TransactionError.instruction(2, REFUSED)

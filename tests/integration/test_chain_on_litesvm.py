"""The transactions we build, run by the real system, token, associated-token and memo programs.

The swap is played by two plain transfers: into a pool's vault, and out of it, for which the pool has made the wallet
its delegate. Everything around the swap is ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.account import Account as SvmAccount
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from chalicelib.problems import (
    ExecutionError,
    InsufficientBalance,
    NodesAtTheirLimit,
    RpcRefused,
    RpcUnavailable,
    TransientError,
)
from chalicelib.solana.accounts import Account
from chalicelib.solana.compute_budget import ComputeBudget, PriorityFeePolicy
from chalicelib.solana.fill import Fill, read_fill
from chalicelib.solana.rpc import LatestBlockhash, Simulation
from chalicelib.solana.rpc_errors import NodeLacks
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.simulation import Simulated, simulate
from chalicelib.solana.token_accounts import TokenMint, destination_account, source_account
from chalicelib.solana.tokens import (
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_ACCOUNT_LENGTH,
    TOKEN_PROGRAM,
    ExtensionType,
    InvalidTokenData,
    Mint,
    TokenAccount,
    TransferFee,
    TransferFeeConfig,
    associated_token_address,
)
from chalicelib.solana.transaction import OrderMemo, SwapPlan, build_message
from chalicelib.venues.supported import error_classifier
from infra.localnet.programs.token_accounts import mint_account, token_account

ERRORS = error_classifier()
SOL = Mint(NATIVE_MINT, TOKEN_PROGRAM, 9)
USDC = Mint(Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"), TOKEN_PROGRAM, 6)
# Withholds 1 % of each transfer, in every epoch.
TAXED = Mint(
    Pubkey.from_string("7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3"),
    TOKEN_2022_PROGRAM,
    6,
    transfer_fee=TransferFeeConfig(TransferFee(0, 10**12, 100), TransferFee(0, 10**12, 100)),
    extensions=frozenset({ExtensionType.TRANSFER_FEE_CONFIG}),
)
POOL = Pubkey.from_string("Poo1111111111111111111111111111111111111111")
RICH = 10**15
BUDGET = ComputeBudget(unit_limit=300_000, unit_price=50_000)
# 5000 for the one signature, and the priority fee.
FEE = 5_000 + BUDGET.priority_fee_lamports


@dataclass
class Chain:
    """LiteSVM with a wallet and a pool's vaults, seen as a node shows it: simulation, and landed transactions."""

    svm: LiteSVM = field(default_factory=LiteSVM)
    keypair: Keypair = field(default_factory=Keypair)
    vaults: dict[Pubkey, Pubkey] = field(default_factory=dict)

    @property
    def wallet(self) -> Pubkey:
        return self.keypair.pubkey()

    def __post_init__(self) -> None:
        self.svm.airdrop(self.wallet, 100 * 10**9)
        for mint in (SOL, USDC, TAXED):
            self.vaults[mint.address] = vault = Pubkey.new_unique()
            self.put(mint.address, mint_account(mint, supply=RICH, authority=None))
            self.put(vault, self._delegated(token_account(mint, POOL, RICH)))

    def _delegated(self, vault: Account) -> Account:
        data = bytearray(vault.data)
        data[72:108] = pack("<I32s", 1, bytes(self.wallet))
        data[121:129] = pack("<Q", RICH)
        return replace(vault, data=bytes(data))

    def put(self, address: Pubkey, account: Account) -> None:
        self.svm.set_account(address, SvmAccount(account.lamports, account.data, account.owner))

    def give(self, mint: Mint, amount: int) -> Pubkey:
        """Put so much into the wallet's associated account."""
        address = self.ata(mint)
        self.put(address, token_account(mint, self.wallet, amount))
        return address

    def ata(self, mint: Mint) -> Pubkey:
        return associated_token_address(self.wallet, mint.address, mint.token_program)

    def tokens(self, address: Pubkey) -> TokenAccount | None:
        """The token account at an address, if it is one."""
        account = self.svm.get_account(address)
        try:
            return None if account is None else TokenAccount.decode(Account(account.owner, 0, account.data))
        except InvalidTokenData:
            return None

    def balance(self, mint: Mint) -> int:
        held = self.tokens(self.ata(mint))
        return 0 if held is None else held.amount

    def lamports(self, address: Pubkey | None = None) -> int:
        return self.svm.get_balance(address or self.wallet) or 0

    def rent(self, length: int = TOKEN_ACCOUNT_LENGTH) -> int:
        return self.svm.minimum_balance_for_rent_exemption(length)

    def plan(self, mint_in: Mint, mint_out: Mint, amount_in: int, pool_pays: int, attempt: int = 1) -> SwapPlan:
        order = {"order_id": "0197c3d2-order", "attempt": attempt, "nonce": "5e2b7c", "rent_lamports": self.rent()}
        wallet = self.wallet
        source = source_account(wallet, _token(mint_in), amount_in, **order)  # type: ignore[arg-type]
        destination = destination_account(wallet, _token(mint_out), **order)  # type: ignore[arg-type]
        swap = (
            _transfer(mint_in, source.address, self.vaults[mint_in.address], wallet, amount_in),
            _transfer(mint_out, self.vaults[mint_out.address], destination.address, wallet, pool_pays),
        )
        return SwapPlan(wallet, OrderMemo("0197c3d2-order", attempt), source, destination, swap)

    def sign(self, plan: SwapPlan, budget: ComputeBudget = BUDGET) -> SignedTransaction:
        """With the key itself: the swap is played by transfers, which no signing policy would pass."""
        blockhash = self.svm.latest_blockhash()
        transaction = VersionedTransaction(build_message(plan, budget, blockhash, 0), [self.keypair])
        return SignedTransaction(str(transaction.signatures[0]), bytes(transaction), str(blockhash), 150)

    def run(self, signed: SignedTransaction) -> dict[str, Any]:
        """Execute a transaction and answer as getTransaction would."""
        transaction = VersionedTransaction.from_bytes(signed.wire)
        keys = transaction.message.account_keys
        before = self._balances(keys)
        result = self.svm.send_transaction(transaction)
        after = self._balances(keys)
        meta = result.meta() if isinstance(result, FailedTransactionMetadata) else result
        return {
            "slot": 7,
            "transaction": {
                "signatures": [signed.signature],
                "message": {
                    "accountKeys": [str(key) for key in keys],
                    "instructions": [{"programIdIndex": i.program_id_index} for i in transaction.message.instructions],
                },
            },
            "meta": {
                "err": _error(result),
                "fee": meta.fee(),
                "logMessages": meta.logs(),
                "preBalances": before[0],
                "postBalances": after[0],
                "preTokenBalances": before[1],
                "postTokenBalances": after[1],
                "loadedAddresses": {"writable": [], "readonly": []},
            },
        }

    def _balances(self, keys: list[Pubkey]) -> tuple[list[int], list[dict[str, Any]]]:
        tokens = [
            {
                "accountIndex": index,
                "mint": str(held.mint),
                "owner": str(held.owner),
                "uiTokenAmount": {"amount": str(held.amount)},
            }
            for index, key in enumerate(keys)
            if (held := self.tokens(key)) is not None
        ]
        return [self.lamports(key) for key in keys], tokens

    # What simulate asks of a node.
    def simulate_transaction(self, wire: bytes) -> Simulation:
        self.svm = self.svm.with_sigverify(False).with_blockhash_check(False)
        result = self.svm.simulate_transaction(VersionedTransaction.from_bytes(wire))
        self.svm = self.svm.with_sigverify(True).with_blockhash_check(True)
        meta = result.meta()
        return Simulation(0, _error(result), tuple(meta.logs()), meta.compute_units_consumed())

    def get_latest_blockhash(self) -> LatestBlockhash:
        return LatestBlockhash(self.svm.latest_blockhash(), last_valid_block_height=150, slot=7)

    def get_recent_prioritization_fees(self, writable: tuple[Pubkey, ...]) -> tuple[int, ...]:
        return (0, 2_000, 9_000, 4_000) if self.wallet in writable else ()


def _token(mint: Mint) -> TokenMint:
    return TokenMint(mint.address, mint.token_program)


def _transfer(mint: Mint, source: Pubkey, destination: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    metas = [
        AccountMeta(source, is_signer=False, is_writable=True),
        AccountMeta(mint.address, is_signer=False, is_writable=False),
        AccountMeta(destination, is_signer=False, is_writable=True),
        AccountMeta(authority, is_signer=True, is_writable=False),
    ]
    return Instruction(mint.token_program, pack("<BQB", 12, amount, mint.decimals), metas)


def _error(result: Any) -> Any:
    return json.loads(result.to_json())["err"] if isinstance(result, FailedTransactionMetadata) else None


def _landed(chain: Chain, plan: SwapPlan) -> dict[str, Any]:
    transaction = chain.run(chain.sign(plan))
    assert transaction["meta"]["err"] is None, transaction["meta"]["logMessages"]
    return transaction


def _failure(chain: Chain, plan: SwapPlan) -> ExecutionError:
    failure = ERRORS.failure_of(chain.run(chain.sign(plan)))
    assert failure is not None
    return failure


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_selling_sol_spends_exactly_the_amount_and_opens_the_account_for_the_output(chain: Chain) -> None:
    before = chain.lamports()
    transaction = _landed(chain, chain.plan(SOL, USDC, 3_000_000_001, 450_000_123))

    assert chain.balance(USDC) == 450_000_123
    assert chain.lamports(chain.ata(USDC)) == chain.rent()
    assert before - chain.lamports() == 3_000_000_001 + FEE + chain.rent()
    assert read_fill(transaction, chain.wallet, SOL.address, USDC.address) == Fill(
        amount_in=3_000_000_001, amount_out=450_000_123, fee_lamports=FEE, slot=7
    )


def test_buying_sol_pays_it_out_as_sol(chain: Chain) -> None:
    chain.give(USDC, 200_000_000)
    before = chain.lamports()
    transaction = _landed(chain, chain.plan(USDC, SOL, 150_000_000, 987_654_321))

    assert chain.balance(USDC) == 50_000_000
    assert chain.lamports() - before == 987_654_321 - FEE
    assert read_fill(transaction, chain.wallet, USDC.address, SOL.address) == Fill(
        amount_in=150_000_000, amount_out=987_654_321, fee_lamports=FEE, slot=7
    )


def test_a_transfer_fee_is_not_counted_as_received(chain: Chain) -> None:
    chain.give(USDC, 1_000_000)
    transaction = _landed(chain, chain.plan(USDC, TAXED, 1_000_000, 5_000_000))

    fill = read_fill(transaction, chain.wallet, USDC.address, TAXED.address)
    assert fill.amount_out == chain.balance(TAXED) == 4_950_000


def test_a_transfer_fee_on_the_input_is_part_of_what_was_paid(chain: Chain) -> None:
    chain.give(TAXED, 1_000_000)
    before = chain.lamports()
    transaction = _landed(chain, chain.plan(TAXED, SOL, 1_000_000, 7_000_000))

    fill = read_fill(transaction, chain.wallet, TAXED.address, SOL.address)
    assert (fill.amount_in, fill.amount_out) == (1_000_000, 7_000_000)
    assert chain.lamports() - before == 7_000_000 - FEE


@pytest.mark.parametrize(("mint_in", "mint_out"), [(SOL, USDC), (USDC, SOL)])
def test_wrapped_sol_that_the_wallet_already_holds_is_left_alone(chain: Chain, mint_in: Mint, mint_out: Mint) -> None:
    wrapped = chain.give(SOL, 4_444_444_444)
    chain.give(USDC, 10**9)
    lamports = chain.lamports(wrapped)
    transaction = _landed(chain, chain.plan(mint_in, mint_out, 1_000_000_000, 2_000_000))

    assert (chain.balance(SOL), chain.lamports(wrapped)) == (4_444_444_444, lamports)
    fill = read_fill(transaction, chain.wallet, mint_in.address, mint_out.address)
    assert (fill.amount_in, fill.amount_out) == (1_000_000_000, 2_000_000)


@pytest.mark.parametrize(("mint_in", "mint_out"), [(SOL, USDC), (USDC, SOL)])
def test_nothing_is_left_of_the_temporary_account(chain: Chain, mint_in: Mint, mint_out: Mint) -> None:
    chain.give(USDC, 10**9)
    plan = chain.plan(mint_in, mint_out, 1_000_000, 2_000_000)
    temporary = plan.source if mint_in is SOL else plan.destination
    _landed(chain, plan)
    assert temporary.address != chain.ata(SOL)
    assert chain.lamports(temporary.address) == 0


def test_what_a_swap_does_not_take_of_the_wrapped_sol_comes_back(chain: Chain) -> None:
    before = chain.lamports()
    plan = chain.plan(SOL, USDC, 1_000_000_000, 5)
    partly = _transfer(SOL, plan.source.address, chain.vaults[NATIVE_MINT], chain.wallet, 600_000_000)
    transaction = _landed(chain, replace(plan, swaps=(partly, plan.swaps[1])))

    assert read_fill(transaction, chain.wallet, SOL.address, USDC.address).amount_in == 600_000_000
    assert before - chain.lamports() == 600_000_000 + FEE + chain.rent()


def test_two_attempts_at_an_order_never_share_an_account(chain: Chain) -> None:
    first, second = (chain.plan(SOL, USDC, 1_000_000, 1, attempt=attempt) for attempt in (1, 2))
    assert first.source.address != second.source.address
    _landed(chain, first)
    _landed(chain, second)
    assert chain.balance(USDC) == 2


def test_the_same_transaction_lands_only_once(chain: Chain) -> None:
    signed = chain.sign(chain.plan(SOL, USDC, 1_000_000, 1))
    assert chain.run(signed)["meta"]["err"] is None
    again = chain.run(signed)
    assert again["meta"]["err"] == "AlreadyProcessed"
    assert ERRORS.failure_of(again) is None
    assert chain.balance(USDC) == 1


def test_the_memo_names_the_order_on_the_chain(chain: Chain) -> None:
    transaction = _landed(chain, chain.plan(SOL, USDC, 1_000_000, 1, attempt=2))
    logged = [line.removeprefix("Program log: ") for line in transaction["meta"]["logMessages"]]
    assert "fillrate:0197c3d2-order:2" in logged


def test_a_changed_byte_is_refused(chain: Chain) -> None:
    signed = chain.sign(chain.plan(SOL, USDC, 1_000_000, 1))
    transaction = VersionedTransaction.from_bytes(signed.wire)
    forged = VersionedTransaction.populate(transaction.message, [Signature.new_unique()])
    assert chain.run(replace(signed, wire=bytes(forged)))["meta"]["err"] == "SignatureFailure"
    assert chain.balance(USDC) == 0


def test_a_failed_swap_moves_nothing_but_the_fee(chain: Chain) -> None:
    before = chain.lamports()
    failure = _failure(chain, chain.plan(SOL, USDC, 1_000_000_000, RICH + 1))
    assert isinstance(failure, InsufficientBalance)
    assert before - chain.lamports() == FEE
    assert chain.svm.get_account(chain.ata(USDC)) is None


def test_a_wallet_without_the_sol_to_sell_is_told_so(chain: Chain) -> None:
    failure = _failure(chain, chain.plan(SOL, USDC, 100 * 10**9, 1))
    assert isinstance(failure, InsufficientBalance)
    assert "SOL" in str(failure)


def test_a_wallet_without_the_tokens_to_sell_is_told_so(chain: Chain) -> None:
    chain.give(USDC, 999_999)
    failure = _failure(chain, chain.plan(USDC, SOL, 1_000_000, 1))
    assert isinstance(failure, InsufficientBalance)


def test_a_wallet_that_cannot_pay_the_fee_is_told_so(chain: Chain) -> None:
    plan = chain.plan(SOL, USDC, 1, 1)
    chain.svm.set_account(chain.wallet, SvmAccount(FEE - 1, b"", Pubkey.default()))
    assert isinstance(_failure(chain, plan), InsufficientBalance)


def test_an_outdated_blockhash_can_be_tried_again(chain: Chain) -> None:
    signed = chain.sign(chain.plan(SOL, USDC, 1_000_000, 1))
    chain.svm.expire_blockhash()
    assert isinstance(ERRORS.failure_of(chain.run(signed)), TransientError)


def simulated(chain: Chain, plan: SwapPlan) -> Simulated:
    """As an attempt simulates it whose wallet can pay whatever the policy allows."""
    policy = PriorityFeePolicy(percentile=75, floor=1, cap=1_000_000)
    return simulate(chain, plan, 0, policy, ERRORS, policy.most_lamports, check_wallet=lambda fee: None)


def test_the_measured_budget_is_enough_and_no_more_than_a_fifth_above_what_is_used(chain: Chain) -> None:
    plan = chain.plan(SOL, USDC, 1_000_000, 1)
    budget = simulated(chain, plan).budget
    short = ComputeBudget(budget.unit_limit * 5 // 6 - 1, budget.unit_price)
    failed = chain.run(chain.sign(plan, short))
    assert failed["meta"]["err"] is not None
    assert isinstance(ERRORS.failure_of(failed), TransientError)
    assert chain.run(chain.sign(plan, budget))["meta"]["err"] is None
    assert budget.unit_price == 4_000


@pytest.mark.parametrize(
    "error",
    [NodeLacks("Method not found"), RpcRefused("fees", -32602, "no"), RpcUnavailable("not implemented (-32000)")],
)
def test_a_node_without_priority_fees_leaves_the_lowest_price_that_is_offered(chain: Chain, error: Exception) -> None:
    def lacking(writable: tuple[Pubkey, ...]) -> tuple[int, ...]:
        raise error

    chain.get_recent_prioritization_fees = lacking  # type: ignore[method-assign]
    assert simulated(chain, chain.plan(SOL, USDC, 1_000_000, 1)).budget.unit_price == 1


def test_a_node_that_wants_to_be_asked_later_is_waited_for(chain: Chain) -> None:
    def limited(writable: tuple[Pubkey, ...]) -> tuple[int, ...]:
        raise NodesAtTheirLimit(5_000)

    chain.get_recent_prioritization_fees = limited  # type: ignore[method-assign]
    with pytest.raises(NodesAtTheirLimit):
        simulated(chain, chain.plan(SOL, USDC, 1_000_000, 1))


def test_a_swap_whose_units_no_simulation_told_lands_all_the_same(chain: Chain) -> None:
    ask = chain.simulate_transaction
    chain.simulate_transaction = lambda wire: replace(ask(wire), units_consumed=None)  # type: ignore[method-assign]
    plan = chain.plan(SOL, USDC, 1_000_000, 1)
    budget = simulated(chain, plan).budget
    assert chain.run(chain.sign(plan, budget))["meta"]["err"] is None


def test_a_simulation_that_fails_says_why_before_anything_is_signed(chain: Chain) -> None:
    chain.give(USDC, 1)
    with pytest.raises(InsufficientBalance):
        simulated(chain, chain.plan(USDC, SOL, 2, 1))


@settings(max_examples=25, deadline=None)
@given(
    pair=st.sampled_from([(SOL, USDC), (USDC, SOL), (TAXED, SOL), (USDC, TAXED)]),
    amount_in=st.integers(1, 90 * 10**9),
    pool_pays=st.integers(100, RICH),
    holds_output=st.booleans(),
    wrapped=st.integers(0, 10**12),
)
def test_the_fill_is_the_difference_of_the_balances(
    pair: tuple[Mint, Mint], amount_in: int, pool_pays: int, holds_output: bool, wrapped: int
) -> None:
    chain = Chain()
    mint_in, mint_out = pair
    if wrapped:
        chain.give(SOL, wrapped)
    if mint_in is not SOL:
        chain.give(mint_in, amount_in + 17)
    if holds_output and mint_out is not SOL:
        chain.give(mint_out, 23)

    def worth(mint: Mint) -> int:
        """What the wallet has of a token; of SOL all lamports that are its own, rents included."""
        if mint is not SOL:
            return chain.balance(mint)
        return chain.lamports() + sum(chain.lamports(chain.ata(held)) for held in (SOL, USDC, TAXED))

    before = worth(mint_in), worth(mint_out)
    fill = read_fill(
        _landed(chain, chain.plan(mint_in, mint_out, amount_in, pool_pays)),
        chain.wallet,
        mint_in.address,
        mint_out.address,
    )
    fees = [FEE if mint is SOL else 0 for mint in pair]
    assert fill.amount_in == before[0] - worth(mint_in) - fees[0] == amount_in
    assert fill.amount_out == worth(mint_out) - before[1] + fees[1]
    assert fill.amount_out == mint_out.amount_after_transfer_fee(pool_pays, epoch=0)

"""From a planned swap to the message to sign. Pure: what the chain knows is passed in.

The instructions, in this order: compute-unit limit and price, in version 0; open the token accounts (wrapping SOL); the
swaps; close the temporary accounts (unwrapping SOL); the tip, if one is paid; a memo, signed by the wallet, that names
the order. A version 1 message carries limit and fee as fields of its own (SIMD-0385), and over three times the bytes.
Neither loads accounts through lookup tables: all of them are in sight of the signing policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import CompileError, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chalicelib.problems import TransactionTooLarge
from chalicelib.solana.compute_budget import ComputeBudget
from chalicelib.solana.token_accounts import TradingAccount

# SPL Memo, version 2: fails unless the named accounts have signed, and logs the text.
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
# An account whose address begins so keeps a bundle from placing others before the transaction that names it
# (https://docs.jito.wtf/lowlatencytxnsend/#sandwich-mitigation).
DONT_FRONT = Pubkey.from_string("jitodontfront111111111111111111111111111111")

TransactionVersion = Literal[0, 1]
VERSIONS: tuple[TransactionVersion, ...] = get_args(TransactionVersion)
SwapMessage = MessageV0 | MessageV1
# What fits: a packet (solana-packet, PACKET_DATA_SIZE), and what SIMD-0385 allows.
MAX_TRANSACTION_BYTES: dict[TransactionVersion, int] = {0: 1232, 1: 4096}
# How many accounts a transaction may name, and how many instructions (SIMD-0385; a version 0 has no room for as many).
MAX_ACCOUNTS = 64
MAX_INSTRUCTIONS = 64

_MEMO = re.compile(r"fillrate:[^:\s]+:[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class OrderMemo:
    """What a transaction says about itself on the chain: `fillrate:<order id>:<attempt>`, attempts from 1."""

    order_id: str
    attempt: int

    def __post_init__(self) -> None:
        if _MEMO.fullmatch(str(self)) is None:
            raise ValueError(f"no memo can be made of order {self.order_id!r}, attempt {self.attempt}")

    def __str__(self) -> str:
        return f"fillrate:{self.order_id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Tip:
    """What a lane is paid for the transaction, inside it: a plain transfer of lamports to an account of the lane's."""

    account: Pubkey
    lamports: int

    def instruction(self, payer: Pubkey) -> Instruction:
        """Names DONT_FRONT besides, which the system program doesn't look at."""
        paid = transfer(TransferParams(from_pubkey=payer, to_pubkey=self.account, lamports=self.lamports))
        protected = AccountMeta(DONT_FRONT, is_signer=False, is_writable=False)
        return Instruction(paid.program_id, bytes(paid.data), [*paid.accounts, protected])


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """One attempt at an order: who pays, the token accounts (also those between two hops), the venues' instructions.

    The swap instructions must name `source.address` and `destination.address` as the trader's accounts.
    """

    payer: Pubkey
    memo: OrderMemo
    source: TradingAccount
    destination: TradingAccount
    swaps: tuple[Instruction, ...]
    between: tuple[TradingAccount, ...] = field(default=())
    tip: Tip | None = None

    @property
    def tip_lamports(self) -> int:
        return 0 if self.tip is None else self.tip.lamports

    def instructions(self) -> list[Instruction]:
        """Without the compute budget's."""
        accounts = (self.source, *self.between, self.destination)
        return [
            *(instruction for account in accounts for instruction in account.opening),
            *self.swaps,
            *(instruction for account in accounts for instruction in account.closing),
            *([] if self.tip is None else [self.tip.instruction(self.payer)]),
            _memo(self.memo, self.payer),
        ]


def build_message(plan: SwapPlan, budget: ComputeBudget, blockhash: Hash, version: TransactionVersion) -> SwapMessage:
    """The message to sign. Raises TransactionTooLarge."""
    try:
        message = _compiled(plan, budget, blockhash, version)
    except CompileError as error:
        raise TransactionTooLarge("the route names more accounts than one transaction can carry") from error
    named, steps = len(message.account_keys), len(message.instructions)
    if named > MAX_ACCOUNTS or steps > MAX_INSTRUCTIONS:
        raise TransactionTooLarge(
            f"the route makes a transaction of {named} accounts and {steps} instructions; "
            f"{MAX_ACCOUNTS} and {MAX_INSTRUCTIONS} fit"
        )
    size, fits = len(unsigned_wire(message)), MAX_TRANSACTION_BYTES[version]
    if size > fits:
        raise TransactionTooLarge(f"the route makes a transaction of {size} bytes; {fits} fit")
    return message


def _compiled(plan: SwapPlan, budget: ComputeBudget, blockhash: Hash, version: TransactionVersion) -> SwapMessage:
    """Raises CompileError."""
    if version == 1:
        return MessageV1.try_compile(plan.payer, plan.instructions(), blockhash, budget.config)
    return MessageV0.try_compile(plan.payer, [*budget.instructions(), *plan.instructions()], [], blockhash)


def unsigned_wire(message: SwapMessage) -> bytes:
    """The transaction's bytes with empty signatures, as a simulation takes them."""
    signatures = [Signature.default()] * message.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message, signatures))


def writable_accounts(message: SwapMessage) -> tuple[Pubkey, ...]:
    """The accounts that the message locks for writing: those whose fee market it competes in."""
    return tuple(key for index, key in enumerate(message.account_keys) if message.is_maybe_writable(index))


def _memo(memo: OrderMemo, signer: Pubkey) -> Instruction:
    return Instruction(MEMO_PROGRAM, str(memo).encode(), [AccountMeta(signer, is_signer=True, is_writable=False)])

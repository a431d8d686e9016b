"""From a planned swap to the v0 message to sign. Pure: what the chain knows is passed in.

The instructions, in this order: compute-unit limit and price; open the token accounts (wrapping SOL); the swaps;
close the temporary accounts (unwrapping SOL); a memo, signed by the wallet, that names the order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import CompileError, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chalicelib.problems import TransactionTooLarge
from chalicelib.solana.compute_budget import ComputeBudget
from chalicelib.solana.token_accounts import TradingAccount

# SPL Memo, version 2: fails unless the named accounts have signed, and logs the text.
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
# What fits a packet (solana-packet, PACKET_DATA_SIZE).
MAX_TRANSACTION_BYTES = 1232

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

    def instructions(self, budget: ComputeBudget) -> list[Instruction]:
        accounts = (self.source, *self.between, self.destination)
        return [
            *budget.instructions(),
            *(instruction for account in accounts for instruction in account.opening),
            *self.swaps,
            *(instruction for account in accounts for instruction in account.closing),
            _memo(self.memo, self.payer),
        ]


def build_message(plan: SwapPlan, budget: ComputeBudget, blockhash: Hash) -> MessageV0:
    """The message to sign. Raises TransactionTooLarge."""
    try:
        message = MessageV0.try_compile(plan.payer, plan.instructions(budget), [], blockhash)
    except CompileError as error:
        raise TransactionTooLarge("the route names more accounts than one transaction can carry") from error
    size = len(unsigned_wire(message))
    if size > MAX_TRANSACTION_BYTES:
        raise TransactionTooLarge(f"the route makes a transaction of {size} bytes; {MAX_TRANSACTION_BYTES} fit")
    return message


def unsigned_wire(message: MessageV0) -> bytes:
    """The transaction's bytes with empty signatures, as a simulation takes them."""
    signatures = [Signature.default()] * message.header.num_required_signatures
    return bytes(VersionedTransaction.populate(message, signatures))


def writable_accounts(message: MessageV0) -> tuple[Pubkey, ...]:
    """The accounts that the message locks for writing: those whose fee market it competes in."""
    return tuple(key for index, key in enumerate(message.account_keys) if message.is_maybe_writable(index))


def _memo(memo: OrderMemo, signer: Pubkey) -> Instruction:
    return Instruction(MEMO_PROGRAM, str(memo).encode(), [AccountMeta(signer, is_signer=True, is_writable=False)])

"""What the runtime would demand of the transfers that an emulated program makes, and of the data that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.transaction import MEMO_PROGRAM
from infra.localnet.programs.program import SwapEffect, TokenTransfer

_TRANSFER_CHECKED = 12


class InvocationError(Exception):
    """The runtime stops the program; `reason` is the InstructionError's name."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_effect(effect: SwapEffect, instruction: Instruction, accounts: Mapping[Pubkey, Account]) -> None:
    """Raises InvocationError where the real program could not have done this with the accounts it was given."""
    named = {meta.pubkey for meta in instruction.accounts}
    writable = {meta.pubkey for meta in instruction.accounts if meta.is_writable}
    signers = {meta.pubkey for meta in instruction.accounts if meta.is_signer}
    for transfer in effect.transfers:
        _check_transfer(transfer, named, writable, signers)
    for address in effect.writes:
        if address not in writable:
            raise InvocationError("ReadonlyDataModified", f"{address} is not writable")
        account = accounts.get(address)
        if account is None or account.owner != instruction.program_id:
            raise InvocationError("ExternalAccountDataModified", f"{address} is not the program's own")


def _check_transfer(transfer: TokenTransfer, named: set[Pubkey], writable: set[Pubkey], signers: set[Pubkey]) -> None:
    needed = [transfer.token_program, transfer.source, transfer.mint, transfer.destination, transfer.authority]
    if transfer.memo is not None:
        needed.append(MEMO_PROGRAM)
    for address in needed:
        if address not in named:
            raise InvocationError("MissingAccount", f"{address} is not among the instruction's accounts")
    for address in (transfer.source, transfer.destination):
        if address not in writable:
            raise InvocationError("PrivilegeEscalation", f"{address}'s writable privilege escalated")
    # A program signs for addresses that have no private key, and for no other.
    if transfer.authority.is_on_curve() and transfer.authority not in signers:
        raise InvocationError("PrivilegeEscalation", f"{transfer.authority}'s signer privilege escalated")


def invocations(transfer: TokenTransfer) -> list[Instruction]:
    """What the program would invoke: the TransferChecked, with the memo before it that the destination asks for."""
    memo = [] if transfer.memo is None else [Instruction(MEMO_PROGRAM, transfer.memo.encode(), [])]
    return [*memo, transfer_instruction(transfer)]


def transfer_instruction(transfer: TokenTransfer) -> Instruction:
    """The TransferChecked of either token program: tag, amount u64, decimals u8."""
    return Instruction(
        transfer.token_program,
        bytes([_TRANSFER_CHECKED]) + transfer.amount.to_bytes(8, "little") + bytes([transfer.decimals]),
        [
            AccountMeta(transfer.source, is_signer=False, is_writable=True),
            AccountMeta(transfer.mint, is_signer=False, is_writable=False),
            AccountMeta(transfer.destination, is_signer=False, is_writable=True),
            AccountMeta(transfer.authority, is_signer=True, is_writable=False),
        ],
    )

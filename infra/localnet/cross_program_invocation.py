"""What the runtime would demand of the transfers that an emulated program makes, and of the data that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.accounts import Account
from chalicelib.solana.transaction import MEMO_PROGRAM
from infra.localnet.programs.program import SupplyChange, SwapEffect, TokenTransfer

# TokenInstruction (solana-program/token, interface/src/instruction.rs)
_TRANSFER, _MINT_TO, _BURN, _TRANSFER_CHECKED = 3, 7, 8, 12


class InvocationError(Exception):
    """The runtime stops the program; `reason` is the InstructionError's name."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_effect(effect: SwapEffect, instruction: Instruction, accounts: Mapping[Pubkey, Account]) -> None:
    """Raises InvocationError where the real program could not have done this with the accounts it was given."""
    named = {meta.pubkey for meta in instruction.accounts}
    may_change = {meta.pubkey for meta in instruction.accounts if meta.is_writable}
    signers = {meta.pubkey for meta in instruction.accounts if meta.is_signer}
    for transfer in effect.transfers:
        read = [transfer.token_program, *(() if transfer.mint is None else (transfer.mint,))]
        if transfer.memo is not None:
            read.append(MEMO_PROGRAM)
        _check_invocation(read, (transfer.source, transfer.destination), transfer.authority, named, may_change, signers)
    for change in effect.supply_changes:
        written = change.mint, change.account
        _check_invocation([change.token_program], written, change.authority, named, may_change, signers)
    for callee in effect.callees:
        _check_named(callee, named)
    for address in effect.writes:
        if address not in may_change:
            raise InvocationError("ReadonlyDataModified", f"{address} is not writable")
        account = accounts.get(address)
        if account is None or account.owner not in {instruction.program_id, *effect.callees}:
            raise InvocationError("ExternalAccountDataModified", f"{address} is not the program's own")


def _check_invocation(
    read: list[Pubkey],
    written: tuple[Pubkey, Pubkey],
    authority: Pubkey,
    named: set[Pubkey],
    may_change: set[Pubkey],
    signers: set[Pubkey],
) -> None:
    for address in (*read, *written, authority):
        _check_named(address, named)
    for address in written:
        if address not in may_change:
            raise InvocationError("PrivilegeEscalation", f"{address}'s writable privilege escalated")
    # A program signs for addresses that have no private key, and for no other.
    if authority.is_on_curve() and authority not in signers:
        raise InvocationError("PrivilegeEscalation", f"{authority}'s signer privilege escalated")


def _check_named(address: Pubkey, named: set[Pubkey]) -> None:
    if address not in named:
        raise InvocationError("MissingAccount", f"{address} is not among the instruction's accounts")


def invocations(transfer: TokenTransfer) -> list[Instruction]:
    """What the program would invoke: the TransferChecked, with the memo before it that the destination asks for."""
    memo = [] if transfer.memo is None else [Instruction(MEMO_PROGRAM, transfer.memo.encode(), [])]
    return [*memo, transfer_instruction(transfer)]


def transfer_instruction(transfer: TokenTransfer) -> Instruction:
    """The TransferChecked of either token program: tag, amount u64, decimals u8. Without a mint the Transfer."""
    if transfer.mint is None:
        return Instruction(
            transfer.token_program,
            bytes([_TRANSFER]) + transfer.amount.to_bytes(8, "little"),
            [writable(transfer.source), writable(transfer.destination), _signer(transfer.authority)],
        )
    return Instruction(
        transfer.token_program,
        bytes([_TRANSFER_CHECKED]) + transfer.amount.to_bytes(8, "little") + bytes([transfer.decimals]),
        [
            writable(transfer.source),
            readonly(transfer.mint),
            writable(transfer.destination),
            _signer(transfer.authority),
        ],
    )


def supply_instruction(change: SupplyChange) -> Instruction:
    """The MintTo or Burn of either token program: tag, amount u64."""
    tag = _BURN if change.amount < 0 else _MINT_TO
    order = (change.account, change.mint) if change.amount < 0 else (change.mint, change.account)
    return Instruction(
        change.token_program,
        bytes([tag]) + abs(change.amount).to_bytes(8, "little"),
        [*map(writable, order), _signer(change.authority)],
    )


def _signer(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=True, is_writable=False)

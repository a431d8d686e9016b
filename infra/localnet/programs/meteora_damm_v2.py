"""Meteora DAMM v2 emulated by the venue's own math: swap and swap2, exact-in, to the last byte of the pool.

Facts: MeteoraAg/damm-v2, programs/cp-amm/src/instructions/swap/*.rs, state/*.rs, entrypoint.rs. Left out: the event
that it sends itself, swap2's other two modes, and who may trade before the pool opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import TokenNotTradable, VenueUnavailable
from chalicelib.solana.accounts import INSTRUCTIONS_SYSVAR, Account, ChainClock
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.meteora_damm_v2.instruction import ACCOUNTS, SWAP_ARGUMENTS, SWAP_DISCRIMINATOR
from chalicelib.venues.meteora_damm_v2.layout import (
    AUTHORITY,
    DYNAMIC_FEE,
    DYNAMIC_FEE_OFFSET,
    EVENT_AUTHORITY,
    FEE_PER_LIQUIDITY_OFFSETS,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
    PROTOCOL_FEES_OFFSET,
    SQRT_PRICE_OFFSET,
    TOKEN_AMOUNTS,
    TOKEN_AMOUNTS_OFFSET,
    TOTAL_LP_FEES_OFFSET,
    TOTAL_PROTOCOL_FEES_OFFSET,
    TWO_U64,
    DammV2DynamicFee,
    DammV2PoolState,
    RateLimiter,
)
from chalicelib.venues.meteora_damm_v2.math import DammV2SwapOutcome, is_limited
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Pool, MeteoraDammV2Venue
from chalicelib.venues.meteora_damm_v2.refusals import (
    AMOUNT_IS_ZERO,
    EXCEEDED_SLIPPAGE,
    FAIL_TO_VALIDATE_SINGLE_SWAP_INSTRUCTION,
    MATH_OVERFLOW,
    POOL_DISABLED,
    DammV2SwapRefused,
)
from chalicelib.venues.pool_accounts import InvalidAccount
from infra.localnet.cross_program_invocation import InvocationError
from infra.localnet.instructions_sysvar import instructions_before
from infra.localnet.programs import anchor
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer
from infra.localnet.programs.token_accounts import as_if_movable

SWAP2_DISCRIMINATOR = anchor.discriminator("global", "swap2")
_EXACT_IN = 0
_INVALID_INPUT = 6018
_POOL_POSITION = 1

# error.rs, what a swap can raise: name and message as the program logs them.
_ERRORS = {
    6000: ("MathOverflow", "Math operation overflow"),
    6002: ("ExceededSlippage", "Exceeded slippage tolerance"),
    6003: ("PoolDisabled", "Pool disabled"),
    6006: ("AmountIsZero", "Amount is zero"),
    6007: ("TypeCastFailed", "Type cast error"),
    6015: ("PriceRangeViolation", "Trade is over price range"),
    6018: ("InvalidInput", "Invalid input"),
    6049: ("FailToValidateSingleSwapInstruction", "Fail to validate single swap instruction in rate limiter"),
}


class _DammV2SwapAccounts(NamedTuple):
    """The accounts of ix_swap.rs `SwapCtx`, in its order."""

    authority: AccountMeta
    pool: AccountMeta
    input_account: AccountMeta
    output_account: AccountMeta
    vault_a: AccountMeta
    vault_b: AccountMeta
    mint_a: AccountMeta
    mint_b: AccountMeta
    payer: AccountMeta
    program_a: AccountMeta
    program_b: AccountMeta
    referral_account: AccountMeta
    event_authority: AccountMeta
    program: AccountMeta

    @property
    def has_referral(self) -> bool:
        return self.referral_account.pubkey != PROGRAM_ID


class MeteoraDammV2Program:
    """swap and swap2 as the real program runs them; of its other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the program's own checks."""
        name, amount_in, minimum_out = _arguments(data)
        swap = _checked(metas, accounts)
        pool = _decode(swap.pool.pubkey, accounts)
        point = pool.state.point_at(clock)
        if not pool.state.is_open(point):
            raise _error(POOL_DISABLED)
        if not amount_in:
            raise _error(AMOUNT_IS_ZERO)
        side = 0 if _mint_of(accounts[swap.input_account.pubkey]) == swap.mint_a.pubkey else 1
        base_fee = pool.state.base_fee
        if isinstance(base_fee, RateLimiter) and is_limited(base_fee, side, point, pool.state.activation_point):
            _check_single_swap(swap.pool.pubkey, metas[ACCOUNTS:], accounts)
        try:
            outcome = pool.swap(side, amount_in, clock)
        except DammV2SwapRefused as refusal:
            raise _error(refusal.code) from None
        if outcome.amount_out < minimum_out:
            raise _error(EXCEEDED_SLIPPAGE)
        referral_fee = outcome.split.protocol * pool.state.referral_fee_percent // 100 if swap.has_referral else 0
        return SwapEffect(
            transfers=_transfers(pool, swap, side, outcome, referral_fee),
            writes={
                swap.pool.pubkey: _pool_after(
                    accounts[swap.pool.pubkey].data, pool.state.liquidity, side, outcome, referral_fee
                )
            },
            compute_units=pool.compute_units,
            logs=(f"Program log: Instruction: {name}",),
        )


def _error(code: int) -> ProgramError:
    return ProgramError(code, *_ERRORS[code])


def _arguments(data: bytes) -> tuple[str, int, int]:
    """The instruction's name, amount in and floor."""
    is_swap2 = data.startswith(SWAP2_DISCRIMINATOR)
    if not is_swap2 and not data.startswith(SWAP_DISCRIMINATOR):
        raise anchor.anchor_error(anchor.INSTRUCTION_FALLBACK_NOT_FOUND)
    arguments = data[len(SWAP_DISCRIMINATOR) :]
    if len(arguments) < SWAP_ARGUMENTS.size + is_swap2:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    if is_swap2 and arguments[SWAP_ARGUMENTS.size] != _EXACT_IN:
        raise _error(_INVALID_INPUT)
    amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(arguments)
    return "Swap2" if is_swap2 else "Swap", amount_in, minimum_out


def _checked(metas: tuple[AccountMeta, ...], accounts: anchor.Accounts) -> _DammV2SwapAccounts:
    """The instruction's accounts, in the order of ix_swap.rs `validate_p_accounts`."""
    if len(metas) < ACCOUNTS:
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)
    swap = _DammV2SwapAccounts._make(metas[:ACCOUNTS])
    anchor.check_address(swap.authority, AUTHORITY)
    _check_writable_pool(swap.pool, accounts)
    state = _state(accounts[swap.pool.pubkey])
    if (bytes(swap.vault_a.pubkey), bytes(swap.vault_b.pubkey)) != (state.vault_a, state.vault_b):
        raise anchor.anchor_error(anchor.CONSTRAINT_HAS_ONE)
    _check_token_account(swap.input_account, accounts)
    _check_token_account(swap.output_account, accounts)
    for vault, program in ((swap.vault_a, swap.program_a), (swap.vault_b, swap.program_b)):
        _check_token_account(vault, accounts)
        if accounts[vault.pubkey].owner != program.pubkey:
            raise anchor.anchor_error(anchor.CONSTRAINT_TOKEN_TOKEN_PROGRAM)
    for mint, vault in ((swap.mint_a, swap.vault_a), (swap.mint_b, swap.vault_b)):
        if mint.pubkey != _mint_of(accounts[vault.pubkey]):
            raise anchor.anchor_error(anchor.CONSTRAINT_TOKEN_MINT)
    anchor.check_signer(swap.payer)
    if swap.event_authority.pubkey != EVENT_AUTHORITY:
        raise anchor.anchor_error(anchor.CONSTRAINT_SEEDS)
    if swap.has_referral:
        _check_token_account(swap.referral_account, accounts)
    return swap


def _check_writable_pool(meta: AccountMeta, accounts: anchor.Accounts) -> None:
    """`p_load_mut_checked`."""
    account = accounts.get(meta.pubkey)
    if account is not None and account.owner == PROGRAM_ID and not meta.is_writable:
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_MUTABLE)
    anchor.loader_data(accounts, meta.pubkey, PROGRAM_ID, POOL_DISCRIMINATOR, POOL_LENGTH)


def _check_token_account(meta: AccountMeta, accounts: anchor.Accounts) -> None:
    """`validate_mut_token_account`."""
    if not meta.is_writable:
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_MUTABLE)
    account = accounts.get(meta.pubkey)
    if account is None or (account.owner == Pubkey.default() and not account.lamports):
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_INITIALIZED)
    if account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        raise anchor.anchor_error(anchor.ACCOUNT_OWNED_BY_WRONG_PROGRAM)


def _check_single_swap(pool: Pubkey, remaining: Sequence[AccountMeta], accounts: anchor.Accounts) -> None:
    """ix_p_swap.rs `validate_single_swap_instruction`, of a swap that the transaction itself calls."""
    if not remaining:
        raise _error(FAIL_TO_VALIDATE_SINGLE_SWAP_INSTRUCTION)
    if remaining[0].pubkey != INSTRUCTIONS_SYSVAR:
        raise InvocationError("UnsupportedSysvar", "the instructions sysvar is another account")
    before = instructions_before(accounts[INSTRUCTIONS_SYSVAR].data)
    if any(_may_have_swapped(instruction, pool) for instruction in before):
        raise _error(FAIL_TO_VALIDATE_SINGLE_SWAP_INSTRUCTION)


def _may_have_swapped(instruction: Instruction, pool: Pubkey) -> bool:
    """Of the program itself only a swap counts; of another program whatever names the pool."""
    named = [meta.pubkey for meta in instruction.accounts]
    if instruction.program_id != PROGRAM_ID:
        return pool in named
    is_swap = bytes(instruction.data).startswith((SWAP_DISCRIMINATOR, SWAP2_DISCRIMINATOR))
    return is_swap and named[_POOL_POSITION] == pool


def _mint_of(token_account: Account) -> Pubkey:
    return Pubkey(token_account.data[:32])


def _decode(address: Pubkey, accounts: anchor.Accounts) -> MeteoraDammV2Pool:
    try:
        # Whether tokens can be moved is the token programs' to say, and the program doesn't ask before it moves them.
        movable = {key: as_if_movable(account) for key, account in accounts.items()}
        return MeteoraDammV2Venue().decode(address, movable)
    except (VenueUnavailable, TokenNotTradable) as error:
        raise _not_made_by_the_program(error) from error


def _state(account: Account) -> DammV2PoolState:
    try:
        return DammV2PoolState.decode(account.owner, account.data)
    except InvalidAccount as error:
        raise _not_made_by_the_program(error) from error


def _not_made_by_the_program(error: Exception) -> ProgramError:
    """For a pool that it would never have made there is no code."""
    name, _ = _ERRORS[_INVALID_INPUT]
    return ProgramError(_INVALID_INPUT, name, str(error))


def _transfers(
    pool: MeteoraDammV2Pool, swap: _DammV2SwapAccounts, side: int, outcome: DammV2SwapOutcome, referral_fee: int
) -> tuple[TokenTransfer, ...]:
    """In, out, and what a referral gets of the protocol's fee."""
    mints, vaults, programs = (
        (swap.mint_a, swap.mint_b),
        (swap.vault_a, swap.vault_b),
        (swap.program_a, swap.program_b),
    )

    def paid_out(of: int, to: AccountMeta, amount: int) -> TokenTransfer:
        return TokenTransfer(
            token_program=programs[of].pubkey,
            source=vaults[of].pubkey,
            mint=mints[of].pubkey,
            destination=to.pubkey,
            authority=AUTHORITY,
            amount=amount,
            decimals=pool.mints[of].decimals,
        )

    paid_in = TokenTransfer(
        token_program=programs[side].pubkey,
        source=swap.input_account.pubkey,
        mint=mints[side].pubkey,
        destination=vaults[side].pubkey,
        authority=swap.payer.pubkey,
        amount=outcome.amount_in,
        decimals=pool.mints[side].decimals,
    )
    transfers = [paid_in, paid_out(1 - side, swap.output_account, outcome.vault_out)]
    if swap.has_referral:
        transfers.append(paid_out(outcome.fee_side(side), swap.referral_account, referral_fee))
    return tuple(transfers)


def _pool_after(data: bytes, liquidity: int, side: int, outcome: DammV2SwapOutcome, referral_fee: int) -> bytes:
    """The pool after state/pool.rs `apply_swap_result`, `update_layout_version_if_needed`."""
    state = bytearray(data)
    fee_side, split = outcome.fee_side(side), outcome.split
    protocol_fee = split.protocol - referral_fee
    for offset in (PROTOCOL_FEES_OFFSET, TOTAL_PROTOCOL_FEES_OFFSET):
        fees = list(TWO_U64.unpack_from(state, offset))
        fees[fee_side] += protocol_fee
        TWO_U64.pack_into(state, offset, *fees)
    _add(state, FEE_PER_LIQUIDITY_OFFSETS[fee_side], 32, (split.claiming << 128) // liquidity)
    _add(state, TOTAL_LP_FEES_OFFSET + 16 * fee_side, 16, split.claiming + split.compounding)
    state[SQRT_PRICE_OFFSET : SQRT_PRICE_OFFSET + 16] = outcome.sqrt_price.to_bytes(16, "little")
    TOKEN_AMOUNTS.pack_into(state, TOKEN_AMOUNTS_OFFSET, *outcome.token_amounts, 1)
    if outcome.dynamic_fee is not None:
        DYNAMIC_FEE.pack_into(state, DYNAMIC_FEE_OFFSET, *_dynamic_fee_fields(outcome.dynamic_fee))
    return bytes(state)


def _add(state: bytearray, offset: int, length: int, amount: int) -> None:
    """To an integer of so many bytes."""
    total = int.from_bytes(state[offset : offset + length], "little") + amount
    if total >= 1 << 8 * length:
        raise _error(MATH_OVERFLOW)
    state[offset : offset + length] = total.to_bytes(length, "little")


def _dynamic_fee_fields(fee: DammV2DynamicFee) -> tuple[int | bytes, ...]:
    """As DYNAMIC_FEE packs them: the last four are u128."""
    return (*fee[:-4], *(number.to_bytes(16, "little") for number in fee[-4:]))

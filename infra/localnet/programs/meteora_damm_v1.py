"""Meteora DAMM v1 and the vaults under it, emulated by the venue's own math: swap, to the last byte of their accounts.

Facts: MeteoraAg/damm-v1-sdk, programs/dynamic-amm/src and programs/dynamic-vault/src; which account is refused with
what, measured on the programs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint, TokenAccount
from chalicelib.venues.meteora_damm_v1.instruction import SWAP, SWAP_ARGUMENTS
from chalicelib.venues.meteora_damm_v1.layout import (
    POOL_DISCRIMINATOR,
    PROGRAM_ID,
    VAULT_DISCRIMINATOR,
    VAULT_PROGRAM_ID,
    DammV1PoolState,
    VaultState,
)
from chalicelib.venues.meteora_damm_v1.pool import (
    PRICE_CACHE_SECONDS,
    DammV1SwapOutcome,
    MeteoraDammV1Pool,
    MeteoraDammV1Venue,
)
from chalicelib.venues.meteora_damm_v1.refusals import DammV1SwapRefused, RefusedFor
from chalicelib.venues.pool_accounts import InvalidAccount
from infra.localnet.programs import anchor
from infra.localnet.programs.program import ProgramError, SupplyChange, SwapEffect, TokenTransfer
from infra.localnet.programs.token_accounts import as_if_movable, mint_account

_MISMATCHED_TOKEN_MINT, _MISMATCHED_LP_MINT, _INVALID_VAULT, _INVALID_VAULT_LP = 6009, 6010, 6012, 6013
_INVALID_PROTOCOL_FEE, _IDENTICAL, _INVALID_REMAINING_LENGTH, _INVALID_REMAINING = 6017, 6019, 6027, 6028
# error.rs PoolError and the vault program's VaultError, what a swap can raise: the messages that they log.
_MESSAGES = {
    "MathOverflow": "Math operation overflow",
    "FeeCalculationFailure": "Fee calculation failure",
    "ExceededSlippage": "Exceeded slippage tolerance",
    "ZeroTradingTokens": "Given pool token amount results in zero trading tokens",
    "PoolDisabled": "Pool disabled",
    "InvalidRemainingAccounts": "Invalid remaining account",
    "VaultIsDisabled": "Vault is disabled",
    "AmountMustGreaterThanZero": "Amount must be greater than 0",
}
_ACCOUNT_ERRORS = {
    _MISMATCHED_TOKEN_MINT: ("MismatchedTokenMint", "Token mint mismatched"),
    _MISMATCHED_LP_MINT: ("MismatchedLpMint", "LP mint mismatched"),
    _INVALID_VAULT: ("InvalidVaultAccount", "Invalid vault account"),
    _INVALID_VAULT_LP: ("InvalidVaultLpAccount", "Invalid vault lp account"),
    _INVALID_PROTOCOL_FEE: ("InvalidProtocolFeeAccount", "Invalid protocol fee account"),
    _IDENTICAL: ("IdenticalSourceDestination", "Identical user source and destination token account"),
    _INVALID_REMAINING_LENGTH: ("InvalidRemainingAccountsLen", "Invalid remaining accounts length"),
    _INVALID_REMAINING: ("InvalidRemainingAccounts", "Invalid remaining account"),
}
# What is refused after the input has been paid: a trader who holds too little is refused first.
_AFTER_PAYMENT = frozenset({RefusedFor.ZERO_TRADING_TOKENS, RefusedFor.MATH_OVERFLOW})

_TOTAL_AMOUNT = Struct("<Q")
_TOTAL_AMOUNT_OFFSET = 11
_CACHED_PRICE = Struct("<QQ")
_CACHED_PRICE_OFFSET = 900
_PENDING_PARTNER_FEES = Struct("<QQ")
_PENDING_PARTNER_FEES_OFFSET = 516
_FEE_DENOMINATOR = 100_000

_UNITS_OF_NOTHING = 30_000

_SWAP_EVENT = anchor.discriminator("event", "Swap")
_SWAP_EVENT_FIELDS = Struct("<QQQQQ")  # in, out, trade fee, protocol fee, host fee


class _DammV1SwapAccounts(NamedTuple):
    """The accounts of instructions/swap.rs `Swap`, in its order."""

    pool: AccountMeta
    source: AccountMeta
    destination: AccountMeta
    vault_a: AccountMeta
    vault_b: AccountMeta
    token_vault_a: AccountMeta
    token_vault_b: AccountMeta
    lp_mint_a: AccountMeta
    lp_mint_b: AccountMeta
    vault_lp_a: AccountMeta
    vault_lp_b: AccountMeta
    protocol_fee: AccountMeta
    user: AccountMeta
    vault_program: AccountMeta
    token_program: AccountMeta

    def vault(self, side: int) -> Pubkey:
        return (self.vault_a, self.vault_b)[side].pubkey

    def token_vault(self, side: int) -> Pubkey:
        return (self.token_vault_a, self.token_vault_b)[side].pubkey

    def lp_mint(self, side: int) -> Pubkey:
        return (self.lp_mint_a, self.lp_mint_b)[side].pubkey

    def vault_lp(self, side: int) -> Pubkey:
        return (self.vault_lp_a, self.vault_lp_b)[side].pubkey


class MeteoraDammV1Program:
    """swap as the real programs run it; of their other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the programs' own checks."""
        amount_in, minimum_out = _arguments(data)
        if len(metas) < len(_DammV1SwapAccounts._fields):
            raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)
        swap = _DammV1SwapAccounts._make(metas[: len(_DammV1SwapAccounts._fields)])
        state = _pool_state(swap.pool.pubkey, accounts)
        source = _checked(swap, state, accounts)
        side = 0 if bytes(source.mint) == state.mint_a else 1
        remaining = metas[len(_DammV1SwapAccounts._fields) :]
        pool = _decode(swap, state, accounts)
        _check_stake(pool, remaining, clock)
        if not amount_in:
            return SwapEffect((), {}, _UNITS_OF_NOTHING, ("Program log: Instruction: Swap",))
        outcome = _swapped(pool, side, amount_in, source.amount, clock)
        # What a vault can't pay the token program refuses, before the floor is looked at.
        payable = outcome.amount_out <= pool.vaults[1 - side].reserve
        if payable and outcome.pool_loss < minimum_out:
            raise _error(RefusedFor.EXCEEDED_SLIPPAGE)
        return SwapEffect(
            transfers=_transfers(swap, side, amount_in, outcome),
            supply_changes=_supply_changes(swap, side, outcome),
            writes=_writes(swap, pool, side, amount_in, outcome, accounts, clock),
            callees=frozenset({VAULT_PROGRAM_ID}),
            compute_units=pool.compute_units(outcome.steps),
            logs=("Program log: Instruction: Swap", _event_log(amount_in, outcome)),
        )


def _error(reason: RefusedFor) -> ProgramError:
    callee = None if reason.program_id == PROGRAM_ID else reason.program_id
    return ProgramError(reason.code, reason.error_name, _MESSAGES[reason.error_name], callee=callee)


def _account_error(code: int) -> ProgramError:
    return ProgramError(code, *_ACCOUNT_ERRORS[code])


def _arguments(data: bytes) -> tuple[int, int]:
    if not data.startswith(SWAP):
        raise anchor.anchor_error(anchor.INSTRUCTION_FALLBACK_NOT_FOUND)
    if len(data) < len(SWAP) + SWAP_ARGUMENTS.size:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(data, len(SWAP))
    return amount_in, minimum_out


def _pool_state(pool: Pubkey, accounts: anchor.Accounts) -> DammV1PoolState:
    data = anchor.account_data(accounts, pool, PROGRAM_ID, POOL_DISCRIMINATOR, length=0)
    try:
        return DammV1PoolState.decode(PROGRAM_ID, data)
    except InvalidAccount:
        raise anchor.anchor_error(anchor.ACCOUNT_DID_NOT_DESERIALIZE) from None


def _checked(swap: _DammV1SwapAccounts, state: DammV1PoolState, accounts: anchor.Accounts) -> TokenAccount:
    """The trader's account to pay from, once each account is what the program wants."""
    source, destination = (anchor.token_account(accounts, one.pubkey) for one in (swap.source, swap.destination))
    fee = anchor.token_account(accounts, swap.protocol_fee.pubkey)
    vaults = [_vault_state(swap.vault(side), accounts, (state.mint_a, state.mint_b)[side]) for side in (0, 1)]
    anchor.check_signer(swap.user)
    if swap.vault_program.pubkey != VAULT_PROGRAM_ID or swap.token_program.pubkey != TOKEN_PROGRAM:
        raise anchor.anchor_error(anchor.INVALID_PROGRAM_ID)
    if (bytes(swap.vault_a.pubkey), bytes(swap.vault_b.pubkey)) != (state.vault_a, state.vault_b):
        raise _account_error(_INVALID_VAULT)
    for side, vault in enumerate(vaults):
        if bytes(swap.token_vault(side)) != vault.token_vault:
            raise _account_error(_INVALID_VAULT)
        if bytes(swap.lp_mint(side)) != vault.lp_mint:
            raise _account_error(_MISMATCHED_LP_MINT)
    if (bytes(swap.vault_lp_a.pubkey), bytes(swap.vault_lp_b.pubkey)) != (state.vault_lp_a, state.vault_lp_b):
        raise _account_error(_INVALID_VAULT_LP)
    if source.mint == destination.mint:
        raise _account_error(_IDENTICAL)
    if {bytes(source.mint), bytes(destination.mint)} != {state.mint_a, state.mint_b} or fee.mint != source.mint:
        raise _account_error(_MISMATCHED_TOKEN_MINT)
    expected_fee = state.protocol_fee_a if bytes(source.mint) == state.mint_a else state.protocol_fee_b
    if bytes(swap.protocol_fee.pubkey) != expected_fee:
        raise _account_error(_INVALID_PROTOCOL_FEE)
    return source


def _vault_state(vault: Pubkey, accounts: anchor.Accounts, mint: bytes) -> VaultState:
    data = anchor.account_data(accounts, vault, VAULT_PROGRAM_ID, VAULT_DISCRIMINATOR, length=0)
    try:
        return VaultState.decode(vault, VAULT_PROGRAM_ID, data, mint)
    except InvalidAccount:
        raise _account_error(_INVALID_VAULT) from None


def _decode(swap: _DammV1SwapAccounts, state: DammV1PoolState, accounts: anchor.Accounts) -> MeteoraDammV1Pool:
    """The instruction names no mints, and the programs look at none."""
    # Whether tokens can be moved is the token program's to say, and no program asks before it moves them.
    movable = {key: as_if_movable(account) for key, account in accounts.items()}
    mints = (Mint(Pubkey(mint), TOKEN_PROGRAM, decimals=0) for mint in (state.mint_a, state.mint_b))
    movable |= {mint.address: mint_account(mint, supply=0, authority=None) for mint in mints}
    try:
        return MeteoraDammV1Venue().decode(swap.pool.pubkey, movable)
    except ExecutionError as error:
        raise ProgramError(RefusedFor.MATH_OVERFLOW.code, RefusedFor.MATH_OVERFLOW.error_name, str(error)) from error


def _check_stake(pool: MeteoraDammV1Pool, remaining: tuple[AccountMeta, ...], clock: ChainClock) -> None:
    """A depeg pool whose price is too old needs the account that tells it anew."""
    if pool.stake is None or not _is_price_old(pool, clock):
        return
    if not remaining:
        raise _account_error(_INVALID_REMAINING_LENGTH)
    if remaining[0].pubkey != pool.stake:
        raise _account_error(_INVALID_REMAINING)


def _is_price_old(pool: MeteoraDammV1Pool, clock: ChainClock) -> bool:
    return pool.curve is not None and clock.unix_timestamp > pool.curve.cached_at + PRICE_CACHE_SECONDS


def _swapped(pool: MeteoraDammV1Pool, side: int, amount_in: int, held: int, clock: ChainClock) -> DammV1SwapOutcome:
    try:
        return pool.swap(side, amount_in, clock)
    except DammV1SwapRefused as refusal:
        if refusal.reason in _AFTER_PAYMENT and held < amount_in:
            raise ProgramError(
                1, "InsufficientFunds", callee=TOKEN_PROGRAM, log="Program log: Error: insufficient funds"
            ) from None
        raise _error(refusal.reason) from None


def _transfers(
    swap: _DammV1SwapAccounts, side: int, amount_in: int, outcome: DammV1SwapOutcome
) -> tuple[TokenTransfer, ...]:
    """The protocol's fee, the deposit, the withdrawal: plain Transfers, each only if it moves something."""
    trader, source = swap.user.pubkey, swap.source.pubkey
    moved = (
        (source, swap.protocol_fee.pubkey, trader, outcome.protocol_fee),
        (source, swap.token_vault(side), trader, amount_in - outcome.protocol_fee),
        (swap.token_vault(1 - side), swap.destination.pubkey, swap.vault(1 - side), outcome.amount_out),
    )
    return tuple(
        TokenTransfer(TOKEN_PROGRAM, account, None, destination, authority, amount, decimals=0)
        for account, destination, authority, amount in moved
        if amount
    )


def _supply_changes(swap: _DammV1SwapAccounts, side: int, outcome: DammV1SwapOutcome) -> tuple[SupplyChange, ...]:
    """LP tokens for the deposit, and the pool's for the withdrawal: its account of vault A has authority over both."""
    out = 1 - side
    minted = SupplyChange(TOKEN_PROGRAM, swap.lp_mint(side), swap.vault_lp(side), swap.vault(side), outcome.lp_in)
    burned = SupplyChange(TOKEN_PROGRAM, swap.lp_mint(out), swap.vault_lp(out), swap.vault_lp(0), -outcome.lp_out)
    return tuple(change for change in (minted, burned) if change.amount)


def _writes(
    swap: _DammV1SwapAccounts,
    pool: MeteoraDammV1Pool,
    side: int,
    amount_in: int,
    outcome: DammV1SwapOutcome,
    accounts: Mapping[Pubkey, Account],
    clock: ChainClock,
) -> dict[Pubkey, bytes]:
    """What both vaults have in all; of the pool a partner's part of the fee, and a price that was read anew."""
    pool_data = bytearray(accounts[swap.pool.pubkey].data)
    pending = list(_PENDING_PARTNER_FEES.unpack_from(pool_data, _PENDING_PARTNER_FEES_OFFSET))
    pending[side] += outcome.protocol_fee * pool.partner_fee_numerator // _FEE_DENOMINATOR
    _PENDING_PARTNER_FEES.pack_into(pool_data, _PENDING_PARTNER_FEES_OFFSET, *pending)
    if pool.stake is not None and _is_price_old(pool, clock):
        _CACHED_PRICE.pack_into(pool_data, _CACHED_PRICE_OFFSET, pool.stake_price or 0, clock.unix_timestamp)
    writes = {swap.pool.pubkey: bytes(pool_data)}
    for at, change in ((side, amount_in - outcome.protocol_fee), (1 - side, -outcome.amount_out)):
        data = bytearray(accounts[swap.vault(at)].data)
        _TOTAL_AMOUNT.pack_into(data, _TOTAL_AMOUNT_OFFSET, pool.vaults[at].total + change)
        writes[swap.vault(at)] = bytes(data)
    return writes


def _event_log(amount_in: int, outcome: DammV1SwapOutcome) -> str:
    """The log line of event.rs `Swap`."""
    of_pool = outcome.trade_fee - outcome.protocol_fee
    event = _SWAP_EVENT + _SWAP_EVENT_FIELDS.pack(amount_in, outcome.pool_loss, of_pool, outcome.protocol_fee, 0)
    return f"Program data: {base64.b64encode(event).decode()}"

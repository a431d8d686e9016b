"""Raydium CPMM emulated by the venue's own math: swap_base_input, to the last byte of the pool's accounts.

Facts: raydium-io/raydium-cp-swap, programs/cp-swap/src/instructions/swap_base_input.rs, states/*.rs.
"""

from __future__ import annotations

import base64
from struct import Struct
from typing import NamedTuple

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.problems import TokenNotTradable, VenueUnavailable
from chalicelib.solana.accounts import ChainClock
from chalicelib.venues.raydium_cpmm.instruction import SWAP_ARGUMENTS, SWAP_BASE_INPUT
from chalicelib.venues.raydium_cpmm.layout import (
    AUTHORITY,
    CONFIG_DISCRIMINATOR,
    CONFIG_LENGTH,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
)
from chalicelib.venues.raydium_cpmm.math import SwapOutcome
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from chalicelib.venues.raydium_cpmm.refusals import EXCEEDED_SLIPPAGE, CpmmSwapRefused
from infra.localnet.programs import anchor
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer
from infra.localnet.programs.token_accounts import as_if_movable

OBSERVATION_DISCRIMINATOR = anchor.discriminator("account", "ObservationState")
OBSERVATION_LENGTH = 4075
_OBSERVATIONS = 100
_OBSERVATION_SECONDS = 15
_U128_MAX = (1 << 128) - 1
_NOT_SUPPORT_MINT = 6007
_INVALID_VAULT = 6008
_MATH_OVERFLOW = 6011

POOL_STATE = Struct("<8s32s32s32s32s32s32s32s32s32s32sBBBBBQQQQQQQBB6xQQ224x")
# What a swap rewrites of PoolState: protocol and fund fees of both tokens, recent_epoch, creator fees of both.
_OWED_FEES = Struct("<QQQQ")
_OWED_FEES_OFFSET = 341
_RECENT_EPOCH = Struct("<Q")
_RECENT_EPOCH_OFFSET = 381
_CREATOR_FEES = Struct("<QQ")
_CREATOR_FEES_OFFSET = 397

OBSERVATION_HEAD = Struct("<?H")
_OBSERVATION_HEAD_OFFSET = 8
_OBSERVATION = Struct("<Q16s16s")
_OBSERVATIONS_OFFSET = 43
_LAST_UPDATE = Struct("<Q")
_LAST_UPDATE_OFFSET = _OBSERVATIONS_OFFSET + _OBSERVATIONS * _OBSERVATION.size

_SWAP_EVENT = anchor.discriminator("event", "SwapEvent")
_SWAP_EVENT_FIELDS = Struct("<32sQQQQQQ?32s32sQQ?")

# error.rs, what a swap can raise: name and message as the program logs them.
_ERRORS = {
    6000: ("NotApproved", "Not approved"),
    6002: ("EmptySupply", "Input token account empty"),
    6005: ("ExceededSlippage", "Exceeds desired slippage limit"),
    6006: ("ZeroTradingTokens", "Given pool token amount results in zero trading tokens"),
    6007: ("NotSupportMint", "Not support token_2022 mint extension"),
    6008: ("InvalidVault", "invaild vault"),
    6011: ("MathOverflow", "Math overflow"),
    6012: ("InsufficientVault", "Insufficient vault"),
    6013: ("InvalidFeeModel", "Invalid fee model"),
}


class _SwapBaseInputAccounts(NamedTuple):
    """The accounts of instructions/swap_base_input.rs `Swap`, in its order."""

    payer: AccountMeta
    authority: AccountMeta
    config: AccountMeta
    pool: AccountMeta
    input_account: AccountMeta
    output_account: AccountMeta
    input_vault: AccountMeta
    output_vault: AccountMeta
    input_program: AccountMeta
    output_program: AccountMeta
    input_mint: AccountMeta
    output_mint: AccountMeta
    observation: AccountMeta


class RaydiumCpmmProgram:
    """swap_base_input as the real program runs it; of its other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the program's own checks."""
        amount_in, minimum_out = _arguments(data)
        swap = _checked(metas, accounts)
        pool = _decode(swap.pool.pubkey, accounts)
        side = pool.vaults.index(swap.input_vault.pubkey)
        try:
            outcome = pool.swap(side, amount_in, clock)
        except CpmmSwapRefused as refusal:
            raise _error(refusal.code) from None
        if outcome.amount_out < minimum_out:
            raise _error(EXCEEDED_SLIPPAGE)
        return SwapEffect(
            transfers=_transfers(pool, swap, side, outcome),
            writes={
                swap.pool.pubkey: _pool_after(accounts[swap.pool.pubkey].data, side, outcome, clock),
                swap.observation.pubkey: _observed(
                    accounts[swap.observation.pubkey].data, pool.reserves, clock.unix_timestamp
                ),
            },
            compute_units=pool.compute_units,
            logs=("Program log: Instruction: SwapBaseInput", _event_log(pool, side, outcome)),
        )


def _error(code: int) -> ProgramError:
    return ProgramError(code, *_ERRORS[code]) if code in _ERRORS else anchor.anchor_error(code)


def _arguments(data: bytes) -> tuple[int, int]:
    if not data.startswith(SWAP_BASE_INPUT):
        raise anchor.anchor_error(anchor.INSTRUCTION_FALLBACK_NOT_FOUND)
    if len(data) < len(SWAP_BASE_INPUT) + SWAP_ARGUMENTS.size:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(data, len(SWAP_BASE_INPUT))
    return amount_in, minimum_out


def _checked(metas: tuple[AccountMeta, ...], accounts: anchor.Accounts) -> _SwapBaseInputAccounts:
    """The instruction's accounts, checked as Anchor does: first each for itself, then the constraints, in order."""
    if len(metas) < len(_SwapBaseInputAccounts._fields):
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)
    swap = _SwapBaseInputAccounts._make(metas[: len(_SwapBaseInputAccounts._fields)])
    anchor.check_signer(swap.payer)
    anchor.account_data(accounts, swap.config.pubkey, PROGRAM_ID, CONFIG_DISCRIMINATOR, CONFIG_LENGTH)
    state = anchor.loader_data(accounts, swap.pool.pubkey, PROGRAM_ID, POOL_DISCRIMINATOR, POOL_LENGTH)
    _, _, input_vault, output_vault = (
        anchor.token_account(accounts, meta.pubkey)
        for meta in (swap.input_account, swap.output_account, swap.input_vault, swap.output_vault)
    )
    anchor.check_token_program(swap.input_program)
    anchor.check_token_program(swap.output_program)
    anchor.mint(accounts, swap.input_mint.pubkey)
    anchor.mint(accounts, swap.output_mint.pubkey)
    anchor.loader_data(accounts, swap.observation.pubkey, PROGRAM_ID, OBSERVATION_DISCRIMINATOR, OBSERVATION_LENGTH)

    fields = POOL_STATE.unpack_from(state)
    config, vaults, observation = Pubkey(fields[1]), (Pubkey(fields[3]), Pubkey(fields[4])), Pubkey(fields[10])
    if swap.authority.pubkey != AUTHORITY:
        raise anchor.anchor_error(anchor.CONSTRAINT_SEEDS)
    anchor.check_address(swap.config, config)
    anchor.check_mutable(swap.pool, swap.input_account, swap.output_account)
    for vault in (swap.input_vault, swap.output_vault):
        anchor.check_mutable(vault)
        if vault.pubkey not in vaults:
            raise anchor.anchor_error(anchor.CONSTRAINT_RAW)
    anchor.check_address(swap.input_mint, input_vault.mint)
    anchor.check_address(swap.output_mint, output_vault.mint)
    anchor.check_mutable(swap.observation)
    anchor.check_address(swap.observation, observation)
    if swap.input_vault.pubkey == swap.output_vault.pubkey:
        raise _error(_INVALID_VAULT)
    return swap


def _decode(address: Pubkey, accounts: anchor.Accounts) -> RaydiumCpmmPool:
    try:
        # Whether tokens can be moved is the token programs' to say, and the program doesn't ask before it moves them.
        movable = {key: as_if_movable(account) for key, account in accounts.items()}
        return RaydiumCpmmVenue().decode(address, movable)
    except (VenueUnavailable, TokenNotTradable) as error:
        # After the checks above only a mint or vault can be wrong that the venue refuses to trade.
        name, _ = _ERRORS[_NOT_SUPPORT_MINT]
        raise ProgramError(_NOT_SUPPORT_MINT, name, str(error)) from error


def _transfers(
    pool: RaydiumCpmmPool, swap: _SwapBaseInputAccounts, side: int, outcome: SwapOutcome
) -> tuple[TokenTransfer, TokenTransfer]:
    return (
        TokenTransfer(
            token_program=swap.input_program.pubkey,
            source=swap.input_account.pubkey,
            mint=swap.input_mint.pubkey,
            destination=swap.input_vault.pubkey,
            authority=swap.payer.pubkey,
            amount=outcome.amount_in,
            decimals=pool.mints[side].decimals,
        ),
        TokenTransfer(
            token_program=swap.output_program.pubkey,
            source=swap.output_vault.pubkey,
            mint=swap.output_mint.pubkey,
            destination=swap.output_account.pubkey,
            authority=AUTHORITY,
            amount=outcome.vault_out,
            decimals=pool.mints[1 - side].decimals,
        ),
    )


def _pool_after(data: bytes, side: int, outcome: SwapOutcome, clock: ChainClock) -> bytes:
    """PoolState after states/pool.rs `update_fees`, with recent_epoch."""
    state = bytearray(data)
    owed = list(_OWED_FEES.unpack_from(state, _OWED_FEES_OFFSET))
    owed[side] += outcome.protocol_fee
    owed[2 + side] += outcome.fund_fee
    _OWED_FEES.pack_into(state, _OWED_FEES_OFFSET, *owed)
    _RECENT_EPOCH.pack_into(state, _RECENT_EPOCH_OFFSET, clock.epoch)
    creator_fees = list(_CREATOR_FEES.unpack_from(state, _CREATOR_FEES_OFFSET))
    creator_fees[side if outcome.creator_fee_on_input else 1 - side] += outcome.creator_fee
    _CREATOR_FEES.pack_into(state, _CREATOR_FEES_OFFSET, *creator_fees)
    return bytes(state)


def _observed(data: bytes, reserves: tuple[int, int], now: int) -> bytes:
    """ObservationState after states/oracle.rs `update` with the prices before the swap (`token_price_x32`)."""
    state = bytearray(data)
    initialized, index = OBSERVATION_HEAD.unpack_from(state, _OBSERVATION_HEAD_OFFSET)
    if not initialized:
        # The first swap only starts the clock.
        OBSERVATION_HEAD.pack_into(state, _OBSERVATION_HEAD_OFFSET, True, index)
        _OBSERVATION.pack_into(state, _observation_offset(index), now, bytes(16), bytes(16))
        _LAST_UPDATE.pack_into(state, _LAST_UPDATE_OFFSET, now)
        return bytes(state)

    began, *sums = _OBSERVATION.unpack_from(state, _observation_offset(index))
    # Accounts of an older program version lack the time of the last update.
    last_update = _LAST_UPDATE.unpack_from(state, _LAST_UPDATE_OFFSET)[0] or began
    elapsed = now - last_update
    if elapsed <= 0 or now <= began:
        return bytes(state)
    cumulative = [
        _advance(int.from_bytes(total, "little"), price, elapsed)
        for total, price in zip(sums, _prices_x32(*reserves), strict=True)
    ]
    if now - began >= _OBSERVATION_SECONDS:
        index, began = (index + 1) % _OBSERVATIONS, now
        OBSERVATION_HEAD.pack_into(state, _OBSERVATION_HEAD_OFFSET, True, index)
    _OBSERVATION.pack_into(state, _observation_offset(index), began, *cumulative)
    _LAST_UPDATE.pack_into(state, _LAST_UPDATE_OFFSET, now)
    return bytes(state)


def _observation_offset(index: int) -> int:
    return _OBSERVATIONS_OFFSET + index * _OBSERVATION.size


def _prices_x32(reserve_0: int, reserve_1: int) -> tuple[int, int]:
    return (reserve_1 << 32) // reserve_0, (reserve_0 << 32) // reserve_1


def _advance(total: int, price: int, seconds: int) -> bytes:
    delta = price * seconds
    if delta > _U128_MAX:
        raise _error(_MATH_OVERFLOW)
    return ((total + delta) & _U128_MAX).to_bytes(16, "little")


def _event_log(pool: RaydiumCpmmPool, side: int, outcome: SwapOutcome) -> str:
    """The log line of states/events.rs `SwapEvent`."""
    event = _SWAP_EVENT + _SWAP_EVENT_FIELDS.pack(
        bytes(pool.address),
        pool.reserves[side],
        pool.reserves[1 - side],
        outcome.vault_in,
        outcome.vault_out,
        outcome.input_transfer_fee,
        outcome.output_transfer_fee,
        True,
        bytes(pool.mints[side].address),
        bytes(pool.mints[1 - side].address),
        outcome.trade_fee,
        outcome.creator_fee,
        outcome.creator_fee_on_input,
    )
    return f"Program data: {base64.b64encode(event).decode()}"

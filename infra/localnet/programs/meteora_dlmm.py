"""Meteora DLMM emulated by the venue's own math: swap and swap2, exact-in.

Accounts and arguments: MeteoraAg/dlmm-sdk, idls/dlmm.json. The program's source is not public: which check comes first
and with which error was observed on the program itself. Left out: events, farming rewards, and that a transfer hook is
called: a swap that brings accounts for one fails in the token program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from struct import Struct
from struct import error as struct_error
from typing import NamedTuple

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_dlmm.instruction import MEMO_PROGRAM, SWAP2_DISCRIMINATOR
from chalicelib.venues.meteora_dlmm.layout import (
    BIN_ARRAY_DISCRIMINATOR,
    BIN_ARRAY_LENGTH,
    BITMAP_EXTENSION_DISCRIMINATOR,
    BITMAP_EXTENSION_LENGTH,
    EVENT_AUTHORITY,
    EXTENSION_NEGATIVE_OFFSET,
    EXTENSION_POSITIVE_OFFSET,
    INTERNAL_BITMAP_OFFSET,
    INTERNAL_REACH,
    LB_PAIR_DISCRIMINATOR,
    LB_PAIR_LENGTH,
    PROGRAM_ID,
    ActivationType,
    BinArrayBitmap,
    BinColumns,
    BitmapExtension,
    CollectFeeMode,
    FunctionType,
    LbPair,
    PairType,
)
from chalicelib.venues.meteora_dlmm.math import (
    BinFill,
    BinOutOfRange,
    BinOverflow,
    BinUnpriced,
    Ladder,
    NoBinArray,
    OutOfLiquidity,
    references_at,
    split_fee,
)
from chalicelib.venues.meteora_dlmm.pool import compute_units
from infra.localnet.programs import anchor
from infra.localnet.programs.meteora_dlmm_pool import ORACLE_DISCRIMINATOR
from infra.localnet.programs.meteora_dlmm_state import (
    SwapRecord,
    bin_array_after,
    cleared,
    is_empty,
    oracle_after,
    pair_after,
)
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer
from infra.localnet.token_extensions import calls_a_hook, takes_no_transfer_without_memo

# What the program says before a transfer to an account that asks for a memo.
_MEMO = "DLMM Swap"
SWAP_DISCRIMINATOR = anchor.discriminator("global", "swap")

_ARGUMENTS = Struct("<QQ")
_SLICE_COUNT = Struct("<I")
# AccountsType::TransferHookMultiReward has a field of its own.
_MULTI_REWARD = 3
_ORACLE_LENGTH = 32
_BIN_ARRAY_INDEX = Struct("<q8x32s")

# idls/dlmm.json, errors that a swap can raise: name and message as the program logs them.
_ERRORS = {
    6002: ("InvalidInput", "Invalid input data"),
    6003: ("ExceededAmountSlippageTolerance", "Exceeded amount slippage tolerance"),
    6010: ("InvalidTokenMint", "Invalid token mint"),
    6012: ("PairInsufficientLiquidity", "Pair insufficient liquidity"),
    6018: ("MathOverflow", "Math operation overflow"),
    6019: ("TypeCastFailed", "Type cast error"),
    6027: ("InvalidBinArray", "Invalid bin array"),
    6036: ("BitmapExtensionAccountIsNotProvided", "Bitmap extension account is not provided"),
    6037: ("CannotFindNonZeroLiquidityBinArrayId", "Cannot find non-zero liquidity binArrayId"),
    6039: ("InsufficientOutAmount", "Insufficient amount in for minimum out"),
    6042: ("PoolDisabled", "Pool disabled"),
    6043: ("InvalidPoolType", "Invalid pool type"),
    6058: ("InvalidActivationType", "Invalid activation type"),
    6077: ("MissingRemainingAccountForTransferHook", "Missing remaining account for transfer hook"),
    6110: ("InvalidCollectFeeMode", "Invalid collect fee mode"),
}


class _Swap2Accounts(NamedTuple):
    """The accounts of swap2 in its order; swap is the same without the memo program."""

    lb_pair: AccountMeta
    bitmap_extension: AccountMeta
    reserve_x: AccountMeta
    reserve_y: AccountMeta
    user_token_in: AccountMeta
    user_token_out: AccountMeta
    mint_x: AccountMeta
    mint_y: AccountMeta
    oracle: AccountMeta
    host_fee_in: AccountMeta
    user: AccountMeta
    program_x: AccountMeta
    program_y: AccountMeta
    memo_program: AccountMeta
    event_authority: AccountMeta
    program: AccountMeta


class _Arguments(NamedTuple):
    is_swap2: bool
    amount_in: int
    minimum_out: int
    hook_accounts: int


class MeteoraDlmmProgram:
    """swap and swap2 as the real program runs them; of its other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the program's own checks."""
        arguments = _arguments(data)
        swap, rest = _accounts(arguments.is_swap2, metas)
        _check_types(swap, accounts, arguments.is_swap2)
        pair = LbPair.decode(PROGRAM_ID, accounts[swap.lb_pair.pubkey].data)
        swap_for_y = _check_constraints(swap, accounts, pair)
        _check_gates(swap, pair, clock)
        if not arguments.amount_in:
            raise _error(6002)

        mints = [anchor.mint(accounts, meta.pubkey) for meta in (swap.mint_x, swap.mint_y)]
        mint_in, mint_out = mints if swap_for_y else reversed(mints)
        received = mint_in.amount_after_transfer_fee(arguments.amount_in, clock.epoch)
        if not received:
            raise _error(6039)
        bin_arrays = _BinArrays(swap.lb_pair.pubkey, rest[arguments.hook_accounts :], accounts, pair, swap_for_y)
        record = _compute(swap, accounts, pair, bin_arrays, received, clock)
        amount_out = mint_out.amount_after_transfer_fee(record.result.amount_out, clock.epoch)
        if not amount_out:
            raise _error(6039)
        if amount_out < arguments.minimum_out:
            raise _error(6003)
        return SwapEffect(
            transfers=_transfers(swap, mints, accounts, arguments, record),
            writes=_writes(swap, accounts, bin_arrays, record, clock),
            compute_units=compute_units(record.result),
            logs=(f"Program log: Instruction: {'Swap2' if arguments.is_swap2 else 'Swap'}",),
        )


def _error(code: int) -> ProgramError:
    return ProgramError(code, *_ERRORS[code])


def _arguments(data: bytes) -> _Arguments:
    is_swap2 = data.startswith(SWAP2_DISCRIMINATOR)
    if not is_swap2 and not data.startswith(SWAP_DISCRIMINATOR):
        raise anchor.anchor_error(anchor.INSTRUCTION_FALLBACK_NOT_FOUND)
    arguments = data[8:]
    if len(arguments) < _ARGUMENTS.size:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    amount_in, minimum_out = _ARGUMENTS.unpack_from(arguments)
    hook_accounts = _hook_accounts(arguments[_ARGUMENTS.size :]) if is_swap2 else 0
    return _Arguments(is_swap2, amount_in, minimum_out, hook_accounts)


def _hook_accounts(info: bytes) -> int:
    """How many of the remaining accounts `RemainingAccountsInfo` sets aside for transfer hooks: they come first."""
    total, offset = 0, _SLICE_COUNT.size
    try:
        for _ in range(_SLICE_COUNT.unpack_from(info)[0]):
            offset += 2 if info[offset] == _MULTI_REWARD else 1
            total += info[offset]
            offset += 1
    except (IndexError, struct_error):
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE) from None
    return total


def _accounts(is_swap2: bool, metas: Sequence[AccountMeta]) -> tuple[_Swap2Accounts, Sequence[AccountMeta]]:
    fixed = len(_Swap2Accounts._fields) if is_swap2 else len(_Swap2Accounts._fields) - 1
    if len(metas) < fixed:
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)
    if is_swap2:
        return _Swap2Accounts._make(metas[:fixed]), metas[fixed:]
    memo = AccountMeta(MEMO_PROGRAM, is_signer=False, is_writable=False)
    at = _Swap2Accounts._fields.index("memo_program")
    return _Swap2Accounts._make([*metas[:at], memo, *metas[at:fixed]]), metas[fixed:]


def _is_given(optional: AccountMeta) -> bool:
    return optional.pubkey != PROGRAM_ID


def _check_types(swap: _Swap2Accounts, accounts: anchor.Accounts, is_swap2: bool) -> None:
    """What Anchor checks of each account for itself, in order."""
    anchor.loader_data(accounts, swap.lb_pair.pubkey, PROGRAM_ID, LB_PAIR_DISCRIMINATOR, LB_PAIR_LENGTH)
    if _is_given(swap.bitmap_extension):
        address = swap.bitmap_extension.pubkey
        anchor.loader_data(accounts, address, PROGRAM_ID, BITMAP_EXTENSION_DISCRIMINATOR, BITMAP_EXTENSION_LENGTH)
    for meta in (swap.reserve_x, swap.reserve_y, swap.user_token_in, swap.user_token_out):
        anchor.token_account(accounts, meta.pubkey)
    for meta in (swap.mint_x, swap.mint_y):
        anchor.mint(accounts, meta.pubkey)
    anchor.loader_data(accounts, swap.oracle.pubkey, PROGRAM_ID, ORACLE_DISCRIMINATOR, _ORACLE_LENGTH)
    if _is_given(swap.host_fee_in):
        anchor.token_account(accounts, swap.host_fee_in.pubkey)
    anchor.check_signer(swap.user)
    for meta in (swap.program_x, swap.program_y):
        anchor.check_token_program(meta)
        if not is_swap2 and meta.pubkey != TOKEN_PROGRAM:
            raise anchor.anchor_error(anchor.INVALID_PROGRAM_ID)
    if swap.memo_program.pubkey != MEMO_PROGRAM:
        raise anchor.anchor_error(anchor.INVALID_PROGRAM_ID)


def _check_constraints(swap: _Swap2Accounts, accounts: anchor.Accounts, pair: LbPair) -> bool:
    """What Anchor then checks between accounts, in order. True: the user sells X for Y."""
    anchor.check_mutable(swap.lb_pair)
    named = (swap.reserve_x, swap.reserve_y, swap.mint_x, swap.mint_y, swap.oracle)
    if [meta.pubkey for meta in named] != [pair.reserve_x, pair.reserve_y, pair.mint_x, pair.mint_y, pair.oracle]:
        raise anchor.anchor_error(anchor.CONSTRAINT_HAS_ONE)
    if _is_given(swap.bitmap_extension):
        extension = accounts[swap.bitmap_extension.pubkey].data
        if extension[8:40] != bytes(swap.lb_pair.pubkey):
            raise anchor.anchor_error(anchor.CONSTRAINT_HAS_ONE)
    anchor.check_mutable(swap.reserve_x, swap.reserve_y, swap.user_token_in)
    traded = [anchor.token_account(accounts, meta.pubkey).mint for meta in (swap.user_token_in, swap.user_token_out)]
    if sorted(map(bytes, traded)) != sorted(map(bytes, (pair.mint_x, pair.mint_y))):
        raise _error(6010)
    anchor.check_mutable(swap.user_token_out, swap.oracle)
    if _is_given(swap.host_fee_in):
        anchor.check_mutable(swap.host_fee_in)
    if swap.event_authority.pubkey != EVENT_AUTHORITY:
        raise anchor.anchor_error(anchor.CONSTRAINT_SEEDS)
    return traded[0] == pair.mint_x


def _check_gates(swap: _Swap2Accounts, pair: LbPair, clock: ChainClock) -> None:
    if pair.pair_type not in list(PairType):
        raise _error(6043)
    if pair.activation_type not in list(ActivationType) and pair.pair_type != PairType.PERMISSIONLESS:
        raise _error(6058)
    if not pair.is_open(clock, swap.user.pubkey):
        raise _error(6042)
    if pair.parameters.collect_fee_mode not in list(CollectFeeMode):
        raise _error(6110)
    if pair.parameters.function_type not in list(FunctionType):
        raise _error(6019)


class _BinArrays:
    """The bin arrays as the program takes them: one after the other off the remaining accounts, skipping others."""

    def __init__(
        self,
        pool: Pubkey,
        metas: Sequence[AccountMeta],
        accounts: anchor.Accounts,
        pair: LbPair,
        swap_for_y: bool,
    ) -> None:
        self._pool = pool
        self._metas = iter(metas)
        self._accounts = accounts
        self._limit_orders = pair.supports_limit_orders
        self.swap_for_y = swap_for_y
        self.taken: dict[int, Pubkey] = {}

    def columns(self, index: int) -> BinColumns:
        for meta in self._metas:
            data = anchor.loader_data(
                self._accounts, meta.pubkey, PROGRAM_ID, BIN_ARRAY_DISCRIMINATOR, BIN_ARRAY_LENGTH
            )
            anchor.check_mutable(meta)
            found, parent = _BIN_ARRAY_INDEX.unpack_from(data, 8)
            if parent != bytes(self._pool):
                raise _error(6027)
            if found == index:
                self.taken[index] = meta.pubkey
                return BinColumns.decode(data, self.swap_for_y, self._limit_orders)
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)


def _compute(
    swap: _Swap2Accounts,
    accounts: anchor.Accounts,
    pair: LbPair,
    bin_arrays: _BinArrays,
    received: int,
    clock: ChainClock,
) -> SwapRecord:
    extension = None
    if _is_given(swap.bitmap_extension):
        data = accounts[swap.bitmap_extension.pubkey].data
        extension = BitmapExtension.decode(PROGRAM_ID, data, swap.lb_pair.pubkey)
    fills: list[BinFill] = []
    try:
        references = references_at(pair, clock.unix_timestamp)
        bitmap = BinArrayBitmap.build(pair, extension)
        ladder = Ladder(pair, bitmap, bin_arrays.columns, bin_arrays.swap_for_y, references)
        result = ladder.swap(received, fills)
    except OverflowError:
        raise _error(6018) from None
    except OutOfLiquidity as error:
        raise _liquidity_error(error, extension is not None) from None
    splits = [
        split_fee(
            fill.fee,
            pair.parameters.protocol_share,
            fill.market_in,
            fill.market_in + fill.processed_in + fill.open_in,
        )
        for fill in fills
    ]
    return SwapRecord(
        pair=pair,
        swap_for_y=bin_arrays.swap_for_y,
        references=references,
        result=result,
        fills=tuple(fills),
        protocol_fee=sum(split.protocol for split in splits),
        host_fee=sum(split.host for split in splits) if _is_given(swap.host_fee_in) else 0,
    )


def _liquidity_error(error: OutOfLiquidity, has_extension: bool) -> ProgramError:
    match error:
        case BinOutOfRange():
            return _error(6012)
        case BinUnpriced():
            return _error(6018)
        case BinOverflow():
            return _error(6019)
        case NoBinArray() if has_extension:
            return _error(6037)
        case _:
            return _error(6036)


def _transfers(
    swap: _Swap2Accounts, mints: Sequence[Mint], accounts: anchor.Accounts, arguments: _Arguments, record: SwapRecord
) -> tuple[TokenTransfer, ...]:
    """What the user pays, what a host gets where one is named, what the user gets."""
    if not arguments.hook_accounts and any(calls_a_hook(accounts[mint.address]) for mint in mints):
        raise _error(6077)
    reserves, programs = (swap.reserve_x, swap.reserve_y), (swap.program_x, swap.program_y)
    user, pair = swap.user.pubkey, swap.lb_pair.pubkey

    def out_of(side: int, destination: AccountMeta, amount: int) -> TokenTransfer:
        return TokenTransfer(
            token_program=programs[side].pubkey,
            source=reserves[side].pubkey,
            mint=mints[side].address,
            destination=destination.pubkey,
            authority=pair,
            amount=amount,
            decimals=mints[side].decimals,
            memo=_MEMO if takes_no_transfer_without_memo(accounts[destination.pubkey]) else None,
        )

    side_in, side_out = (0, 1) if record.swap_for_y else (1, 0)
    paid = out_of(side_in, reserves[side_in], arguments.amount_in)
    paid = replace(paid, source=swap.user_token_in.pubkey, authority=user)
    received = out_of(side_out, swap.user_token_out, record.result.amount_out)
    if not _is_given(swap.host_fee_in):
        return paid, received
    return paid, out_of(0 if record.fee_in_x else 1, swap.host_fee_in, record.host_fee), received


def _writes(
    swap: _Swap2Accounts, accounts: anchor.Accounts, bin_arrays: _BinArrays, record: SwapRecord, clock: ChainClock
) -> dict[Pubkey, bytes]:
    now = clock.unix_timestamp
    pair, oracle = swap.lb_pair.pubkey, swap.oracle.pubkey
    writes = {
        pair: pair_after(accounts[pair].data, record, now),
        oracle: oracle_after(accounts[oracle].data, record.pair.active_id, now),
    }
    for index, address in bin_arrays.taken.items():
        writes[address] = bin_array_after(accounts[address].data, index, record)
        if is_empty(writes[address]) and not is_empty(accounts[address].data):
            _forget(index, swap, accounts, writes)
    return writes


def _forget(index: int, swap: _Swap2Accounts, accounts: anchor.Accounts, writes: dict[Pubkey, bytes]) -> None:
    """Clear the bit of a bin array whose last orders were filled."""
    pair, extension = swap.lb_pair.pubkey, swap.bitmap_extension.pubkey
    if -INTERNAL_REACH <= index < INTERNAL_REACH:
        writes[pair] = cleared(writes[pair], INTERNAL_BITMAP_OFFSET, index + INTERNAL_REACH)
        return
    before = writes.get(extension, accounts[extension].data)
    if index > 0:
        writes[extension] = cleared(before, EXTENSION_POSITIVE_OFFSET, index - INTERNAL_REACH)
    else:
        writes[extension] = cleared(before, EXTENSION_NEGATIVE_OFFSET, -1 - index - INTERNAL_REACH)

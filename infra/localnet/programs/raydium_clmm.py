"""Raydium CLMM emulated by the venue's own math: swap_v2, exact in, as the release of 2026 runs it.

Facts: raydium-io/raydium-clmm, programs/amm/src/instructions/swap_v2.rs, swap.rs, error.rs. Left out: rewards, and
swaps that name what they want to receive.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import ONE_IN_BASIS_POINTS, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint
from chalicelib.venues.raydium_clmm.instruction import (
    FIXED_ACCOUNTS,
    MEMO_PROGRAM,
    NO_PRICE_LIMIT,
    SWAP_V2,
    SWAP_V2_DISCRIMINATOR,
)
from chalicelib.venues.raydium_clmm.layout import (
    BITMAP_EXTENSION_DISCRIMINATOR,
    BITMAP_EXTENSION_LENGTH,
    CONFIG_DISCRIMINATOR,
    CONFIG_LENGTH,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
    TICK_ARRAY_DISCRIMINATOR,
    TICK_ARRAY_LENGTH,
    ClmmFeeRates,
    ClmmPoolState,
    Tick,
    TickArrayBitmap,
    array_number,
    array_start,
    extension_bits,
    ticks_of,
)
from chalicelib.venues.raydium_clmm.math import (
    MAX_SQRT_PRICE,
    MIN_SQRT_PRICE,
    FeeReferences,
    LiquidityExhausted,
    PriceLimitReached,
    SwapTrace,
    TickLadder,
    Unquotable,
    references_at,
)
from chalicelib.venues.raydium_clmm.pool import STATUS_SWAP_DISABLED, fixed_units, units_on_the_way
from chalicelib.venues.raydium_clmm.refusals import ERROR_NUMBERS
from infra.localnet.programs import anchor
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer
from infra.localnet.programs.raydium_clmm_state import (
    OBSERVATION_DISCRIMINATOR,
    OBSERVATION_LENGTH,
    ClmmSwapRecord,
    extension_after,
    has_ticks,
    observation_after,
    pool_after,
    pool_growths,
    tick_array_after,
)

_SWAP_EVENT = anchor.discriminator("event", "SwapEvent")
# pool, sender, both token accounts; amount and transfer fee of both tokens; direction, price, liquidity, tick; the
# trade's fee in both tokens
_SWAP_EVENT_FIELDS = Struct("<32s32s32s32sQQQQ?16s16siQQ")

# error.rs, what a swap can raise: its message as the program logs it.
_MESSAGES = {
    "NotApproved": "Not approved",
    "SqrtPriceLimitOverflow": "Square root price limit overflow",
    "LiquidityInsufficient": "Liquidity insufficient",
    "TooLittleOutputReceived": "Too little output received",
    "ZeroAmountSpecified": "Swap special amount can not be zero",
    "InvalidInputPoolVault": "Input pool vault is invalid",
    "TooSmallInputOrOutputAmount": "Swap input or output amount is too small",
    "NotEnoughTickArrayAccount": "Not enough tick array account",
    "InvalidFirstTickArrayAccount": "Invalid first tick array account",
    "MissingTickArrayBitmapExtensionAccount": "Missing tickarray bitmap extension account",
    "InsufficientLiquidityForDirection": "Insufficient liquidity for this direction",
    "MaxTokenOverflow": "Max token overflow",
    "CalculateOverflow": "Calculate overflow",
}
_NUMBERS = {name: numbers[1] for name, numbers in ERROR_NUMBERS.items()} | {
    "InvalidInputPoolVault": 6021,
    "CalculateOverflow": 6038,
}
# From this tick spacing on, the pool's own bitmap covers all prices.
_SPACING_WITHOUT_EXTENSION = 15


class _SwapV2Accounts(NamedTuple):
    """The accounts of instructions/swap_v2.rs `SwapSingleV2`, in its order."""

    payer: AccountMeta
    config: AccountMeta
    pool: AccountMeta
    input_account: AccountMeta
    output_account: AccountMeta
    input_vault: AccountMeta
    output_vault: AccountMeta
    observation: AccountMeta
    token_program: AccountMeta
    token_program_2022: AccountMeta
    memo_program: AccountMeta
    input_mint: AccountMeta
    output_mint: AccountMeta


class RaydiumClmmProgram:
    """swap_v2 as the real program runs it; of its other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the program's own checks."""
        amount, minimum_out, limit = _arguments(data)
        swap = _checked(metas, accounts)
        pool = ClmmPoolState.decode(PROGRAM_ID, accounts[swap.pool.pubkey].data)
        rates = ClmmFeeRates.decode(swap.config.pubkey, PROGRAM_ID, accounts[swap.config.pubkey].data)
        mint_in, mint_out = (anchor.mint(accounts, meta.pubkey) for meta in (swap.input_mint, swap.output_mint))
        received = mint_in.amount_after_transfer_fee(amount, clock.epoch)
        zero_for_one = bytes(mint_in.address) == pool.mint_0
        if clock.unix_timestamp <= pool.open_time:
            raise anchor.anchor_error(anchor.REQUIRE_GT_VIOLATED)
        vaults = (pool.vault_0, pool.vault_1) if zero_for_one else (pool.vault_1, pool.vault_0)
        if (bytes(swap.input_vault.pubkey), bytes(swap.output_vault.pubkey)) != vaults:
            raise _error("InvalidInputPoolVault")
        handed = _HandedOver(swap.pool.pubkey, metas[FIXED_ACCOUNTS:], accounts, pool, zero_for_one)
        references = None
        if pool.dynamic_fee is not None:
            references = references_at(pool.dynamic_fee, pool.tick, pool.tick_spacing, clock.unix_timestamp)
        trace, used = _trace(pool, rates, handed, received, limit, zero_for_one, references)
        record = ClmmSwapRecord(pool, rates, references, zero_for_one, trace)
        paid = sum(fill.paid for fill in trace.fills)
        if not paid or not used:
            raise _error("TooSmallInputOrOutputAmount")
        spent = amount if used == received else _before_transfer_fee(used, mint_in, clock.epoch)
        if limit is None and spent != amount:
            raise anchor.anchor_error(anchor.REQUIRE_EQ_VIOLATED)
        amount_out = mint_out.amount_after_transfer_fee(paid, clock.epoch)
        if amount_out < minimum_out:
            raise _error("TooLittleOutputReceived")
        writes = _writes(swap, handed, accounts, record, clock)
        transfer_fees = spent - used, paid - amount_out
        return SwapEffect(
            transfers=_transfers(swap, (mint_in, mint_out), spent, paid),
            writes=writes,
            compute_units=fixed_units((mint_in, mint_out))
            + units_on_the_way(handed.opened, len(trace.crossed), len(trace.fills)),
            logs=("Program log: Instruction: SwapV2", _event_log(swap, record, used, amount_out, transfer_fees)),
        )


def _error(name: str) -> ProgramError:
    return ProgramError(_NUMBERS[name], name, _MESSAGES[name])


def _arguments(data: bytes) -> tuple[int, int, int | None]:
    """What goes in, the least that comes out, and the price to stop at, if any."""
    if not data.startswith(SWAP_V2_DISCRIMINATOR):
        raise anchor.anchor_error(anchor.INSTRUCTION_FALLBACK_NOT_FOUND)
    if len(data) < SWAP_V2.size:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    _, amount, minimum_out, limit, is_base_input = SWAP_V2.unpack_from(data)
    if data[SWAP_V2.size - 1] > 1 or not is_base_input:
        raise anchor.anchor_error(anchor.INSTRUCTION_DID_NOT_DESERIALIZE)
    return amount, minimum_out, None if limit == NO_PRICE_LIMIT else int.from_bytes(limit, "little")


def _checked(metas: tuple[AccountMeta, ...], accounts: anchor.Accounts) -> _SwapV2Accounts:
    """The instruction's accounts, checked as Anchor does: first each for itself, then the constraints, in order."""
    if len(metas) < FIXED_ACCOUNTS:
        raise anchor.anchor_error(anchor.ACCOUNT_NOT_ENOUGH_KEYS)
    swap = _SwapV2Accounts._make(metas[:FIXED_ACCOUNTS])
    anchor.check_signer(swap.payer)
    anchor.account_data(accounts, swap.config.pubkey, PROGRAM_ID, CONFIG_DISCRIMINATOR, CONFIG_LENGTH)
    state = anchor.loader_data(accounts, swap.pool.pubkey, PROGRAM_ID, POOL_DISCRIMINATOR, POOL_LENGTH)
    _, _, input_vault, output_vault = (
        anchor.token_account(accounts, meta.pubkey)
        for meta in (swap.input_account, swap.output_account, swap.input_vault, swap.output_vault)
    )
    anchor.loader_data(accounts, swap.observation.pubkey, PROGRAM_ID, OBSERVATION_DISCRIMINATOR, OBSERVATION_LENGTH)
    programs = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM, MEMO_PROGRAM)
    for meta, program in zip((swap.token_program, swap.token_program_2022, swap.memo_program), programs, strict=True):
        if meta.pubkey != program:
            raise anchor.anchor_error(anchor.INVALID_PROGRAM_ID)
    anchor.mint(accounts, swap.input_mint.pubkey)
    anchor.mint(accounts, swap.output_mint.pubkey)
    pool = ClmmPoolState.decode(PROGRAM_ID, state)
    anchor.check_address(swap.config, Pubkey(pool.config))
    written = (swap.pool, swap.input_account, swap.output_account, swap.input_vault, swap.output_vault)
    anchor.check_mutable(*written, swap.observation)
    anchor.check_address(swap.observation, Pubkey(pool.observation))
    anchor.check_address(swap.input_mint, input_vault.mint)
    anchor.check_address(swap.output_mint, output_vault.mint)
    return swap


class _HandedOver:
    """The tick arrays and the bitmap extension as the program takes them off the remaining accounts.

    Anything of another length ends the list. Arrays are taken in order; those that are passed over are gone.
    """

    def __init__(
        self,
        pool: Pubkey,
        metas: Sequence[AccountMeta],
        accounts: anchor.Accounts,
        state: ClmmPoolState,
        zero_for_one: bool,
    ) -> None:
        self._pool, self._accounts, self._state = pool, accounts, state
        self._waiting: list[Pubkey] = []
        self.extension: Pubkey | None = None
        self.taken: dict[int, Pubkey] = {}
        for meta in metas:
            account = accounts.get(meta.pubkey)
            length = 0 if account is None else len(account.data)
            if length == TICK_ARRAY_LENGTH:
                anchor.loader_data(accounts, meta.pubkey, PROGRAM_ID, TICK_ARRAY_DISCRIMINATOR, TICK_ARRAY_LENGTH)
                if not meta.is_writable:
                    raise anchor.anchor_error(anchor.ACCOUNT_NOT_MUTABLE)
                self._waiting.append(meta.pubkey)
            elif length == BITMAP_EXTENSION_LENGTH:
                anchor.loader_data(
                    accounts, meta.pubkey, PROGRAM_ID, BITMAP_EXTENSION_DISCRIMINATOR, BITMAP_EXTENSION_LENGTH
                )
                self.extension = meta.pubkey
            else:
                break
        self.bitmap = TickArrayBitmap.build(
            state,
            0 if self.extension is None else extension_bits(PROGRAM_ID, accounts[self.extension].data, pool),
        )
        self._zero_for_one = zero_for_one

    @property
    def opened(self) -> int:
        """How many arrays the swap has come to."""
        return len(self.taken)

    def check_first(self) -> None:
        """Raises ProgramError where no array lies in the direction, or the first that does was not handed over."""
        current = array_number(self._state.tick, self._state.tick_spacing)
        if self.extension is None and not self.bitmap.covers(current):
            raise _error("MissingTickArrayBitmapExtensionAccount")
        number = self.bitmap.first(current, self._zero_for_one)
        if number is None:
            raise self.exhausted("InsufficientLiquidityForDirection")
        if not self._waiting:
            raise _error("NotEnoughTickArrayAccount")
        if self._take(number) is None:
            raise _error("InvalidFirstTickArrayAccount")

    def ticks(self, number: int) -> Sequence[Tick]:
        address = self.taken.get(number) or self._take(number)
        if address is None:
            raise _error("NotEnoughTickArrayAccount")
        start = array_start(number, self._state.tick_spacing)
        return ticks_of(PROGRAM_ID, self._accounts[address].data, self._pool, start)

    def exhausted(self, name: str) -> ProgramError:
        """What the program says where it finds no further array: without the extension, that this is missing."""
        if self.extension is None and self._state.tick_spacing < _SPACING_WITHOUT_EXTENSION:
            return _error("MissingTickArrayBitmapExtensionAccount")
        return _error(name)

    def _take(self, number: int) -> Pubkey | None:
        start = array_start(number, self._state.tick_spacing).to_bytes(4, "little", signed=True)
        while self._waiting:
            address = self._waiting.pop(0)
            data = self._accounts[address].data
            if data[8:44] == bytes(self._pool) + start:
                self.taken[number] = address
                return address
        return None


def _trace(
    pool: ClmmPoolState,
    rates: ClmmFeeRates,
    handed: _HandedOver,
    received: int,
    limit: int | None,
    zero_for_one: bool,
    references: FeeReferences | None,
) -> tuple[SwapTrace, int]:
    """What the swap does, and how much of what it received it uses."""
    if not received:
        raise _error("ZeroAmountSpecified")
    if pool.status & STATUS_SWAP_DISABLED:
        raise _error("NotApproved")
    price_limit = limit or (MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1)
    if not (
        MIN_SQRT_PRICE < price_limit < pool.sqrt_price
        if zero_for_one
        else pool.sqrt_price < price_limit < MAX_SQRT_PRICE
    ):
        raise _error("SqrtPriceLimitOverflow")
    handed.check_first()
    ladder = TickLadder(pool, rates.trade, handed.bitmap, handed.ticks, zero_for_one, references, price_limit)
    try:
        try:
            return ladder.follow(received), received
        except PriceLimitReached:
            used = ladder.all_to_the_limit()
            if not used:
                raise _error("TooSmallInputOrOutputAmount") from None
            return ladder.follow(used), used
    except LiquidityExhausted:
        raise handed.exhausted("LiquidityInsufficient") from None
    except Unquotable:
        raise _error("CalculateOverflow") from None


def _before_transfer_fee(amount: int, mint: Mint, epoch: int) -> int:
    """The transfer of which `amount` arrives (Token-2022, `TransferFee::calculate_pre_fee_amount`)."""
    if mint.transfer_fee is None:
        return amount
    fee = mint.transfer_fee.at(epoch)
    if fee.basis_points == ONE_IN_BASIS_POINTS:
        return amount + fee.maximum_fee
    return min(-(-amount * ONE_IN_BASIS_POINTS // (ONE_IN_BASIS_POINTS - fee.basis_points)), amount + fee.maximum_fee)


def _transfers(
    swap: _SwapV2Accounts, mints: tuple[Mint, Mint], spent: int, paid: int
) -> tuple[TokenTransfer, TokenTransfer]:
    mint_in, mint_out = mints
    return (
        TokenTransfer(
            token_program=mint_in.token_program,
            source=swap.input_account.pubkey,
            mint=mint_in.address,
            destination=swap.input_vault.pubkey,
            authority=swap.payer.pubkey,
            amount=spent,
            decimals=mint_in.decimals,
        ),
        TokenTransfer(
            token_program=mint_out.token_program,
            source=swap.output_vault.pubkey,
            mint=mint_out.address,
            destination=swap.output_account.pubkey,
            authority=swap.pool.pubkey,
            amount=paid,
            decimals=mint_out.decimals,
        ),
    )


def _writes(
    swap: _SwapV2Accounts,
    handed: _HandedOver,
    accounts: anchor.Accounts,
    record: ClmmSwapRecord,
    clock: ChainClock,
) -> dict[Pubkey, bytes]:
    pool_data = accounts[swap.pool.pubkey].data
    writes: dict[Pubkey, bytes] = {}
    emptied = []
    for number in record.arrays:
        address = handed.taken[number]
        data = tick_array_after(accounts[address].data, number, record, pool_growths(pool_data), clock)
        writes[address] = data
        if not has_ticks(data):
            emptied.append(number)
    writes[swap.pool.pubkey] = pool_after(pool_data, record, emptied, clock)
    if handed.extension is not None and (data := accounts[handed.extension].data) != (
        changed := extension_after(data, emptied)
    ):
        writes[handed.extension] = changed
    if record.trace.after.tick != record.pool.tick:
        address = swap.observation.pubkey
        writes[address] = observation_after(accounts[address].data, record.pool.tick, clock.unix_timestamp)
    return writes


def _event_log(
    swap: _SwapV2Accounts, record: ClmmSwapRecord, used: int, amount_out: int, transfer_fees: tuple[int, int]
) -> str:
    """The log line of states/pool.rs `SwapEvent`."""
    in_and_out = (used, transfer_fees[0], amount_out, transfer_fees[1])
    accounts = swap.input_account.pubkey, swap.output_account.pubkey
    amounts = in_and_out if record.zero_for_one else in_and_out[2:] + in_and_out[:2]
    fee, after = sum(fill.fee for fill in record.trace.fills), record.trace.after
    event = _SWAP_EVENT + _SWAP_EVENT_FIELDS.pack(
        bytes(swap.pool.pubkey),
        bytes(swap.payer.pubkey),
        *map(bytes, accounts if record.zero_for_one else accounts[::-1]),
        *amounts,
        record.zero_for_one,
        after.sqrt_price.to_bytes(16, "little"),
        after.liquidity.to_bytes(16, "little"),
        after.tick,
        *((fee, 0) if record.fee_side == 0 else (0, fee)),
    )
    return f"Program data: {base64.b64encode(event).decode()}"

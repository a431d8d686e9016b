"""Raydium CPMM as a venue: constant product pools decoded and checked, exact quotes, swap_base_input.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src. Amounts are base units, rates millionths. Where the bytes are
is in layout.py, what a swap computes in math.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint, TransferFeeConfig
from chalicelib.venues.pool_accounts import InvalidAccount, decoded, tradable_mint, vault_amount
from chalicelib.venues.raydium_addresses import usual_pools
from chalicelib.venues.raydium_cpmm.instruction import SwapBaseInput, decode_swap
from chalicelib.venues.raydium_cpmm.layout import (
    AUTHORITY,
    MINTS_OFFSET,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
    FeeRates,
    PoolState,
)
from chalicelib.venues.raydium_cpmm.math import (
    SwapOutcome,
    is_creator_fee_on_input,
    shares_of_trade_fee,
    traded_on_curve,
)
from chalicelib.venues.raydium_cpmm.refusals import (
    EMPTY_SUPPLY,
    INSUFFICIENT_VAULT,
    NOT_APPROVED,
    REFUSALS,
    REQUIRE_GT_VIOLATED,
    CpmmSwapRefused,
)
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "raydium-cpmm", "raydium"
STATUS_SWAP_DISABLED = 1 << 2

# Measured on the program: 33.2k to 33.7k with two SPL tokens; a Token-2022 side costs up to 5.6k more.
_COMPUTE_UNITS = 34_000
_COMPUTE_UNITS_TOKEN_2022 = 6_000
# How often a swap rounds: both fees, both transfer fees, the curve.
_ROUNDINGS = 5

_AUTHORITY_BYTES = bytes(AUTHORITY)
_U64_MAX = (1 << 64) - 1


@dataclass(slots=True)
class _CpmmTerms:
    """All of a swap that depends on its direction alone. No tuple: a quote reads all of it, and slots are faster."""

    refused_for: int | None  # the program's code, where it takes no swap at all
    input_fees: TransferFeeConfig | None
    output_fees: TransferFeeConfig | None
    reserve_in: int
    reserve_out: int
    creator_fee_on_input: bool
    room: int  # that the vault has for the input
    mint_out: Pubkey
    compute_units: int


@dataclass(slots=True, eq=False)
class RaydiumCpmmPool:
    """One pool. Pairs are in the order token 0, token 1. `creator_fee_rate` is 0 where the pool has it switched off."""

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    config: Pubkey
    observation: Pubkey
    mints: tuple[Mint, Mint]
    vaults: tuple[Pubkey, Pubkey]
    vault_amounts: tuple[int, int]
    # What the vaults hold beyond the protocol, fund and creator fees they owe: what the curve trades against.
    reserves: tuple[int, int]
    trade_fee_rate: int
    protocol_fee_rate: int
    fund_fee_rate: int
    creator_fee_rate: int
    creator_fee_on: int
    status: int
    open_time: int
    # For token 0 in and for token 1 in.
    _terms: tuple[_CpmmTerms, _CpmmTerms] = field(init=False)

    def __post_init__(self) -> None:
        self._terms = self._terms_of(0), self._terms_of(1)

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        return token_sides(self.mints, self.vaults)

    @property
    def compute_units(self) -> int:
        """What a swap is expected to burn."""
        mint_0, mint_1 = self.mints
        token_2022_sides = (mint_0.token_program == TOKEN_2022_PROGRAM) + (mint_1.token_program == TOKEN_2022_PROGRAM)
        return _COMPUTE_UNITS + token_2022_sides * _COMPUTE_UNITS_TOKEN_2022

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Output base units per input base unit at the margin, before fees. Raises InsufficientLiquidity when empty."""
        side = side_of(mint_in, self.mints, self.address)
        reserve_in, reserve_out = self.reserves[side], self.reserves[1 - side]
        if reserve_in <= 0 or reserve_out <= 0:
            raise CpmmSwapRefused(EMPTY_SUPPLY).execution_error(self.address)
        return Fraction(reserve_out, reserve_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap_base_input pays for `amount_in`; `fee` sums all fees in input tokens. Raises as `Pool.quote`."""
        side = side_of(mint_in, self.mints, self.address)
        if not 0 < amount_in <= _U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        terms = self._terms[side]
        try:
            input_transfer_fee, trade_fee, creator_fee, vault_out, output_transfer_fee = self._traded(
                terms, amount_in, clock
            )
        except CpmmSwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        if amount_in - input_transfer_fee > terms.room:
            raise InsufficientLiquidity(f"Raydium CPMM pool {self.address}: the vault can't hold this much")
        return new_record(
            PoolQuote,
            (
                self.address,
                mint_in,
                terms.mint_out,
                amount_in,
                vault_out - output_transfer_fee,
                trade_fee + creator_fee if terms.creator_fee_on_input else trade_fee,
                mint_in,
                (),
                terms.compute_units,
                (),
                0,
            ),
        )

    def swap(self, side_in: int, amount_in: int, clock: ChainClock) -> SwapOutcome:
        """All effects of swap_base_input on tokens and fees; `side_in` 0 or 1 says which token comes in.

        Shared with the program's emulation. Raises SwapRefused with the program's code, in the order of the program's
        own checks.
        """
        terms = self._terms[side_in]
        input_transfer_fee, trade_fee, creator_fee, vault_out, output_transfer_fee = self._traded(
            terms, amount_in, clock
        )
        return SwapOutcome(
            amount_in,
            input_transfer_fee,
            trade_fee,
            *shares_of_trade_fee(trade_fee, self.protocol_fee_rate, self.fund_fee_rate),
            creator_fee,
            terms.creator_fee_on_input,
            vault_out,
            output_transfer_fee,
        )

    def _traded(self, terms: _CpmmTerms, amount_in: int, clock: ChainClock) -> tuple[int, int, int, int, int]:
        """The input's transfer fee, trade fee, creator fee, what leaves the vault, the transfer fee of that.

        Raises SwapRefused. Source: instructions/swap_base_input.rs.
        """
        if self.status & STATUS_SWAP_DISABLED or clock.unix_timestamp < self.open_time:
            raise CpmmSwapRefused(NOT_APPROVED)
        input_fees, output_fees = terms.input_fees, terms.output_fees
        input_transfer_fee = 0 if input_fees is None else input_fees.fee(amount_in, clock.epoch)
        amount = amount_in - input_transfer_fee
        if amount <= 0:
            raise CpmmSwapRefused(REQUIRE_GT_VIOLATED)
        if terms.refused_for is not None:
            raise CpmmSwapRefused(terms.refused_for)
        trade_fee, creator_fee, vault_out = traded_on_curve(
            amount,
            terms.reserve_in,
            terms.reserve_out,
            self.trade_fee_rate,
            self.creator_fee_rate,
            terms.creator_fee_on_input,
        )
        output_transfer_fee = 0 if output_fees is None else output_fees.fee(vault_out, clock.epoch)
        if vault_out <= output_transfer_fee:
            raise CpmmSwapRefused(REQUIRE_GT_VIOLATED)
        return input_transfer_fee, trade_fee, creator_fee, vault_out, output_transfer_fee

    def _terms_of(self, side_in: int) -> _CpmmTerms:
        """Source: states/pool.rs `vault_amount_without_fee`."""
        reserve_in, reserve_out = self.reserves[side_in], self.reserves[1 - side_in]
        refused_for, creator_fee_on_input = None, False
        if reserve_in <= 0 or reserve_out <= 0:
            # At exactly zero the program divides by zero and panics, which has no code: the nearest stands for it.
            refused_for = INSUFFICIENT_VAULT if reserve_in < 0 or reserve_out < 0 else EMPTY_SUPPLY
        else:
            try:
                creator_fee_on_input = is_creator_fee_on_input(self.creator_fee_on, side_in)
            except CpmmSwapRefused as refusal:
                refused_for = refusal.code
        mint_in, mint_out = self.mints[side_in], self.mints[1 - side_in]
        return _CpmmTerms(
            refused_for,
            mint_in.transfer_fee,
            mint_out.transfer_fee,
            reserve_in,
            reserve_out,
            creator_fee_on_input,
            _U64_MAX - self.vault_amounts[side_in],
            mint_out.address,
            self.compute_units,
        )

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: a constant product of what is left after fees at fixed rates."""
        side = side_of(mint_in, self.mints, self.address)
        mints = self.mints[side], self.mints[1 - side]
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, _ROUNDINGS)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap_base_input of the quoted amount. Raises ValueError for a quote of another pair."""
        side = side_of(quote.mint_in, self.mints, self.address)
        mint_in, mint_out = self.mints[side], self.mints[1 - side]
        return SwapBaseInput(
            pool=self.address,
            config=self.config,
            observation=self.observation,
            trader=trader,
            source=source,
            destination=destination,
            vaults=(self.vaults[side], self.vaults[1 - side]),
            tokens=(
                TokenMint(mint_in.address, mint_in.token_program),
                TokenMint(mint_out.address, mint_out.token_program),
            ),
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()


class RaydiumCpmmVenue:
    """The CPMM program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(POOL_LENGTH, POOL_DISCRIMINATOR, MINTS_OFFSET, mints_in_order=True)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """One for each of the first configs; a pool may also be at an address of its creator's choice."""
        return usual_pools(PROGRAM_ID, mint_a, mint_b)

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """When it opens, which is later than its creation (instructions/initialize.rs). 0 on pools of before that."""
        return _pool_state(pool, accounts).open_time or None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """Token 0 and 1, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        state = _pool_state(pool, accounts)
        return Pubkey(state.mint_0), Pubkey(state.mint_1)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; with it, its config, vaults and mints. Raises VenueUnavailable if it isn't one."""
        if pool not in accounts:
            return frozenset((pool,))
        state = _pool_state(pool, accounts)
        named = (state.config, state.vault_0, state.vault_1, state.mint_0, state.mint_1)
        return frozenset((pool, *map(Pubkey, named)))

    def decode(self, pool: Pubkey, accounts: AccountMap) -> RaydiumCpmmPool:
        """The pool, checked: owners, discriminators, lengths; its config, vaults and observation are where the program
        derives them, its vaults hold its mints for the program's authority, its mints are of the programs it names.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        state = _pool_state(pool, accounts)
        try:
            state.check_addresses(pool)
        except InvalidAccount as error:
            raise VenueUnavailable(f"{pool}: {error}") from error
        config = Pubkey(state.config)
        rates = _fee_rates(config, accounts)
        mint_0, mint_1 = tradable_mint(Pubkey(state.mint_0), accounts), tradable_mint(Pubkey(state.mint_1), accounts)
        vault_0, vault_1 = Pubkey(state.vault_0), Pubkey(state.vault_1)
        amounts = (
            vault_amount(vault_0, accounts, state.mint_0, _AUTHORITY_BYTES),
            vault_amount(vault_1, accounts, state.mint_1, _AUTHORITY_BYTES),
        )
        token_programs = bytes(mint_0.token_program), bytes(mint_1.token_program)
        if token_programs != (state.token_program_0, state.token_program_1):
            raise VenueUnavailable(f"pool {pool} names other token programs than its mints'")
        return RaydiumCpmmPool(
            address=pool,
            config=config,
            observation=Pubkey(state.observation),
            mints=(mint_0, mint_1),
            vaults=(vault_0, vault_1),
            vault_amounts=amounts,
            reserves=(
                amounts[0] - state.protocol_fees_0 - state.fund_fees_0 - state.creator_fees_0,
                amounts[1] - state.protocol_fees_1 - state.fund_fees_1 - state.creator_fees_1,
            ),
            trade_fee_rate=rates.trade,
            protocol_fee_rate=rates.protocol,
            fund_fee_rate=rates.fund,
            creator_fee_rate=rates.creator if state.enable_creator_fee else 0,
            creator_fee_on=state.creator_fee_on,
            status=state.status,
            open_time=state.open_time,
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _pool_state(pool: Pubkey, accounts: AccountMap) -> PoolState:
    return decoded(pool, accounts, lambda account: PoolState.decode(account.owner, account.data))


def _fee_rates(config: Pubkey, accounts: AccountMap) -> FeeRates:
    return decoded(config, accounts, lambda account: FeeRates.decode(config, account.owner, account.data))

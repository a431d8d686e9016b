"""Raydium CPMM as a venue: constant product pools decoded and checked, exact quotes, swap_base_input.

Source: raydium-io/raydium-cp-swap, programs/cp-swap/src. Amounts are base units, rates millionths. Where the bytes are
is in layout.py, what a swap computes in math.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint
from chalicelib.venues.pool_accounts import InvalidAccount, existing_account, tradable_mint, vault_amount
from chalicelib.venues.raydium_cpmm.instruction import SwapBaseInput, decode_swap
from chalicelib.venues.raydium_cpmm.layout import AUTHORITY, PROGRAM_ID, FeeRates, PoolState
from chalicelib.venues.raydium_cpmm.math import (
    FEE_RATE_DENOMINATOR,
    SwapOutcome,
    is_creator_fee_on_input,
    traded_on_curve,
)
from chalicelib.venues.raydium_cpmm.refusals import (
    EMPTY_SUPPLY,
    INSUFFICIENT_VAULT,
    NOT_APPROVED,
    REFUSALS,
    REQUIRE_GT_VIOLATED,
    SwapRefused,
)
from chalicelib.venues.venue import PoolQuote, TokenSide

PROGRAM, DEX = "raydium-cpmm", "raydium"
STATUS_SWAP_DISABLED = 1 << 2

# Measured on the program: 33.2k to 33.7k with two SPL tokens; a Token-2022 side costs up to 5.6k more.
_COMPUTE_UNITS = 34_000
_COMPUTE_UNITS_TOKEN_2022 = 6_000

_AUTHORITY_BYTES = bytes(AUTHORITY)
_U64_MAX = (1 << 64) - 1


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

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        (mint_0, mint_1), (vault_0, vault_1) = self.mints, self.vaults
        return (
            TokenSide(mint_0.address, mint_0.token_program, mint_0.decimals, vault_0),
            TokenSide(mint_1.address, mint_1.token_program, mint_1.decimals, vault_1),
        )

    @property
    def compute_units(self) -> int:
        """What a swap is expected to burn."""
        mint_0, mint_1 = self.mints
        token_2022_sides = (mint_0.token_program == TOKEN_2022_PROGRAM) + (mint_1.token_program == TOKEN_2022_PROGRAM)
        return _COMPUTE_UNITS + token_2022_sides * _COMPUTE_UNITS_TOKEN_2022

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Output base units per input base unit at the margin, before fees. Raises InsufficientLiquidity when empty."""
        side = self._side(mint_in)
        reserve_in, reserve_out = self.reserves[side], self.reserves[1 - side]
        if reserve_in <= 0 or reserve_out <= 0:
            raise SwapRefused(EMPTY_SUPPLY).execution_error(self.address)
        return Fraction(reserve_out, reserve_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap_base_input pays for `amount_in`; `fee` sums all fees in input tokens. Raises as `Pool.quote`."""
        side = self._side(mint_in)
        if not 0 < amount_in <= _U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        try:
            outcome = self.swap(side, amount_in, clock)
        except SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        if self.vault_amounts[side] + amount_in - outcome.input_transfer_fee > _U64_MAX:
            raise InsufficientLiquidity(f"Raydium CPMM pool {self.address}: the vault can't hold this much")
        mint_out = self.mints[1 - side].address
        return PoolQuote(
            pool=self.address,
            mint_in=mint_in,
            mint_out=mint_out,
            amount_in=amount_in,
            amount_out=outcome.vault_out - outcome.output_transfer_fee,
            fee=outcome.trade_fee + (outcome.creator_fee if outcome.creator_fee_on_input else 0),
            fee_mint=mint_in,
            compute_units=self.compute_units,
        )

    def swap(self, side_in: int, amount_in: int, clock: ChainClock) -> SwapOutcome:
        """All effects of swap_base_input on tokens and fees; `side_in` 0 or 1 says which token comes in.

        The inner half of `quote`, shared with the program's emulation.
        Raises SwapRefused with the program's code, in the order of the program's own checks.
        Source: instructions/swap_base_input.rs; states/pool.rs `vault_amount_without_fee`.
        """
        if self.status & STATUS_SWAP_DISABLED or clock.unix_timestamp < self.open_time:
            raise SwapRefused(NOT_APPROVED)
        fee_config = self.mints[side_in].transfer_fee
        input_transfer_fee = 0 if fee_config is None else fee_config.fee(amount_in, clock.epoch)
        amount = amount_in - input_transfer_fee
        if amount <= 0:
            raise SwapRefused(REQUIRE_GT_VIOLATED)

        reserve_in, reserve_out = self.reserves[side_in], self.reserves[1 - side_in]
        if reserve_in <= 0 or reserve_out <= 0:
            # At exactly zero the program divides by zero and panics, which has no code: the nearest stands for it.
            raise SwapRefused(INSUFFICIENT_VAULT if reserve_in < 0 or reserve_out < 0 else EMPTY_SUPPLY)
        creator_fee_on_input = is_creator_fee_on_input(self.creator_fee_on, side_in)
        trade_fee, creator_fee, vault_out = traded_on_curve(
            amount, reserve_in, reserve_out, self.trade_fee_rate, self.creator_fee_rate, creator_fee_on_input
        )

        fee_config = self.mints[1 - side_in].transfer_fee
        output_transfer_fee = 0 if fee_config is None else fee_config.fee(vault_out, clock.epoch)
        if vault_out <= output_transfer_fee:
            raise SwapRefused(REQUIRE_GT_VIOLATED)
        return SwapOutcome(
            amount_in,
            input_transfer_fee,
            trade_fee,
            trade_fee * self.protocol_fee_rate // FEE_RATE_DENOMINATOR,
            trade_fee * self.fund_fee_rate // FEE_RATE_DENOMINATOR,
            creator_fee,
            creator_fee_on_input,
            vault_out,
            output_transfer_fee,
        )

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap_base_input of the quoted amount. Raises ValueError for a quote of another pair."""
        side = self._side(quote.mint_in)
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

    def _side(self, mint: Pubkey) -> int:
        if mint == self.mints[0].address:
            return 0
        if mint == self.mints[1].address:
            return 1
        raise ValueError(f"{mint} is not a token of pool {self.address}")


class RaydiumCpmmVenue:
    """The CPMM program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)

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
    account = existing_account(pool, accounts)
    try:
        return PoolState.decode(account.owner, account.data)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{pool}: {error}") from error


def _fee_rates(config: Pubkey, accounts: AccountMap) -> FeeRates:
    account = existing_account(config, accounts)
    try:
        return FeeRates.decode(config, account.owner, account.data)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{config}: {error}") from error

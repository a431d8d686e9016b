"""Raydium AMM v4 as a venue: constant product pools decoded and checked, exact quotes, SwapBaseInV2.

Source: raydium-io/raydium-amm, program/src. Amounts are base units; "coin" and "pc" are the program's names for a
pool's two tokens. Where the bytes are is in layout.py, what a swap computes in math.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.pool_accounts import decoded, tradable_mint, vault_amount
from chalicelib.venues.raydium_amm_v4.instruction import SwapBaseInV2, decode_swap
from chalicelib.venues.raydium_amm_v4.layout import (
    AMM_INFO_LENGTH,
    AUTHORITY,
    MINTS_OFFSET,
    PROGRAM_ID,
    STATUS_SWAP_ONLY,
    STATUS_WAITING_TRADE,
    AmmInfo,
)
from chalicelib.venues.raydium_amm_v4.math import traded
from chalicelib.venues.raydium_amm_v4.refusals import (
    CHECKED_SUB_OVERFLOW,
    INSUFFICIENT_FUNDS,
    INVALID_FEE,
    INVALID_INPUT,
    INVALID_STATUS,
    REFUSALS,
    AmmV4SwapRefused,
)
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "raydium-amm-v4", "raydium"

# Measured on the program: 21.1k to 25.9k, the more the longer the numbers that it logs.
COMPUTE_UNITS = 27_000
# How often a swap rounds: the fee, the curve.
_ROUNDINGS = 2

_AUTHORITY_BYTES = bytes(AUTHORITY)
_U64_MAX = (1 << 64) - 1


@dataclass(slots=True, eq=False)
class RaydiumAmmV4Pool:
    """One pool. Pairs are in the order coin, pc."""

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    mints: tuple[Mint, Mint]
    vaults: tuple[Pubkey, Pubkey]
    vault_amounts: tuple[int, int]
    # What the vaults hold beyond the profit that they owe: what the curve trades against.
    reserves: tuple[int, int]
    swap_fee_numerator: int
    swap_fee_denominator: int
    status: int
    open_time: int

    @classmethod
    def of(cls, address: Pubkey, info: AmmInfo, mints: tuple[Mint, Mint], vault_amounts: tuple[int, int]) -> Self:
        """The pool at `address` with what it and its vaults say; nothing is checked. Shared with the emulation."""
        coin_amount, pc_amount = vault_amounts
        return cls(
            address=address,
            mints=mints,
            vaults=(Pubkey(info.coin_vault), Pubkey(info.pc_vault)),
            vault_amounts=vault_amounts,
            reserves=(coin_amount - info.need_take_pnl_coin, pc_amount - info.need_take_pnl_pc),
            swap_fee_numerator=info.swap_fee_numerator,
            swap_fee_denominator=info.swap_fee_denominator,
            status=info.status,
            open_time=info.pool_open_time,
        )

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        return token_sides(self.mints, self.vaults)

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Output base units per input base unit at the margin, before the fee. Raises InsufficientLiquidity."""
        side = side_of(mint_in, self.mints, self.address)
        reserve_in, reserve_out = self.reserves[side], self.reserves[1 - side]
        if reserve_in <= 0 or reserve_out <= 0:
            raise AmmV4SwapRefused(INSUFFICIENT_FUNDS).execution_error(self.address)
        return Fraction(reserve_out, reserve_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What SwapBaseInV2 pays for `amount_in`. Raises as `Pool.quote`."""
        side = side_of(mint_in, self.mints, self.address)
        if not 0 < amount_in <= _U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        try:
            fee, amount_out = self.swap(side, amount_in, clock)
        except AmmV4SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        if self.vault_amounts[side] + amount_in > _U64_MAX:
            raise InsufficientLiquidity(f"Raydium AMM v4 pool {self.address}: the vault can't hold this much")
        mint_out = self.mints[1 - side].address
        return new_record(
            PoolQuote,
            (self.address, mint_in, mint_out, amount_in, amount_out, fee, mint_in, (), COMPUTE_UNITS, (), 0),
        )

    def swap(self, side_in: int, amount_in: int, clock: ChainClock) -> tuple[int, int]:
        """The fee in input tokens, and what leaves the other vault; `side_in` 0 says that the coin comes in, 1 the pc.

        The inner half of `quote`, shared with the program's emulation.
        Pools that make a market on an order book besides (status 1 and 5) take no SwapBaseInV2, whatever lies there.
        The release of July 2026, without order books, takes those of status 1; no account tells which release runs.
        Raises SwapRefused with the program's code, in the order of the program's own checks.
        Source: processor.rs `process_swap_base_in_v2`, as of September 2025.
        """
        status = self.status
        if status == STATUS_WAITING_TRADE:
            if clock.unix_timestamp < self.open_time:
                raise AmmV4SwapRefused(INVALID_STATUS)
        elif status != STATUS_SWAP_ONLY:
            raise AmmV4SwapRefused(INVALID_STATUS)
        reserve_in, reserve_out = self.reserves[side_in], self.reserves[1 - side_in]
        if reserve_in < 0 or reserve_out < 0:
            raise AmmV4SwapRefused(CHECKED_SUB_OVERFLOW)
        if not 0 <= self.swap_fee_numerator <= self.swap_fee_denominator or not self.swap_fee_denominator:
            raise AmmV4SwapRefused(INVALID_FEE)
        if not amount_in:
            raise AmmV4SwapRefused(INVALID_INPUT)
        return traded(amount_in, reserve_in, reserve_out, self.swap_fee_numerator, self.swap_fee_denominator)

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: a constant product of what is left after a fee at a fixed rate."""
        side = side_of(mint_in, self.mints, self.address)
        mints = self.mints[side], self.mints[1 - side]
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, _ROUNDINGS)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """SwapBaseInV2 of the quoted amount. Raises ValueError for a quote of another pair."""
        side_of(quote.mint_in, self.mints, self.address)
        return SwapBaseInV2(
            pool=self.address,
            vaults=self.vaults,
            trader=trader,
            source=source,
            destination=destination,
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()


class RaydiumAmmV4Venue:
    """The AMM v4 program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(AMM_INFO_LENGTH, b"", MINTS_OFFSET)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """None: a pool's address comes from its order book's market."""
        return ()

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """None: a pool may say that it opened long before it was made."""
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """Coin and pc, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        info = _amm_info(pool, accounts)
        return Pubkey(info.coin_mint), Pubkey(info.pc_mint)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; with it, its vaults and mints. Raises VenueUnavailable if it isn't one."""
        if pool not in accounts:
            return frozenset((pool,))
        info = _amm_info(pool, accounts)
        named = (info.coin_vault, info.pc_vault, info.coin_mint, info.pc_mint)
        return frozenset((pool, *map(Pubkey, named)))

    def decode(self, pool: Pubkey, accounts: AccountMap) -> RaydiumAmmV4Pool:
        """The pool, checked: owner and length; its vaults hold its mints for the program's authority; its mints are of
        the SPL Token program, the only one that this program calls.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        info = _amm_info(pool, accounts)
        coin, pc = tradable_mint(Pubkey(info.coin_mint), accounts), tradable_mint(Pubkey(info.pc_mint), accounts)
        if (coin.token_program, pc.token_program) != (TOKEN_PROGRAM, TOKEN_PROGRAM):
            raise VenueUnavailable(f"pool {pool} has a mint that is not of the SPL Token program")
        coin_vault, pc_vault = Pubkey(info.coin_vault), Pubkey(info.pc_vault)
        coin_amount = vault_amount(coin_vault, accounts, info.coin_mint, _AUTHORITY_BYTES)
        pc_amount = vault_amount(pc_vault, accounts, info.pc_mint, _AUTHORITY_BYTES)
        return RaydiumAmmV4Pool.of(pool, info, (coin, pc), (coin_amount, pc_amount))

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _amm_info(pool: Pubkey, accounts: AccountMap) -> AmmInfo:
    return decoded(pool, accounts, lambda account: AmmInfo.decode(account.owner, account.data))

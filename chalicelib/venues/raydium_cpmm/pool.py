"""Raydium CPMM: constant product pools, from raw accounts to an exact quote and the swap instruction.

Facts: raydium-io/raydium-cp-swap, programs/cp-swap/src. Amounts are base units, rates millionths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    VenueUnavailable,
)
from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.token_accounts import Token
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, InvalidTokenDataError, Mint, spendable_amount
from chalicelib.venues.raydium_cpmm.instruction import AUTHORITY as AUTHORITY
from chalicelib.venues.raydium_cpmm.instruction import PROGRAM_ID as PROGRAM_ID
from chalicelib.venues.raydium_cpmm.instruction import (
    SwapBaseInput,
    config_address,
    decode_swap,
    observation_address,
    vault_address,
)
from chalicelib.venues.venue import PoolQuote, TokenSide

_AUTHORITY_BYTES = bytes(AUTHORITY)
NAME = "raydium"

# The first eight bytes of SHA-256 of "account:PoolState" and so on: Anchor's way of telling accounts apart.
POOL_DISCRIMINATOR = bytes.fromhex("f7ede3f5d7c3de46")
CONFIG_DISCRIMINATOR = bytes.fromhex("daf42168cbcb2b6f")

FEE_RATE_DENOMINATOR = 1_000_000
STATUS_SWAP_DISABLED = 1 << 2
CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0, CREATOR_FEE_ON_TOKEN_1 = range(3)

POOL_LENGTH = 637
CONFIG_LENGTH = 236
# What _PoolState names; between them creator, LP mint, decimals, LP supply, recent_epoch.
_POOL = Struct("<8x32s32x32s32s32x32s32s32s32s32sxB3x8xQQQQQ8xB?6xQQ")
# states/config.rs AmmConfig, of which: its index, the trade, protocol, fund and creator fee rates.
_CONFIG = Struct("<10xHQQQ72xQ")

# Measured on the program: 33.2k to 33.7k with two SPL tokens; a Token-2022 side costs up to 5.6k more.
_COMPUTE_UNITS = 34_000
_COMPUTE_UNITS_TOKEN_2022 = 6_000

_U64_MAX = (1 << 64) - 1

# Custom error codes of the program (error.rs ErrorCode) and of Anchor's require_gt!.
NOT_APPROVED = 6000
EMPTY_SUPPLY = 6002
ZERO_TRADING_TOKENS = 6006
INSUFFICIENT_VAULT = 6012
INVALID_FEE_MODEL = 6013
REQUIRE_GT_VIOLATED = 2505

# What an order makes of the program's refusal to swap.
_REFUSALS: Mapping[int, tuple[type[ExecutionError], str]] = {
    NOT_APPROVED: (VenueUnavailable, "the pool is closed for swaps or not open yet"),
    EMPTY_SUPPLY: (InsufficientLiquidity, "the pool is empty"),
    ZERO_TRADING_TOKENS: (AmountTooSmall, "the fees leave nothing to trade"),
    INSUFFICIENT_VAULT: (InsufficientLiquidity, "a vault holds less than the fees it owes"),
    INVALID_FEE_MODEL: (VenueUnavailable, "the pool's creator fee follows an unknown model"),
    REQUIRE_GT_VIOLATED: (AmountTooSmall, "the output would be zero"),
}


class _PoolState(NamedTuple):
    """What a swap reads of states/pool.rs PoolState, in its order; addresses as bytes."""

    config: bytes
    vault_0: bytes
    vault_1: bytes
    mint_0: bytes
    mint_1: bytes
    token_program_0: bytes
    token_program_1: bytes
    observation: bytes
    status: int
    protocol_fees_0: int
    protocol_fees_1: int
    fund_fees_0: int
    fund_fees_1: int
    open_time: int
    creator_fee_on: int
    enable_creator_fee: bool
    creator_fees_0: int
    creator_fees_1: int


class SwapRefusedError(Exception):
    """The program would fail with this custom error code. Only the program's emulation gets to see it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def execution_error(self, pool: Pubkey) -> ExecutionError:
        """What it means to an order."""
        kind, message = _REFUSALS[self.code]
        return kind(f"Raydium CPMM pool {pool}: {message}")


class SwapOutcome(NamedTuple):
    """Everything that one swap_base_input changes, in base units."""

    amount_in: int  # leaves the trader
    input_transfer_fee: int  # of which the input mint withholds
    trade_fee: int  # in input tokens; the protocol's and the fund's fees are parts of it
    protocol_fee: int
    fund_fee: int
    creator_fee: int  # in input tokens, or in output tokens
    creator_fee_on_input: bool
    vault_out: int  # leaves the vault
    output_transfer_fee: int  # of which the output mint withholds

    @property
    def vault_in(self) -> int:
        """What arrives in the vault."""
        return self.amount_in - self.input_transfer_fee

    @property
    def amount_out(self) -> int:
        """What arrives at the trader."""
        return self.vault_out - self.output_transfer_fee


@dataclass(slots=True, eq=False)
class RaydiumCpmmPool:
    """One pool. Pairs are in the order token 0, token 1. `creator_fee_rate` is 0 where the pool has it switched off."""

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
    def venue(self) -> str:
        return NAME

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
            raise SwapRefusedError(EMPTY_SUPPLY).execution_error(self.address)
        return Fraction(reserve_out, reserve_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap_base_input pays for `amount_in`; `fee` sums all fees in input tokens. Raises as `Pool.quote`."""
        side = self._side(mint_in)
        if not 0 < amount_in <= _U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        try:
            outcome = self.swap(side, amount_in, clock)
        except SwapRefusedError as refusal:
            raise refusal.execution_error(self.address) from None
        if self.vault_amounts[side] + amount_in - outcome.input_transfer_fee > _U64_MAX:
            raise InsufficientLiquidity(f"Raydium CPMM pool {self.address}: the vault can't hold this much")
        mint_out = self.mints[1 - side].address
        return PoolQuote(
            venue=NAME,
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
        Raises SwapRefusedError with the program's code, in the order of the program's own checks.
        Source: instructions/swap_base_input.rs; curve/calculator.rs `swap_base_input`; curve/fees.rs;
        states/pool.rs `vault_amount_without_fee`, `is_creator_fee_on_input`.
        """
        if self.status & STATUS_SWAP_DISABLED or clock.unix_timestamp < self.open_time:
            raise SwapRefusedError(NOT_APPROVED)
        fee_config = self.mints[side_in].transfer_fee
        input_transfer_fee = 0 if fee_config is None else fee_config.fee(amount_in, clock.epoch)
        amount = amount_in - input_transfer_fee
        if amount <= 0:
            raise SwapRefusedError(REQUIRE_GT_VIOLATED)

        reserve_in, reserve_out = self.reserves[side_in], self.reserves[1 - side_in]
        if reserve_in <= 0 or reserve_out <= 0:
            # At exactly zero the program divides by zero and panics, which has no code: the nearest stands for it.
            raise SwapRefusedError(INSUFFICIENT_VAULT if reserve_in < 0 or reserve_out < 0 else EMPTY_SUPPLY)
        if self.creator_fee_on > CREATOR_FEE_ON_TOKEN_1:
            raise SwapRefusedError(INVALID_FEE_MODEL)
        creator_fee_on_input = self.creator_fee_on in (CREATOR_FEE_ON_BOTH, CREATOR_FEE_ON_TOKEN_0 + side_in)

        trade_fee, creator_fee = self._input_fees(amount, creator_fee_on_input)
        traded = amount - trade_fee - creator_fee
        if traded < 0:
            raise SwapRefusedError(ZERO_TRADING_TOKENS)
        vault_out = traded * reserve_out // (reserve_in + traded)
        if not creator_fee_on_input:
            creator_fee = -(-vault_out * self.creator_fee_rate // FEE_RATE_DENOMINATOR)
            vault_out -= creator_fee

        fee_config = self.mints[1 - side_in].transfer_fee
        output_transfer_fee = 0 if fee_config is None else fee_config.fee(vault_out, clock.epoch)
        if vault_out <= output_transfer_fee:
            raise SwapRefusedError(REQUIRE_GT_VIOLATED)
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
            tokens=(Token(mint_in.address, mint_in.token_program), Token(mint_out.address, mint_out.token_program)),
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()

    def _side(self, mint: Pubkey) -> int:
        if mint == self.mints[0].address:
            return 0
        if mint == self.mints[1].address:
            return 1
        raise ValueError(f"{mint} is not a token of pool {self.address}")

    def _input_fees(self, amount: int, creator_fee_on_input: bool) -> tuple[int, int]:
        """Trade and creator fee on `amount` of input, rounded up together, then split (`Fees::split_creator_fee`)."""
        if not creator_fee_on_input:
            return -(-amount * self.trade_fee_rate // FEE_RATE_DENOMINATOR), 0
        rate = self.trade_fee_rate + self.creator_fee_rate
        if rate == 0:
            # The program divides by the sum to split the fee, and so can't trade without one.
            raise SwapRefusedError(ZERO_TRADING_TOKENS)
        total_fee = -(-amount * rate // FEE_RATE_DENOMINATOR)
        creator_fee = total_fee * self.creator_fee_rate // rate
        return total_fee - creator_fee, creator_fee


class RaydiumCpmm:
    """The swap program."""

    name = NAME
    program_id = PROGRAM_ID

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """Token 0 and 1. Raises VenueUnavailable if `pool` is no such pool, AccountsMissing where it was not read."""
        state = _pool_state(pool, accounts)
        return Pubkey(state.mint_0), Pubkey(state.mint_1)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; once it was read, its config, vaults and mints too. Raises VenueUnavailable if it isn't one."""
        if pool not in accounts:
            return frozenset((pool,))
        state = _pool_state(pool, accounts)
        named = (state.config, state.vault_0, state.vault_1, state.mint_0, state.mint_1)
        return frozenset((pool, *map(Pubkey, named)))

    def decode(self, pool: Pubkey, accounts: AccountMap) -> RaydiumCpmmPool:
        """The pool, checked: owners, discriminators, lengths; its config, vaults and observation are where the program
        derives them, its vaults hold its mints for the program's authority, its mints are of the programs it names.

        The pool's own address isn't derived: the program allows any (instructions/initialize.rs `create_pool`).
        Raises VenueUnavailable where it can't be traded, AccountsMissing where an account was not read.
        """
        state = _pool_state(pool, accounts)
        config = Pubkey(state.config)
        mint_0, mint_1 = Pubkey(state.mint_0), Pubkey(state.mint_1)
        vault_0, vault_1 = Pubkey(state.vault_0), Pubkey(state.vault_1)
        _check_addresses(pool, state)
        try:
            trade_rate, protocol_rate, fund_rate, creator_rate = _fee_rates(config, accounts[config])
            mints = (_mint(mint_0, accounts[mint_0]), _mint(mint_1, accounts[mint_1]))
            amounts = (
                _vault_amount(vault_0, accounts[vault_0], state.mint_0),
                _vault_amount(vault_1, accounts[vault_1], state.mint_1),
            )
        except KeyError:
            needed = (config, mint_0, mint_1, vault_0, vault_1)
            raise AccountsMissing(str(address) for address in needed if address not in accounts) from None
        if (bytes(mints[0].token_program), bytes(mints[1].token_program)) != (
            state.token_program_0,
            state.token_program_1,
        ):
            raise VenueUnavailable(f"Raydium CPMM: pool {pool} names other token programs than its mints'")
        return RaydiumCpmmPool(
            address=pool,
            config=config,
            observation=Pubkey(state.observation),
            mints=mints,
            vaults=(vault_0, vault_1),
            vault_amounts=amounts,
            reserves=(
                amounts[0] - state.protocol_fees_0 - state.fund_fees_0 - state.creator_fees_0,
                amounts[1] - state.protocol_fees_1 - state.fund_fees_1 - state.creator_fees_1,
            ),
            trade_fee_rate=trade_rate,
            protocol_fee_rate=protocol_rate,
            fund_fee_rate=fund_rate,
            creator_fee_rate=creator_rate if state.enable_creator_fee else 0,
            creator_fee_on=state.creator_fee_on,
            status=state.status,
            open_time=state.open_time,
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwapError."""
        return decode_swap(accounts, data)


def _pool_state(pool: Pubkey, accounts: AccountMap) -> _PoolState:
    if pool not in accounts:
        raise AccountsMissing((str(pool),))
    return _PoolState._make(_POOL.unpack_from(_program_data(pool, accounts[pool], POOL_DISCRIMINATOR, POOL_LENGTH)))


def _check_addresses(pool: Pubkey, state: _PoolState) -> None:
    """Raises VenueUnavailable unless the pool names just the accounts that the program derives from its address."""
    vault_0, vault_1, observation = _addresses_of(pool, state.mint_0, state.mint_1)
    named = state.vault_0, state.vault_1, state.observation
    # of two mints the smaller is token 0 (instructions/initialize.rs), so no pool has one mint twice
    if named != (vault_0, vault_1, observation) or state.mint_0 >= state.mint_1:
        raise VenueUnavailable(f"Raydium CPMM: pool {pool} names accounts that are not its own")


@lru_cache(maxsize=4096)
def _addresses_of(pool: Pubkey, mint_0: bytes, mint_1: bytes) -> tuple[bytes, bytes, bytes]:
    """Both vaults and the observation account."""
    vault_0, vault_1 = (bytes(vault_address(pool, Pubkey(mint))) for mint in (mint_0, mint_1))
    return vault_0, vault_1, bytes(observation_address(pool))


def _fee_rates(config: Pubkey, account: Account | None) -> tuple[int, int, int, int]:
    data = _program_data(config, account, CONFIG_DISCRIMINATOR, CONFIG_LENGTH)
    index, *rates = _CONFIG.unpack_from(data)
    if config != config_address(index):
        raise VenueUnavailable(f"Raydium CPMM: account {config} is no config of the program's")
    trade, protocol, fund, creator = rates
    return trade, protocol, fund, creator


def _program_data(address: Pubkey, account: Account | None, discriminator: bytes, length: int) -> bytes:
    if account is None:
        raise VenueUnavailable(f"Raydium CPMM: account {address} does not exist")
    data = account.data
    if account.owner != PROGRAM_ID or len(data) != length or data[:8] != discriminator:
        raise VenueUnavailable(f"Raydium CPMM: account {address} is not what the program calls it")
    return data


def _mint(address: Pubkey, account: Account | None) -> Mint:
    if account is None:
        raise VenueUnavailable(f"Raydium CPMM: mint {address} does not exist")
    try:
        mint = Mint.decode(address, account)
    except InvalidTokenDataError as error:
        raise VenueUnavailable(f"Raydium CPMM: {error}") from error
    if mint.unsupported_extensions:
        extensions = ", ".join(mint.unsupported_extensions)
        raise VenueUnavailable(f"Raydium CPMM: mint {address} can't be traded exactly: {extensions}")
    return mint


def _vault_amount(address: Pubkey, account: Account | None, mint: bytes) -> int:
    if account is None:
        raise VenueUnavailable(f"Raydium CPMM: vault {address} does not exist")
    try:
        return spendable_amount(account, mint, _AUTHORITY_BYTES)
    except InvalidTokenDataError as error:
        raise VenueUnavailable(f"Raydium CPMM: vault {address}: {error}") from error

"""Meteora DAMM v2 as a venue: pools decoded and checked, exact quotes, the swap instruction.

Source: MeteoraAg/damm-v2, programs/cp-amm/src/state/pool.rs and instructions/swap. Where the bytes are is in layout.py,
what a swap computes in math.py. Amounts are base units, fee numerators of 10^9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, NamedTuple

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint, TransferFee
from chalicelib.venues.meteora_damm_v2.instruction import DammV2Swap, decode_swap
from chalicelib.venues.meteora_damm_v2.layout import (
    AUTHORITY,
    FEE_DENOMINATOR,
    MINTS_OFFSET,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
    DammV2ActivationType,
    DammV2PoolState,
    RateLimiter,
    TimeScheduler,
    customizable_pool_address,
)
from chalicelib.venues.meteora_damm_v2.math import (
    BASIS_POINT_MAX,
    U64_MAX,
    U128_MAX,
    DammV2SwapOutcome,
    amounts_in_range,
    base_fee_numerator,
    countable_prices,
    is_limited,
    limited_fee_numerator,
    split_fee,
    sqrt_price_of,
    total_fee_numerator,
    traded_at_constant_product,
    traded_in_range,
    variable_fee_numerator,
    volatility_after,
)
from chalicelib.venues.meteora_damm_v2.refusals import (
    AMOUNT_IS_ZERO,
    MATH_OVERFLOW,
    POOL_DISABLED,
    REFUSALS,
    DammV2SwapRefused,
)
from chalicelib.venues.pool_accounts import decoded, tradable_mint, vault_amount
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "meteora-damm-v2", "meteora"

# Measured on the program, rounded up: 12.9k to 15.8k with two SPL tokens and a flat fee.
_COMPUTE_UNITS = 16_000
_COMPUTE_UNITS_TOKEN_2022 = 3_500
_COMPUTE_UNITS_COMPOUNDING = 21_000  # its price is a square root
_COMPUTE_UNITS_SCALED_FEE = 4_500  # a base fee that has to be worked out
_COMPUTE_UNITS_DYNAMIC_FEE = 7_500
_COMPUTE_UNITS_FIRST_COUNT = 5_000  # of the token amounts, where the pool doesn't have them yet
# How often a swap rounds: the fee and its rate, both transfer fees, the price that it comes to, the curve.
_ROUNDINGS = 6

_AUTHORITY_BYTES = bytes(AUTHORITY)
_PRICE_SCALE = 1 << 128
_HUNDRED_PERCENT = 100


@dataclass(slots=True)
class _DammV2Terms:
    """All of a swap that doesn't depend on its amount, at one clock and for one direction.

    No tuple: a quote reads most of it, and slots are faster.
    """

    numerator: int | None  # of all fees; None where a rate limiter is at work
    variable_numerator: int
    fee_on_input: bool
    input_fee: TransferFee | None
    output_fee: TransferFee | None
    token_amounts: tuple[int, int]  # the pool's own count of A and B
    owed: int  # protocol fees so far, in the token that the fee is of
    most_received: int  # that the pool can count, and that it has to sell
    most_bought: int
    prices: tuple[int, int] | None  # see _harmless_prices
    payable: int  # that the vaults can pay and take
    room: int
    mint_out: Pubkey
    compute_units: int


class _Sale(NamedTuple):
    """What one amount comes to, in base units."""

    received: int  # of the input, after its transfer fee
    traded: int
    fee: int
    bought: int
    vault_out: int
    sqrt_price: int  # 0 where the pool has none of its own


@dataclass(slots=True, eq=False)
class MeteoraDammV2Pool:
    """One pool. Pairs are in the order A, B."""

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    state: DammV2PoolState
    mints: tuple[Mint, Mint]
    vaults: tuple[Pubkey, Pubkey]
    # What the pool can pay out. Fees that it owes are among it, and the curve doesn't look at it.
    vault_amounts: tuple[int, int]
    # For A in and for B in, at the clock that was asked for last.
    _terms: list[tuple[ChainClock, _DammV2Terms] | None] = field(default_factory=lambda: [None, None])

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        """A and B."""
        return token_sides(self.mints, self.vaults)

    @property
    def compute_units(self) -> int:
        """What a swap is expected to burn."""
        state = self.state
        mint_a, mint_b = self.mints
        token_2022_sides = (mint_a.token_program == TOKEN_2022_PROGRAM) + (mint_b.token_program == TOKEN_2022_PROGRAM)
        scaled = type(state.base_fee) is not TimeScheduler or state.base_fee.period_frequency > 0
        return (
            _COMPUTE_UNITS
            + token_2022_sides * _COMPUTE_UNITS_TOKEN_2022
            + (_COMPUTE_UNITS_COMPOUNDING if state.compounds else 0)
            + (_COMPUTE_UNITS_DYNAMIC_FEE if state.dynamic_fee is not None else 0)
            + (_COMPUTE_UNITS_SCALED_FEE if scaled else 0)
            + (0 if state.layout_version else _COMPUTE_UNITS_FIRST_COUNT)
        )

    @property
    def has_rate_limiter(self) -> bool:
        """Whether its swaps name the instructions sysvar: the program may want to know what else a transaction does.

        While the limiter is at work, the pool takes no swap in a transaction that names the pool before. Ours never do:
        a route goes through each pool once, and nothing but a pool's own swap names it.
        """
        return type(self.state.base_fee) is RateLimiter

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Output base units per input base unit at the margin, before fees.

        Raises InsufficientLiquidity when empty, ValueError for a token of another pool.
        """
        side = side_of(mint_in, self.mints, self.address)
        state = self.state
        price = Fraction(0)
        if state.compounds:
            amount_a, amount_b = state.token_amounts
            if amount_a:
                price = Fraction(amount_b, amount_a)
        elif state.liquidity:
            price = Fraction(state.sqrt_price * state.sqrt_price, _PRICE_SCALE)
        if not price:
            raise InsufficientLiquidity(f"Meteora DAMM v2 pool {self.address}: the pool is empty")
        return price if side == 0 else 1 / price

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap pays for exactly `amount_in` base units of `mint_in`. Raises as `Pool.quote`.

        AmountTooSmall also where the program would take the input and pay nothing for it.
        """
        side = side_of(mint_in, self.mints, self.address)
        if not 0 < amount_in <= U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        try:
            terms = self._terms_at(side, clock)
            sale = self._sale(side, terms, amount_in)
            if not _is_clearly_kept(terms, sale):
                self._outcome(side, terms, amount_in, sale, clock)
        except DammV2SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        vault_out = sale.vault_out
        output_fee = terms.output_fee
        amount_out = vault_out if output_fee is None else vault_out - output_fee.fee(vault_out)
        if amount_out <= 0:
            raise AmountTooSmall(f"Meteora DAMM v2 pool {self.address} pays nothing for {amount_in} base units")
        if vault_out > terms.payable:
            raise InsufficientLiquidity(
                f"Meteora DAMM v2 pool {self.address} owes {vault_out} base units for {amount_in}; "
                f"its vault holds {terms.payable}"
            )
        if sale.received > terms.room:
            raise InsufficientLiquidity(f"Meteora DAMM v2 pool {self.address}: the vault can't hold this much")
        mint_out = terms.mint_out
        return new_record(
            PoolQuote,
            (
                self.address,
                mint_in,
                mint_out,
                amount_in,
                amount_out,
                sale.fee,
                mint_in if terms.fee_on_input else mint_out,
                (),
                terms.compute_units,
                (),
                0,
            ),
        )

    def swap(self, side_in: int, amount_in: int, clock: ChainClock) -> DammV2SwapOutcome:
        """All effects of an exact-in swap on tokens, fees and price; `side_in` 0 or 1 says whether A or B comes in.

        Shared with the program's emulation. It doesn't look at the vaults. Raises SwapRefused with the program's code.
        Source: instructions/swap/ix_p_swap.rs, swap_exact_in.rs; state/pool.rs `get_swap_result_from_exact_input`,
        `apply_swap_result`.
        """
        terms = self._terms_at(side_in, clock)
        return self._outcome(side_in, terms, amount_in, self._sale(side_in, terms, amount_in), clock)

    def _terms_at(self, side_in: int, clock: ChainClock) -> _DammV2Terms:
        """Raises SwapRefused."""
        kept = self._terms[side_in]
        # All quotes of a search are asked with one clock: looking is faster than comparing.
        if kept is not None and (kept[0] is clock or kept[0] == clock):
            return kept[1]
        terms = self._worked_out(side_in, clock)
        self._terms[side_in] = clock, terms
        return terms

    def _worked_out(self, side_in: int, clock: ChainClock) -> _DammV2Terms:
        state = self.state
        point = state.point_at(clock)
        if not state.is_open(point):
            raise DammV2SwapRefused(POOL_DISABLED)
        amounts = state.token_amounts
        if not state.layout_version and not state.compounds:
            amounts = amounts_in_range(state)
        base_fee = state.base_fee
        variable = variable_fee_numerator(state.dynamic_fee)
        numerator = None
        if type(base_fee) is not RateLimiter or not is_limited(base_fee, side_in, point, state.activation_point):
            base = base_fee_numerator(base_fee, state, point)
            numerator = total_fee_numerator(base, variable, state.max_fee_numerator)
        fee_on_input = state.fee_on_input(side_in)
        fee_side = side_in if fee_on_input else 1 - side_in
        mint_in, mint_out = self.mints[side_in], self.mints[1 - side_in]
        in_fees, out_fees = mint_in.transfer_fee, mint_out.transfer_fee
        return _DammV2Terms(
            numerator=numerator,
            variable_numerator=variable,
            fee_on_input=fee_on_input,
            input_fee=None if in_fees is None else in_fees.at(clock.epoch),
            output_fee=None if out_fees is None else out_fees.at(clock.epoch),
            token_amounts=amounts,
            owed=max(state.protocol_fees[fee_side], state.total_protocol_fees[fee_side]),
            most_received=U64_MAX - amounts[side_in],
            most_bought=amounts[1 - side_in],
            prices=_harmless_prices(state, clock.unix_timestamp),
            payable=self.vault_amounts[1 - side_in],
            room=U64_MAX - self.vault_amounts[side_in],
            mint_out=mint_out.address,
            compute_units=self.compute_units,
        )

    def _sale(self, side_in: int, terms: _DammV2Terms, amount_in: int) -> _Sale:
        """What the curve and the fee make of it. Raises SwapRefused."""
        state = self.state
        input_fee = terms.input_fee
        traded = received = amount_in if input_fee is None else amount_in - input_fee.fee(amount_in)
        if received <= 0:
            raise DammV2SwapRefused(AMOUNT_IS_ZERO)
        numerator = terms.numerator
        if numerator is None:
            limiter = state.base_fee
            assert type(limiter) is RateLimiter, "only its fee depends on the amount"
            base = limited_fee_numerator(limiter, received)
            numerator = total_fee_numerator(base, terms.variable_numerator, state.max_fee_numerator)
        if terms.fee_on_input:
            fee = -(-received * numerator // FEE_DENOMINATOR)
            traded -= fee
        if state.compounds:
            bought, price = traded_at_constant_product(terms.token_amounts, side_in, traded), 0
        else:
            bought, price = traded_in_range(state, side_in, traded)
        if terms.fee_on_input:
            return new_record(_Sale, (received, traded, fee, bought, bought, price))
        fee = -(-bought * numerator // FEE_DENOMINATOR)
        return new_record(_Sale, (received, traded, fee, bought, bought - fee, price))

    def _outcome(
        self, side_in: int, terms: _DammV2Terms, amount_in: int, sale: _Sale, clock: ChainClock
    ) -> DammV2SwapOutcome:
        """All that is kept in the pool's account afterwards. Raises SwapRefused where it can't be."""
        state = self.state
        split = split_fee(sale.fee, state.protocol_fee_percent, state.compounding_fee_bps)
        # The program counts the protocol's fees twice, in u64, and shares the others out over the liquidity.
        if terms.owed + split.protocol > U64_MAX or not state.liquidity:
            raise DammV2SwapRefused(MATH_OVERFLOW)
        taken_in = terms.token_amounts[side_in] + sale.traded
        paid = terms.token_amounts[1 - side_in] - sale.bought
        amount_a, amount_b = (taken_in, paid) if side_in == 0 else (paid, taken_in)
        # Whatever token the fee is of: the program counts what compounds as B.
        amount_b += split.compounding
        if paid < 0 or amount_a > U64_MAX or amount_b > U64_MAX:
            raise DammV2SwapRefused(MATH_OVERFLOW)
        price = sqrt_price_of((amount_a, amount_b)) if state.compounds else sale.sqrt_price
        dynamic_fee = state.dynamic_fee
        if dynamic_fee is not None:
            dynamic_fee = volatility_after(dynamic_fee, state.sqrt_price, price, clock.unix_timestamp)
        return DammV2SwapOutcome(
            amount_in,
            amount_in - sale.received,
            sale.traded,
            sale.fee,
            terms.fee_on_input,
            split,
            sale.vault_out,
            0 if terms.output_fee is None else terms.output_fee.fee(sale.vault_out),
            (amount_a, amount_b),
            price,
            dynamic_fee,
        )

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: one price range or a constant product, and a fee whose rate never falls with the amount.

        Besides fees and transfer fees the square root of the price is rounded, which is so much liquidity, and where a
        limiter is at work its rate, in parts of 10^9 of the whole amount.
        """
        side = side_of(mint_in, self.mints, self.address)
        state, mints = self.state, (self.mints[side], self.mints[1 - side])
        of_price = 0 if state.compounds else state.liquidity >> 128
        of_rate = amount_in // FEE_DENOMINATOR if self.has_rate_limiter else 0
        roundings = _ROUNDINGS + of_price + of_rate
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, roundings)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap of the quoted amount, without a referral. Raises ValueError for a quote of another pool."""
        if quote.pool != self.address:
            raise ValueError(f"a quote of pool {quote.pool}, not of {self.address}")
        mint_a, mint_b = self.mints
        return DammV2Swap(
            pool=self.address,
            vaults=self.vaults,
            tokens=(TokenMint(mint_a.address, mint_a.token_program), TokenMint(mint_b.address, mint_b.token_program)),
            trader=trader,
            source=source,
            destination=destination,
            has_rate_limiter=self.has_rate_limiter,
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()


def _is_clearly_kept(terms: _DammV2Terms, sale: _Sale) -> bool:
    """Whether nothing can overflow in the pool's account, by bounds that are quicker than what is kept itself.

    What compounds is a part of the fee, and the fee is a part of what is received or bought.
    """
    prices = terms.prices
    return (
        prices is not None
        and sale.received <= terms.most_received
        and sale.bought <= terms.most_bought
        and terms.owed + sale.fee <= U64_MAX
        and prices[0] <= sale.sqrt_price <= prices[1]
    )


def _harmless_prices(state: DammV2PoolState, timestamp: int) -> tuple[int, int] | None:
    """From and to which price (its square root) a swap may lead without the volatility overflowing.

    None where it has to be worked out, or where anything of the pool is unusual.
    """
    if not state.liquidity or state.protocol_fee_percent > _HUNDRED_PERCENT:
        return None
    dynamic_fee = state.dynamic_fee
    prices = (0, U128_MAX) if dynamic_fee is None else countable_prices(state, dynamic_fee, timestamp)
    if not state.compounds:
        return None if state.compounding_fee_bps else prices
    # Its price follows from its amounts, each of which is from 1 to 2^64: a sale has none of its own.
    is_usual = state.compounding_fee_bps <= BASIS_POINT_MAX and all(state.token_amounts)
    is_countable = prices is not None and prices[0] <= 1 << 32 and prices[1] >= 1 << 96
    return (0, 0) if is_usual and is_countable else None


class MeteoraDammV2Venue:
    """The DAMM v2 program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(POOL_LENGTH, POOL_DISCRIMINATOR, MINTS_OFFSET)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """The one customisable pool of the two mints; the others' come from configs that only the chain tells."""
        return (customizable_pool_address(mint_a, mint_b),)

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """When it was activated, where it counts in seconds: the program takes no time before the pool's creation."""
        state = _pool_state(pool, accounts)
        return state.activation_point or None if state.activation_type == DammV2ActivationType.TIMESTAMP else None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """A and B, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        state = _pool_state(pool, accounts)
        return Pubkey(state.mint_a), Pubkey(state.mint_b)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; with it, its vaults and mints. Raises VenueUnavailable if it isn't one."""
        if pool not in accounts:
            return frozenset((pool,))
        state = _pool_state(pool, accounts)
        return frozenset((pool, *map(Pubkey, (state.vault_a, state.vault_b, state.mint_a, state.mint_b))))

    def decode(self, pool: Pubkey, accounts: AccountMap) -> MeteoraDammV2Pool:
        """The pool, checked: owner, discriminator, length; its vaults are where the program derives them and hold its
        mints for the program's authority, its mints are of the programs it names.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        state = _pool_state(pool, accounts)
        mint_a, mint_b = tradable_mint(Pubkey(state.mint_a), accounts), tradable_mint(Pubkey(state.mint_b), accounts)
        if state.token_2022 != (mint_a.token_program == TOKEN_2022_PROGRAM, mint_b.token_program == TOKEN_2022_PROGRAM):
            raise VenueUnavailable(f"pool {pool} names other token programs than its mints'")
        vault_a, vault_b = Pubkey(state.vault_a), Pubkey(state.vault_b)
        amounts = (
            vault_amount(vault_a, accounts, state.mint_a, _AUTHORITY_BYTES),
            vault_amount(vault_b, accounts, state.mint_b, _AUTHORITY_BYTES),
        )
        return MeteoraDammV2Pool(
            address=pool, state=state, mints=(mint_a, mint_b), vaults=(vault_a, vault_b), vault_amounts=amounts
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _pool_state(pool: Pubkey, accounts: AccountMap) -> DammV2PoolState:
    def checked(account: Account) -> DammV2PoolState:
        state = DammV2PoolState.decode(account.owner, account.data)
        state.check_addresses(pool)
        return state

    return decoded(pool, accounts, checked)

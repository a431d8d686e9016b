"""Raydium CLMM as a venue: pools decoded and checked, exact quotes, the swap_v2 instruction.

Source: raydium-io/raydium-clmm, programs/amm/src, instructions/swap_v2.rs. Where the bytes are is in layout.py, what a
swap computes in math.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import ClassVar

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, Mint
from chalicelib.venues.pool_accounts import InvalidAccount, account_if_made, decoded, tradable_mint, vault_amount
from chalicelib.venues.raydium_addresses import usual_pools
from chalicelib.venues.raydium_clmm.instruction import SwapV2, decode_swap
from chalicelib.venues.raydium_clmm.layout import (
    MINTS_OFFSET,
    POOL_DISCRIMINATOR,
    POOL_LENGTH,
    PROGRAM_ID,
    ClmmFeeRates,
    ClmmPoolState,
    Tick,
    TickArrayBitmap,
    array_number,
    array_start,
    bitmap_extension_address,
    extension_bits,
    tick_array_address,
    ticks_of,
)
from chalicelib.venues.raydium_clmm.math import (
    U64_MAX,
    FeeReferences,
    LiquidityExhausted,
    SwapPayment,
    SwapTrace,
    TickLadder,
    Unquotable,
    is_fee_on_input,
    references_at,
)
from chalicelib.venues.raydium_clmm.refusals import REFUSALS
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "raydium-clmm", "raydium"
STATUS_SWAP_DISABLED = 1 << 4

# How many marked tick arrays are read on each side of the price, or further on when a quote needs more.
ARRAYS_EACH_WAY = 3
# How many arrays beyond those of a quote a transaction names where it has room, besides the one before them.
SPARE_ARRAYS_AHEAD = 2

# Compute units of a swap_v2, measured on the program and rounded up. A dynamic fee makes more steps than ticks.
_UNITS_FIXED = 73_000
_UNITS_TOKEN_2022 = 3_000
_UNITS_PER_ARRAY = 7_000
_UNITS_PER_TICK = 17_000
_UNITS_PER_STEP_BETWEEN = 10_000
# How often a swap rounds besides what it does in each step: both transfer fees.
_ROUNDINGS = 2


@dataclass(slots=True)
class RaydiumClmmPool:
    """One pool with the tick arrays that were read. Ladders of steps grow as quotes ask for more.

    Pairs are in the order token 0, token 1.
    """

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    state: ClmmPoolState
    rates: ClmmFeeRates
    bitmap: TickArrayBitmap
    has_bitmap_extension: bool
    mints: tuple[Mint, Mint]
    vaults: tuple[Pubkey, Pubkey]
    # What the pool can pay out of its vaults. Its positions may be worth more.
    vault_amounts: tuple[int, int]
    _accounts: AccountMap
    _ticks: dict[int, Sequence[Tick]] = field(default_factory=dict)
    _ladders: dict[tuple[bool, FeeReferences | None], TickLadder] = field(default_factory=dict)
    # What swaps through each row of arrays name, and the number of every array that is named.
    _accounts_named: dict[tuple[bool, tuple[int, ...]], tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]] = field(
        default_factory=dict
    )
    _number_of: dict[Pubkey, int] = field(default_factory=dict)
    # The same for all quotes: after when swaps are taken, None for never; whether its arrays can be found from the
    # price; which side the fee is of, by the side that comes in; what each swap burns.
    _open_after: int | None = field(init=False)
    _is_within_bitmap: bool = field(init=False)
    _fee_sides: tuple[int, int] = field(init=False)
    _fixed_units: int = field(init=False)

    def __post_init__(self) -> None:
        state = self.state
        self._open_after = None if state.status & STATUS_SWAP_DISABLED else state.open_time
        current = array_number(state.tick, state.tick_spacing)
        self._is_within_bitmap = self.has_bitmap_extension or self.bitmap.covers(current)
        on_input = is_fee_on_input(state.fee_on, True), is_fee_on_input(state.fee_on, False)
        self._fee_sides = 0 if on_input[0] else 1, 1 if on_input[1] else 0
        self._fixed_units = fixed_units(self.mints)

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        return token_sides(self.mints, self.vaults)

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """The pool's price, from the token `mint_in` to the other, in base units.

        Raises VenueUnavailable where the pool has no price, ValueError for a token of another pool.
        """
        side = side_of(mint_in, self.mints, self.address)
        if not self.state.sqrt_price:
            raise VenueUnavailable(f"pool {self.address} has no price")
        price = Fraction(self.state.sqrt_price**2, 1 << 128)
        return 1 / price if side else price

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap_v2 pays for exactly `amount_in` base units of `mint_in`.

        Raises:
            AmountTooSmall: the output would be zero.
            InsufficientLiquidity: the ticks can't take the whole of `amount_in`, or the vault can't pay for it.
            VenueUnavailable: swaps are switched off or the pool is not open yet at `clock`; or the pool's accounts
                contradict each other.
            AccountsMissing: tick arrays further on must be read; they are named.
            ValueError: `mint_in` is not one of the pool's, or `amount_in` is not a u64 above zero.
        """
        side = side_of(mint_in, self.mints, self.address)
        if not 0 < amount_in <= U64_MAX:
            raise ValueError(f"amount_in must be a u64 above zero, not {amount_in}")
        if self._open_after is None or clock.unix_timestamp <= self._open_after:
            raise VenueUnavailable(f"pool {self.address} is closed for swaps or not open yet")
        received = self._received(side, amount_in, clock)
        owed, fee, arrays, ticks_crossed, steps = self._pay(side, received, clock)
        payable = self.vault_amounts[1 - side]
        if owed > payable:
            raise InsufficientLiquidity(
                f"pool {self.address} owes {owed} base units for {amount_in}; its vault holds {payable}"
            )
        mint_out = self.mints[1 - side]
        amount_out = mint_out.amount_after_transfer_fee(owed, clock.epoch)
        if not amount_out:
            raise AmountTooSmall(f"pool {self.address} pays nothing for {amount_in} base units")
        remaining, spare = self._named(side, arrays)
        return new_record(
            PoolQuote,
            (
                self.address,
                mint_in,
                mint_out.address,
                amount_in,
                amount_out,
                fee,
                self.mints[self._fee_sides[side]].address,
                remaining,
                self._fixed_units + units_on_the_way(len(arrays), ticks_crossed, steps),
                spare,
                0,
            ),
        )

    def swap(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> SwapTrace:
        """The program's own computation behind a quote, step by step. `amount_in` is what leaves the trader.

        Raises AmountTooSmall, InsufficientLiquidity, AccountsMissing and VenueUnavailable as `quote` does.
        """
        side = side_of(mint_in, self.mints, self.address)
        received = self._received(side, amount_in, clock)
        self._pay(side, received, clock)
        return self._ladder(side, clock).follow(received)

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: the price gets worse all the way, and in each step amounts and prices are rounded.

        None where the fee falls on the way: while the price comes back to where it was not long ago.
        """
        side = side_of(mint_in, self.mints, self.address)
        mints = self.mints[side], self.mints[1 - side]
        received = mints[0].amount_after_transfer_fee(amount_in, clock.epoch)
        try:
            roundings = self._ladder(side, clock).roundings_of_falling(received)
        except Unquotable as error:
            raise VenueUnavailable(f"pool {self.address}: {error}") from error
        if roundings is None:
            return None
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, _ROUNDINGS + roundings)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap_v2 of the quoted amount, with the quote's tick arrays in the order in which a swap comes to them.

        Raises ValueError for a quote of another pool.
        """
        if quote.pool != self.address:
            raise ValueError(f"a quote of pool {quote.pool}, not of {self.address}")
        side = side_of(quote.mint_in, self.mints, self.address)
        mint_in, mint_out = self.mints[side], self.mints[1 - side]
        return SwapV2(
            pool=self.address,
            config=Pubkey(self.state.config),
            trader=trader,
            source=source,
            destination=destination,
            tokens=(
                TokenMint(mint_in.address, mint_in.token_program),
                TokenMint(mint_out.address, mint_out.token_program),
            ),
            remaining_accounts=self._in_swap_order(quote.remaining_accounts, side),
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()

    def references(self, clock: ChainClock) -> FeeReferences | None:
        """What the dynamic fee is reckoned from at `clock`; None where the pool has none."""
        fee = self.state.dynamic_fee
        if fee is None:
            return None
        return references_at(fee, self.state.tick, self.state.tick_spacing, clock.unix_timestamp)

    def _received(self, side: int, amount_in: int, clock: ChainClock) -> int:
        received = self.mints[side].amount_after_transfer_fee(amount_in, clock.epoch)
        if not received:
            raise AmountTooSmall(f"the transfer fee of {self.mints[side].address} takes all of {amount_in} base units")
        return received

    def _pay(self, side: int, received: int, clock: ChainClock) -> SwapPayment:
        if not self._is_within_bitmap:
            raise InsufficientLiquidity(
                f"pool {self.address} has no bitmap extension, and its price is beyond its bitmap"
            )
        try:
            payment = self._ladder(side, clock).pay(received)
        except LiquidityExhausted as error:
            raise InsufficientLiquidity(f"pool {self.address} can't take {received} base units: {error}") from error
        except Unquotable as error:
            raise VenueUnavailable(f"pool {self.address}: {error}") from error
        if not payment.amount_out:
            raise AmountTooSmall(f"pool {self.address} pays nothing for {received} base units")
        return payment

    def _ladder(self, side: int, clock: ChainClock) -> TickLadder:
        key = side == 0, self.references(clock)
        ladder = self._ladders.get(key)
        if ladder is None:
            ladder = self._ladders[key] = TickLadder(
                self.state, self.rates.trade, self.bitmap, partial(self._ticks_of, side == 0), *key
            )
        return ladder

    def _ticks_of(self, down: bool, number: int) -> Sequence[Tick]:
        ticks = self._ticks.get(number)
        if ticks is None:
            start = array_start(number, self.state.tick_spacing)
            account = self._tick_array(number, down)
            if account is None:
                raise VenueUnavailable(f"tick array {start} of pool {self.address} does not exist")
            try:
                ticks = self._ticks[number] = ticks_of(account.owner, account.data, self.address, start)
            except InvalidAccount as error:
                raise VenueUnavailable(str(error)) from error
        return ticks

    def _tick_array(self, number: int, down: bool) -> Account | None:
        address = self._array_address(number)
        if address not in self._accounts:
            further = [number, *self.bitmap.following(number, down, ARRAYS_EACH_WAY - 1)]
            addresses = map(self._array_address, further)
            raise AccountsMissing(str(each) for each in addresses if each not in self._accounts)
        return self._accounts[address]

    def _array_address(self, number: int) -> Pubkey:
        return tick_array_address(self.address, array_start(number, self.state.tick_spacing))

    def _named(self, side: int, arrays: tuple[int, ...]) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """What a swap through `arrays` names: the bitmap extension and the arrays, in order; and spare arrays.

        Spare ones are the next that are marked on the swap's way, and the one before its first: prices may go back.
        """
        key = side == 0, arrays
        named = self._accounts_named.get(key)
        if named is None:
            down = side == 0
            before = self.bitmap.following(arrays[0], not down, 1)
            ahead = self.bitmap.following(arrays[-1], down, SPARE_ARRAYS_AHEAD)
            extension = (bitmap_extension_address(self.address),) if self.has_bitmap_extension else ()
            remaining = extension + tuple(map(self._array, arrays))
            spare = tuple(map(self._array, (*ahead[:1], *before, *ahead[1:])))
            named = self._accounts_named[key] = remaining, spare
        return named

    def _array(self, number: int) -> Pubkey:
        address = self._array_address(number)
        self._number_of[address] = number
        return address

    def _in_swap_order(self, accounts: tuple[Pubkey, ...], side: int) -> tuple[Pubkey, ...]:
        """The bitmap extension first, then the tick arrays as a swap comes to them: those it passes over are gone."""
        arrays = [account for account in accounts if account in self._number_of]
        others = tuple(account for account in accounts if account not in self._number_of)
        return others + tuple(sorted(arrays, key=self._number_of.__getitem__, reverse=side == 0))


def fixed_units(mints: tuple[Mint, Mint]) -> int:
    """What a swap_v2 burns at least, rounded up."""
    return _UNITS_FIXED + sum(mint.token_program == TOKEN_2022_PROGRAM for mint in mints) * _UNITS_TOKEN_2022


def units_on_the_way(arrays: int, ticks_crossed: int, steps: int) -> int:
    """What a swap_v2 burns besides that goes through so much, rounded up."""
    between = steps - ticks_crossed - 1
    units = arrays * _UNITS_PER_ARRAY + ticks_crossed * _UNITS_PER_TICK
    return units + between * _UNITS_PER_STEP_BETWEEN if between > 0 else units


class RaydiumClmmVenue:
    """The CLMM program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(POOL_LENGTH, POOL_DISCRIMINATOR, MINTS_OFFSET, mints_in_order=True)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """One for each of the first configs."""
        return usual_pools(PROGRAM_ID, mint_a, mint_b)

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """None: a pool may say that it opened long before it was made (instructions/create_pool.rs)."""
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """Token 0 and 1, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        state = _pool_state(pool, accounts)
        return Pubkey(state.mint_0), Pubkey(state.mint_1)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; with it, its config, mints, vaults and bitmap extension; with those, the nearest tick arrays."""
        if pool not in accounts:
            return frozenset((pool,))
        state = _pool_state(pool, accounts)
        extension = bitmap_extension_address(pool)
        named = (state.config, state.mint_0, state.mint_1, state.vault_0, state.vault_1)
        needed = {pool, extension, *map(Pubkey, named)}
        bitmap = TickArrayBitmap.build(state, (_extension(pool, accounts) or 0) if extension in accounts else 0)
        current = array_number(state.tick, state.tick_spacing)
        # the array of the price itself is the first one of both ways, where it is marked
        arrays = {
            *bitmap.following(current + 1, True, ARRAYS_EACH_WAY),
            *bitmap.following(current - 1, False, ARRAYS_EACH_WAY),
        }
        needed.update(tick_array_address(pool, array_start(number, state.tick_spacing)) for number in arrays)
        return frozenset(needed)

    def decode(self, pool: Pubkey, accounts: AccountMap) -> RaydiumClmmPool:
        """The pool, checked: owners, discriminators, lengths; it, its config, vaults and observation are where the
        program derives them, its vaults hold its mints for it. Its tick arrays are looked up in `accounts` and checked
        as quotes need them.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        state = _pool_state(pool, accounts)
        extension = _extension(pool, accounts)
        mints = tradable_mint(Pubkey(state.mint_0), accounts), tradable_mint(Pubkey(state.mint_1), accounts)
        vault_0, vault_1 = Pubkey(state.vault_0), Pubkey(state.vault_1)
        return RaydiumClmmPool(
            address=pool,
            state=state,
            rates=_fee_rates(Pubkey(state.config), accounts),
            bitmap=TickArrayBitmap.build(state, extension or 0),
            has_bitmap_extension=extension is not None,
            mints=mints,
            vaults=(vault_0, vault_1),
            vault_amounts=(
                vault_amount(vault_0, accounts, state.mint_0, pool),
                vault_amount(vault_1, accounts, state.mint_1, pool),
            ),
            _accounts=dict(accounts),
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _pool_state(pool: Pubkey, accounts: AccountMap) -> ClmmPoolState:
    def checked(account: Account) -> ClmmPoolState:
        state = ClmmPoolState.decode(account.owner, account.data)
        state.check_addresses(pool)
        return state

    return decoded(pool, accounts, checked)


def _fee_rates(config: Pubkey, accounts: AccountMap) -> ClmmFeeRates:
    return decoded(config, accounts, lambda account: ClmmFeeRates.decode(config, account.owner, account.data))


def _extension(pool: Pubkey, accounts: AccountMap) -> int | None:
    """The bits of the pool's bitmap extension; None where it has none."""
    account = account_if_made(bitmap_extension_address(pool), accounts)
    if account is None:
        return None
    try:
        return extension_bits(account.owner, account.data, pool)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{pool}: {error}") from error

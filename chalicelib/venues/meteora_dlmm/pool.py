"""Meteora DLMM as a venue: pools decoded and checked, exact quotes, the swap2 instruction.

Source: MeteoraAg/dlmm-sdk, commons/src/quote.rs and idls/dlmm.json. Where the bytes are is in layout.py, what a swap
computes in math.py.
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
from chalicelib.venues.fixed_point import ONE
from chalicelib.venues.meteora_dlmm.instruction import Swap2, decode_swap
from chalicelib.venues.meteora_dlmm.layout import (
    BINS_PER_ARRAY,
    LB_PAIR_DISCRIMINATOR,
    LB_PAIR_LENGTH,
    MINTS_OFFSET,
    PROGRAM_ID,
    BinArrayBitmap,
    BinColumns,
    BitmapExtension,
    LbPair,
    bin_array_address,
    bitmap_extension_address,
    check_bin_array,
    customizable_pair_address,
)
from chalicelib.venues.meteora_dlmm.math import (
    U64_MAX,
    BinFill,
    Ladder,
    OutOfLiquidity,
    SwapResult,
    price_of_bin,
    references_at,
)
from chalicelib.venues.meteora_dlmm.refusals import REFUSALS
from chalicelib.venues.pool_accounts import InvalidAccount, account_if_made, decoded, tradable_mint, vault_amount
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "meteora-dlmm", "meteora"

# How many bin arrays with liquidity are read on each side of the active bin, or further on when a quote needs more.
ARRAYS_EACH_WAY = 4
# How many arrays beyond those of a quote a transaction names where it has room, besides the one before them.
SPARE_ARRAYS_AHEAD = 2

# Compute units of a swap2, measured on the program and rounded up: a bin with limit orders costs half as much again.
_UNITS_FIXED = 60_000
_UNITS_PER_ARRAY = 15_000
_UNITS_PER_BIN = 7_500
# How often a swap rounds: both transfer fees; in each bin the fee, and what each of its three sources takes and pays.
_ROUNDINGS = 2
_ROUNDINGS_IN_A_BIN = 4


@dataclass(slots=True)
class MeteoraDlmmPool:
    """One LbPair with the bin arrays that were read. Ladders of bins grow as quotes ask for more."""

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    pair: LbPair
    bitmap: BinArrayBitmap
    has_bitmap_extension: bool
    mint_x: Mint
    mint_y: Mint
    # What the pair can pay out of its reserves of X and Y. The bins may say that they hold more.
    reserves: tuple[int, int]
    _accounts: AccountMap
    _columns: dict[tuple[int, bool], BinColumns] = field(default_factory=dict)
    _ladders: dict[tuple[bool, int], Ladder] = field(default_factory=dict)
    # What swaps through each row of arrays name and may name besides, and the index of every array that is named.
    _named: dict[tuple[bool, tuple[int, ...]], tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]] = field(
        default_factory=dict
    )
    _index_of: dict[Pubkey, int] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        """X and Y."""
        return token_sides((self.mint_x, self.mint_y), (self.pair.reserve_x, self.pair.reserve_y))

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """The active bin's price, from the token `mint_in` to the other, in base units.

        Raises VenueUnavailable where the active bin is out of all prices, ValueError for a token of another pool.
        """
        try:
            price = Fraction(price_of_bin(self.pair.active_id, self.pair.bin_step), ONE)
        except OverflowError as error:
            raise VenueUnavailable(f"pool {self.address}: {error}") from error
        return price if self._is_swap_for_y(mint_in) else 1 / price

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap2 pays for exactly `amount_in` base units of `mint_in`, host fee or not.

        Raises:
            AmountTooSmall: the output would be zero.
            InsufficientLiquidity: the bins can't take the whole of `amount_in`, or the reserve can't pay what they owe.
            VenueUnavailable: the pair is disabled or not active yet at `clock`.
            AccountsMissing: bin arrays further on must be read; they are named.
            ValueError: `mint_in` is not one of the pair's, or `amount_in` is not a u64 above zero.
        """
        swap_for_y = self._is_swap_for_y(mint_in)
        if not 0 < amount_in <= U64_MAX:
            raise ValueError(f"amount_in must be a u64 above zero, not {amount_in}")
        mint_to = self.mint_y if swap_for_y else self.mint_x
        if not self.pair.is_open(clock):
            raise VenueUnavailable(f"pool {self.address} is not open for swaps")
        result = self.swap(swap_for_y, amount_in, clock)
        owed, fee, _, arrays, _, _ = result
        payable = self.reserves[swap_for_y]
        if owed > payable:
            raise InsufficientLiquidity(
                f"pool {self.address} owes {owed} base units for {amount_in}; its reserve holds {payable}"
            )
        amount_out = mint_to.amount_after_transfer_fee(owed, clock.epoch)
        if not amount_out:
            raise AmountTooSmall(f"pool {self.address} pays nothing for {amount_in} base units")
        mint_out = mint_to.address
        named, spare = self._named.get((swap_for_y, arrays)) or self._arrays_named(swap_for_y, arrays)
        return new_record(
            PoolQuote,
            (
                self.address,
                mint_in,
                mint_out,
                amount_in,
                amount_out,
                fee,
                mint_in if self.pair.fee_on_input(swap_for_y) else mint_out,
                named,
                compute_units(result),
                spare,
                0,
            ),
        )

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: bins whose price less the fee gets worse from each to the next, with roundings in each.

        None where it gets better somewhere: the fee falls while the price comes back to where it was not long ago.
        """
        swap_for_y = self._is_swap_for_y(mint_in)
        mints = (self.mint_x, self.mint_y) if swap_for_y else (self.mint_y, self.mint_x)
        received = mints[0].amount_after_transfer_fee(amount_in, clock.epoch)
        rungs = self._ladder(swap_for_y, clock).rungs_of_falling(received)
        if rungs is None:
            return None
        roundings = _ROUNDINGS + rungs * _ROUNDINGS_IN_A_BIN
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, roundings)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap2 without host fee, with the quote's bin arrays in the order in which a swap comes to them: the program
        takes those that it needs one after the other, and skips the others.

        Raises ValueError for a quote of another pool.
        """
        if quote.pool != self.address:
            raise ValueError(f"a quote of pool {quote.pool}, not of {self.address}")
        x, y, pair = self.mint_x, self.mint_y, self.pair
        return Swap2(
            pool=self.address,
            has_bitmap_extension=self.has_bitmap_extension,
            reserves=(pair.reserve_x, pair.reserve_y),
            tokens=(TokenMint(x.address, x.token_program), TokenMint(y.address, y.token_program)),
            oracle=pair.oracle,
            trader=trader,
            source=source,
            destination=destination,
            bin_arrays=self._in_order(quote.remaining_accounts, self._is_swap_for_y(quote.mint_in)),
            amount_in=quote.amount_in,
            minimum_out=minimum_out,
        ).encode()

    def swap(
        self, swap_for_y: bool, amount_in: int, clock: ChainClock, fills: list[BinFill] | None = None
    ) -> SwapResult:
        """The program's own computation behind a quote; see Ladder.swap. `amount_in` is what leaves the trader.

        Raises AmountTooSmall, InsufficientLiquidity, AccountsMissing and VenueUnavailable as `quote` does.
        """
        mint_from = self.mint_x if swap_for_y else self.mint_y
        received = mint_from.amount_after_transfer_fee(amount_in, clock.epoch)
        if not received:
            raise AmountTooSmall(f"the transfer fee of {mint_from.address} takes all of {amount_in} base units")
        ladder = self._ladder(swap_for_y, clock)
        try:
            return ladder.swap(received, fills)
        except OutOfLiquidity as error:
            raise InsufficientLiquidity(f"pool {self.address} can't take {amount_in} base units: {error}") from error

    def _ladder(self, swap_for_y: bool, clock: ChainClock) -> Ladder:
        """Raises VenueUnavailable."""
        key = swap_for_y, clock.unix_timestamp
        ladder = self._ladders.get(key)
        if ladder is None:
            try:
                references = references_at(self.pair, clock.unix_timestamp)
            except OverflowError as error:
                raise VenueUnavailable(f"pool {self.address}: {error}") from error
            columns = partial(self._columns_of, swap_for_y)
            ladder = self._ladders[key] = Ladder(self.pair, self.bitmap, columns, swap_for_y, references)
        return ladder

    def _array(self, index: int) -> Pubkey:
        address = bin_array_address(self.address, index)
        self._index_of[address] = index
        return address

    def _arrays_named(self, swap_for_y: bool, row: tuple[int, ...]) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """The arrays of a swap, and spare ones.

        Spare ones are the next with liquidity on the swap's way, and the one before its first: prices may go back.
        """
        spares: tuple[Pubkey, ...] = ()
        if row:
            step = -1 if swap_for_y else 1
            ahead = self.bitmap.indexes_from(row[-1] + step, swap_for_y, SPARE_ARRAYS_AHEAD)
            behind = self.bitmap.indexes_from(row[0] - step, not swap_for_y, 1)
            spares = tuple(self._array(index) for index in (*ahead[:1], *behind, *ahead[1:]))
        named = self._named[swap_for_y, row] = tuple(map(self._array, row)), spares
        return named

    def _in_order(self, arrays: tuple[Pubkey, ...], swap_for_y: bool) -> tuple[Pubkey, ...]:
        if not self._index_of.keys() >= set(arrays):
            return arrays  # of a quote that was made elsewhere, without spare ones
        return tuple(sorted(arrays, key=self._index_of.__getitem__, reverse=swap_for_y))

    def _columns_of(self, swap_for_y: bool, index: int) -> BinColumns:
        key = index, swap_for_y
        columns = self._columns.get(key)
        if columns is None:
            data = self._bin_array(index, swap_for_y)
            columns = self._columns[key] = BinColumns.decode(data, swap_for_y, self.pair.supports_limit_orders)
        return columns

    def _bin_array(self, index: int, swap_for_y: bool) -> bytes:
        address = bin_array_address(self.address, index)
        if address not in self._accounts:
            further = self.bitmap.indexes_from(index, swap_for_y, ARRAYS_EACH_WAY)
            addresses = [bin_array_address(self.address, each) for each in further]
            raise AccountsMissing(str(each) for each in addresses if each not in self._accounts)
        account = self._accounts[address]
        if account is None:
            raise VenueUnavailable(f"bin array {index} of pool {self.address} does not exist")
        try:
            check_bin_array(account.owner, account.data, self.address, index)
        except InvalidAccount as error:
            raise VenueUnavailable(str(error)) from error
        return account.data

    def _is_swap_for_y(self, mint_in: Pubkey) -> bool:
        return side_of(mint_in, (self.mint_x, self.mint_y), self.address) == 0


def compute_units(result: SwapResult) -> int:
    """What a swap2 with this result burns, rounded up."""
    _, _, bins, arrays, _, _ = result
    return _UNITS_FIXED + len(arrays) * _UNITS_PER_ARRAY + bins * _UNITS_PER_BIN


class MeteoraDlmmVenue:
    """The DLMM program."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(LB_PAIR_LENGTH, LB_PAIR_DISCRIMINATOR, MINTS_OFFSET)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """The one customisable pair of the two mints; the others' come from presets that only the chain tells."""
        return (customizable_pair_address(mint_a, mint_b),)

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """None: pairs that are open to everybody have no time."""
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """X and Y, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        pair = _pair(pool, accounts)
        return pair.mint_x, pair.mint_y

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pair; with it, its mints, reserves and bitmap extension; with those, the nearest bin arrays."""
        if pool not in accounts:
            return frozenset({pool})
        pair = _pair(pool, accounts)
        extension = bitmap_extension_address(pool)
        needed = {pool, pair.mint_x, pair.mint_y, pair.reserve_x, pair.reserve_y, extension}
        bitmap = BinArrayBitmap.build(pair, _bitmap_extension(pool, accounts) if extension in accounts else None)
        start = pair.active_id // BINS_PER_ARRAY
        for down in (True, False):
            indexes = bitmap.indexes_from(start, down, ARRAYS_EACH_WAY)
            needed.update(bin_array_address(pool, index) for index in indexes)
        return frozenset(needed)

    def decode(self, pool: Pubkey, accounts: AccountMap) -> MeteoraDlmmPool:
        """The pool, checked: owner, discriminator, length; its reserves and oracle are where the program derives them,
        its reserves hold its mints for the pair, its mints are of the programs it names. Its bin arrays are looked up
        in `accounts` and checked as quotes need them.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        pair = _pair(pool, accounts)
        extension = _bitmap_extension(pool, accounts)
        mint_x, mint_y = tradable_mint(pair.mint_x, accounts), tradable_mint(pair.mint_y, accounts)
        if pair.token_2022 != (mint_x.token_program == TOKEN_2022_PROGRAM, mint_y.token_program == TOKEN_2022_PROGRAM):
            raise VenueUnavailable(f"pool {pool} names other token programs than its mints'")
        reserves = (
            vault_amount(pair.reserve_x, accounts, pair.mint_x, pool),
            vault_amount(pair.reserve_y, accounts, pair.mint_y, pool),
        )
        return MeteoraDlmmPool(
            address=pool,
            pair=pair,
            bitmap=BinArrayBitmap.build(pair, extension),
            has_bitmap_extension=extension is not None,
            mint_x=mint_x,
            mint_y=mint_y,
            reserves=reserves,
            _accounts=dict(accounts),
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _pair(pool: Pubkey, accounts: AccountMap) -> LbPair:
    def checked(account: Account) -> LbPair:
        pair = LbPair.decode(account.owner, account.data)
        pair.check_addresses(pool)
        return pair

    return decoded(pool, accounts, checked)


def _bitmap_extension(pool: Pubkey, accounts: AccountMap) -> BitmapExtension | None:
    account = account_if_made(bitmap_extension_address(pool), accounts)
    if account is None:
        return None
    try:
        return BitmapExtension.decode(account.owner, account.data, pool)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{pool}: {error}") from error

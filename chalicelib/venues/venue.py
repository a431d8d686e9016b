"""What a venue is to the rest of Fillrate: which accounts a pool needs, an exact quote, a swap instruction.

A venue is one on-chain swap program. `Venue` knows the program, `Pool` is one of its pools decoded from accounts
that were all read at one slot. Both are pure: no network, no clock of their own. Amounts are integers of base units.

Each venue is a folder of the same shape: `layout.py` (where the bytes are, the program's id and addresses), `math.py`
(what a swap computes), `pool.py` (accounts checked, quotes), `instruction.py` (the swap, written and read back),
`refusals.py` (what the program's error codes mean). supported.py lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import AccountMap, ChainClock
from chalicelib.solana.decoded_swap import SwapDecoder
from chalicelib.solana.program_errors import ProgramRefusals


class PoolQuote(NamedTuple):
    """What one pool would pay, exact to the unit, for the accounts and the clock it was computed from.

    `amount_in` leaves the trader's token account whole; `amount_out` arrives in it (Token-2022 transfer fees of both
    mints are already taken off). `fee` is the pool's trading fee, in units of `fee_mint`. A tuple, because the search
    for the best split makes thousands, and a frozen dataclass takes four times as long to make; see records.py.
    """

    pool: Pubkey
    mint_in: Pubkey
    mint_out: Pubkey
    amount_in: int
    amount_out: int
    fee: int
    fee_mint: Pubkey
    # Accounts that the swap instruction must name in this order beyond its fixed ones, more for a larger swap.
    remaining_accounts: tuple[Pubkey, ...] = ()
    # What the venue's program is expected to burn for this swap, in compute units, rounded up.
    compute_units: int = 0
    # Accounts that the instruction may name besides the remaining ones, the most useful first, so that a price that has
    # moved when the transaction lands finds what it needs: of a row of arrays the next ones. A quote that is given to
    # `swap_instruction` may end its `remaining_accounts` with some of them, as many as there is room for: the pool puts
    # them where they belong.
    spare_accounts: tuple[Pubkey, ...] = ()
    # How much of `amount_out` no floor can make sure of, where the program compares its floor with something else than
    # what arrives. What routing plans with is the rest.
    not_guaranteed: int = 0


@dataclass(frozen=True, slots=True)
class TokenSide:
    """One of a pool's two tokens."""

    mint: Pubkey
    token_program: Pubkey
    decimals: int
    vault: Pubkey


class PoolAccount(NamedTuple):
    """What tells a program's pool accounts from its others, and where a pool's account has its two mints.

    `length` is in bytes, None where pools have several. `discriminator` is what the account begins with, empty where
    the program has none. The mints are 32 bytes each at `mints_offset`, one behind the other; `mints_in_order` where
    the program has the smaller one first in every pool.
    """

    length: int | None
    discriminator: bytes
    mints_offset: int
    mints_in_order: bool = False


class Pool(Protocol):
    """One pool, decoded at one slot."""

    @property
    def program(self) -> str:
        """Its venue's: see `Venue.program`."""

    @property
    def dex(self) -> str:
        """Its venue's: see `Venue.dex`."""

    @property
    def address(self) -> Pubkey: ...

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        """Both tokens in the program's own order (token 0 and 1, or X and Y)."""

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Base units of the other token per base unit of `mint_in` for an infinitely small trade, before fees."""

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What the program pays for exactly `amount_in` base units of `mint_in`.

        Raises:
            AmountTooSmall: the program would refuse because the output is zero (or dust).
            InsufficientLiquidity: the pool can't take the whole of `amount_in`.
            VenueUnavailable: swapping is switched off or has not begun.
            AccountsMissing: more accounts are needed for this size; they are named.
            ValueError: `mint_in` is not a token of this pool, or `amount_in` is not a u64 above zero.
        """

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """How many base units of the output rounding takes at most of a swap of up to `amount_in` of `mint_in`.

        But for that, what the pool pays for each unit falls as more is sold: for all a below b up to `amount_in`, a is
        paid at least b's payment × a / b, less this; being refused as too small counts as being paid nothing. None
        where that isn't known to hold. Raises ExecutionError where the pool takes no swap at all, and AccountsMissing
        and ValueError as `quote` does.
        """

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """The program's exact-in swap: `trader` signs; `source` and `destination` are its token accounts.

        The program refuses to pay less than `minimum_out` base units into `destination`.
        """


class Venue(SwapDecoder, Protocol):
    """One swap program. What it writes as `Pool.swap_instruction` it reads back with `decode_swap`."""

    @property
    def program(self) -> str:
        """The program's own name: `raydium-cpmm`. No other venue has it."""

    @property
    def dex(self) -> str:
        """The exchange that the program belongs to, as clients see it in `dexUsed`: `raydium`. It may have others."""

    @property
    def program_id(self) -> Pubkey: ...

    @property
    def refusals(self) -> tuple[ProgramRefusals, ...]:
        """What the errors of this program mean, and those of each program that it calls besides the token programs."""

    @property
    def pool_account(self) -> PoolAccount:
        """By what a pool is found among the program's accounts."""

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """Addresses that the program derives for pools of the two mints, in either order, the usual ones first.

        Only those that can be worked out without reading anything, so few that one call reads them; none where a pool's
        address is anybody's choice. There may be nothing at them, and there may be other pools of the pair.
        """

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """A Unix time at which the pool was there for certain; None where its account doesn't tell one.

        Only a time counts that the program doesn't let the pool's creator set back. It may lie ahead: then trading has
        not begun. Raises VenueUnavailable, AccountsMissing.
        """

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """The pool's two mints, from the pool account alone. Raises VenueUnavailable where it isn't such a pool."""

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """Every account a quote needs, as far as can be told from `accounts` (at first only the pool's own address).

        The reader asks again with what it then has, until nothing new is named.
        """

    def decode(self, pool: Pubkey, accounts: AccountMap) -> Pool:
        """The pool, checked: owner program, discriminator, length, addresses derived by the program.

        Raises VenueUnavailable where the account is not a pool of this program or can't move its tokens now,
        TokenNotTradable where one of its mints keeps anybody from it, AccountsMissing where an account is lacking.
        """

"""What single pools offer for one pair and size, all from one slot. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, AmountTooSmall, ExecutionError, InsufficientLiquidity
from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.transaction import TransactionVersion
from chalicelib.venues.venue import Pool, PoolQuote, TokenSide

# What a route's swaps together may use of the 1.4 million units that a transaction has: the rest opens and closes
# accounts, and pays for a fifth more than was simulated (chalicelib/solana/compute_budget.py).
MAX_SWAP_COMPUTE_UNITS = 1_100_000
# How many accounts beyond its fixed ones a single swap may name in a transaction of each version, in the worst case: a
# swap of SOL for a Token-2022 token at the program with the most fixed accounts. Version 0: of 1232 bytes, 966 are
# taken by the signature, the budget, the memo, the opening and closing of the temporary account and of the token's, the
# swap's fixed accounts. Each account more takes 33, its address and its place in the instruction: 8 fit in 266.
# Version 1: the same swap names 18 of 64 accounts, and a tip 2 more; 44 are left, which take 1,452 of 4,096 bytes.
MAX_REMAINING_ACCOUNTS: dict[TransactionVersion, int] = {0: 8, 1: 44}


@dataclass(frozen=True, slots=True)
class LegLimits:
    """What a single leg may use of the transaction: accounts beyond its fixed ones, compute units."""

    remaining_accounts: int = MAX_REMAINING_ACCOUNTS[1]
    compute_units: int = MAX_SWAP_COMPUTE_UNITS


WHOLE_TRANSACTION = LegLimits()


@dataclass(frozen=True, slots=True)
class PoolOffer:
    """A pool's answer: a quote, or why there is none."""

    pool: Pool
    quote: PoolQuote | None
    refusal: ExecutionError | None
    mid_price: Fraction | None

    @property
    def price_impact(self) -> Fraction | None:
        """How much worse than the pool's mid price the quote is, as a fraction; its fees count as impact."""
        if self.quote is None or not self.mid_price:
            return None
        return price_impact(self.mid_price * self.quote.amount_in, self.quote.amount_out)


def price_impact(ideal_out: Fraction, amount_out: int) -> Fraction:
    """The part of the ideal output (input times mid price) that is not paid."""
    return (ideal_out - amount_out) / ideal_out


def quote_pool(
    pool: Pool, mint_in: Pubkey, amount_in: int, clock: ChainClock, limits: LegLimits = WHOLE_TRANSACTION
) -> PoolQuote:
    """The pool's quote, if the swap keeps within the limits: no more than what a floor can make sure of.

    Raises what `Pool.quote` raises, and InsufficientLiquidity where the swap takes more than the limits allow.
    """
    quote = pool.quote(mint_in, amount_in, clock)
    if quote.not_guaranteed:
        quote = _guaranteed(quote)
    if len(quote.remaining_accounts) > limits.remaining_accounts or quote.compute_units > limits.compute_units:
        raise InsufficientLiquidity(
            f"a swap of this size names {len(quote.remaining_accounts)} accounts besides its fixed ones and takes "
            f"about {quote.compute_units} compute units; that is more than one transaction can carry"
        )
    return quote


def _guaranteed(quote: PoolQuote) -> PoolQuote:
    """The part of the quote that a floor can hold. Raises AmountTooSmall where that is nothing."""
    guaranteed = quote.amount_out - quote.not_guaranteed
    if guaranteed < 1:
        raise AmountTooSmall(f"of what pool {quote.pool} pays for {quote.amount_in} base units nothing is sure")
    return quote._replace(amount_out=guaranteed, not_guaranteed=0)


@dataclass(frozen=True, slots=True)
class PoolPayment:
    """What a pool pays, as a plain function for the split: 0 where the program refuses so little, None so much.

    A pool that can't be traded at all takes nothing. Raises AccountsMissing.
    """

    pool: Pool
    mint_in: Pubkey
    clock: ChainClock
    limits: LegLimits = WHOLE_TRANSACTION

    def __call__(self, amount_in: int) -> int | None:
        try:
            return quote_pool(self.pool, self.mint_in, amount_in, self.clock, self.limits).amount_out
        except AmountTooSmall:
            return 0
        except AccountsMissing:
            raise
        except ExecutionError:
            return None


@dataclass(frozen=True, slots=True)
class PoolAsRead:
    """A pool of which nothing more is read: for what takes further accounts it has no liquidity."""

    pool: Pool

    @property
    def program(self) -> str:
        return self.pool.program

    @property
    def dex(self) -> str:
        return self.pool.dex

    @property
    def address(self) -> Pubkey:
        return self.pool.address

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        return self.pool.sides

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        return self.pool.mid_price(mint_in)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        try:
            return self.pool.quote(mint_in, amount_in, clock)
        except AccountsMissing:
            raise InsufficientLiquidity(
                f"a swap of this size at pool {self.address} names more accounts than one transaction can carry"
            ) from None

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        try:
            return self.pool.rounding(mint_in, amount_in, clock)
        except AccountsMissing:
            return None

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        return self.pool.swap_instruction(
            quote, trader=trader, source=source, destination=destination, minimum_out=minimum_out
        )


def ask_pools(
    pools: Iterable[Pool],
    mint_in: Pubkey,
    amount_in: int,
    clock: ChainClock,
    limits: LegLimits = WHOLE_TRANSACTION,
) -> tuple[PoolOffer, ...]:
    """Each pool's offer for exactly `amount_in` base units of `mint_in`.

    Raises AccountsMissing with the accounts that all quotes together still need.
    """
    offers: list[PoolOffer] = []
    missing: list[str] = []
    for pool in pools:
        try:
            quote = quote_pool(pool, mint_in, amount_in, clock, limits)
            offers.append(PoolOffer(pool, quote, None, pool.mid_price(mint_in)))
        except AccountsMissing as error:
            missing.extend(error.addresses)
        except ExecutionError as error:
            offers.append(PoolOffer(pool, None, error, None))
    if missing:
        raise AccountsMissing(missing)
    return tuple(offers)

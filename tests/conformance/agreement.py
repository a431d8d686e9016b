"""Runs each case of a vector file through the venue that trades its program, and says where the two differ.

A case is run as an order would be: accounts are read as the venue asks for them, the pool is decoded and quoted, the
floor is checked. An account that the file does not hold does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
    VenueUnavailable,
)
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.meteora_dlmm.layout import BINS_PER_ARRAY
from chalicelib.venues.meteora_dlmm.math import BinFill, split_fee
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmPool, RaydiumCpmmVenue
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from tests.conformance.vector_file import VectorCase, VectorFile

_RAYDIUM = str(RaydiumCpmmVenue.program_id)
_METEORA = str(MeteoraDlmmVenue.program_id)

# What each program's error is to an order. Written down apart from the venues: they are what is being checked.
# Of an error that is not listed, only that ours refuses too is asked.
_KINDS: Mapping[tuple[str, int], type[ExecutionError]] = {
    (_RAYDIUM, 2505): AmountTooSmall,  # RequireGtViolated: nothing would come out, or go in
    (_RAYDIUM, 6000): VenueUnavailable,  # NotApproved
    (_RAYDIUM, 6005): SlippageExceeded,  # ExceededSlippage
    (_RAYDIUM, 6006): AmountTooSmall,  # ZeroTradingTokens
    (_RAYDIUM, 6012): InsufficientLiquidity,  # InsufficientVault
    (_RAYDIUM, 6013): VenueUnavailable,  # InvalidFeeModel
    (_METEORA, 3005): AccountsMissing,  # AccountNotEnoughKeys: a bin array was not handed over
    (_METEORA, 6003): SlippageExceeded,  # ExceededAmountSlippageTolerance
    (_METEORA, 6012): InsufficientLiquidity,  # PairInsufficientLiquidity
    (_METEORA, 6036): InsufficientLiquidity,  # BitmapExtensionAccountIsNotProvided: no liquidity further on
    (_METEORA, 6037): InsufficientLiquidity,  # CannotFindNonZeroLiquidityBinArrayId
    (_METEORA, 6039): AmountTooSmall,  # InsufficientOutAmount
    (_METEORA, 6042): VenueUnavailable,  # PoolDisabled
    (str(TOKEN_PROGRAM), 14): InsufficientLiquidity,  # Overflow: the vault can't hold it
    (str(TOKEN_2022_PROGRAM), 14): InsufficientLiquidity,
}


class Subject(Protocol):
    """One venue under test."""

    @property
    def venue(self) -> Venue: ...

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        """Accounts that this case's kind keeps from the program."""

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        """What else the venue says the swap does, by the names that results have for it."""


class RaydiumSubject:
    venue: Venue = RaydiumCpmmVenue()

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        return frozenset()

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, RaydiumCpmmPool)
        side = [mint.address for mint in pool.mints].index(case.mint_in)
        outcome = pool.swap(side, case.amount_in, case.clock)
        return {
            "amount_in_taken": outcome.amount_in,
            "vault_in_delta": outcome.vault_in,
            "vault_out_delta": outcome.vault_out,
            "protocol_fee": outcome.protocol_fee,
            "fund_fee": outcome.fund_fee,
            "creator_fee": outcome.creator_fee,
        }


class MeteoraSubject:
    venue: Venue = MeteoraDlmmVenue()

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        """The bin arrays that the program was not given, or could not get at, for the kinds that say so.

        The program takes bin arrays off the list in swap order and drops what it passes over. Given in reverse, the
        active one comes last, and by the time it is found nothing is left: as if it alone had been handed over. Our own
        instructions can't come out so; test_vectors.py holds them to swap order.
        """
        arrays = arrays_in_swap_order(case)
        handed = {
            "no_bin_arrays": arrays[:0],
            "only_active_bin_array": arrays[:1],
            "bin_arrays_reversed": arrays[:1],
            "first_two_bin_arrays": arrays[:2],
        }
        if case.kind not in handed:
            return frozenset()
        every = map(Pubkey.from_string, case.pool.roles["bin_arrays"].values())
        return frozenset(every) - frozenset(handed[case.kind])

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        assert isinstance(pool, MeteoraDlmmPool)
        swap_for_y = case.mint_in == pool.pair.mint_x
        fills: list[BinFill] = []
        result = pool.swap(swap_for_y, case.amount_in, case.clock, fills)
        protocol_fee = sum(_protocol_fee(pool, fill) for fill in fills)
        # Of the protocol's fee, a host that is named gets its part: the result then tells the two apart.
        protocol_fee -= int(case.result.get("host_fee", 0))
        fee_in_x = swap_for_y == pool.pair.fee_on_input(swap_for_y)
        return {
            "amount_in_taken": case.amount_in,
            "active_id_after": result.active_id,
            "volatility_accumulator_after": result.volatility_accumulator,
            "protocol_fee_x": protocol_fee if fee_in_x else 0,
            "protocol_fee_y": 0 if fee_in_x else protocol_fee,
        }


_SUBJECTS: Mapping[str, Subject] = {_RAYDIUM: RaydiumSubject(), _METEORA: MeteoraSubject()}


def run(file: VectorFile) -> Iterator[tuple[VectorCase, str | None]]:
    """Each case, with the disagreement where there is one. Raises KeyError for a program that no venue trades."""
    subject = _SUBJECTS[str(file.program)]
    for case in file.cases:
        try:
            yield case, _disagreement(subject, case)
        except Exception as error:  # noqa: BLE001 - a crash is a disagreement; the other cases still count
            yield case, f"crashed: {type(error).__name__}: {error}"


def arrays_in_swap_order(case: VectorCase) -> list[Pubkey]:
    """A DLMM pool's bin arrays from the active one on, in the direction of the swap."""
    pool = read_pool(case.pool.read, MeteoraSubject.venue, case.pool.address)
    assert isinstance(pool, MeteoraDlmmPool)
    active = pool.pair.active_id // BINS_PER_ARRAY
    down = case.mint_in == pool.pair.mint_x
    arrays = {int(index): Pubkey.from_string(address) for index, address in case.pool.roles["bin_arrays"].items()}
    ahead = [index for index in arrays if (index <= active if down else index >= active)]
    return [arrays[index] for index in sorted(ahead, reverse=down)]


def quoted(venue: Venue, case: VectorCase, withheld: frozenset[Pubkey] = frozenset()) -> tuple[Pool, PoolQuote]:
    """The pool and its quote, from no more accounts than the venue asks for. Raises as `Pool.quote` does."""
    address = case.pool.address
    accounts: dict[Pubkey, Account | None] = {}

    def read(wanted: frozenset[Pubkey]) -> bool:
        fresh = wanted - withheld - accounts.keys()
        accounts.update({each: case.pool.accounts.get(each) for each in fresh})
        return bool(fresh)

    while read(venue.accounts_needed(address, accounts)):
        pass
    while True:
        try:
            pool = venue.decode(address, accounts)
            return pool, pool.quote(case.mint_in, case.amount_in, case.clock)
        except AccountsMissing as missing:
            if not read(frozenset(map(Pubkey.from_string, missing.addresses))):
                raise


def _disagreement(subject: Subject, case: VectorCase) -> str | None:
    try:
        pool, quote = quoted(subject.venue, case, subject.withheld(case))
        if quote.amount_out < case.min_out:
            raise SlippageExceeded(f"{quote.amount_out} is below the floor of {case.min_out}")
    except ExecutionError as error:
        return _error_disagreement(case, error)
    if not case.ok:
        return f"the program fails with {_program_error(case)}, we quote {quote.amount_out}"
    ours = {"amount_out": quote.amount_out, **subject.effects(pool, case)}
    differing = [
        f"{name} {theirs}, ours {ours[name]}"
        for name, theirs in case.result.items()
        if name in ours and int(theirs) != ours[name]
    ]
    return "; ".join(differing) or None


def _error_disagreement(case: VectorCase, error: ExecutionError) -> str | None:
    if case.ok:
        return f"the program pays {case.result['amount_out']}, we raise {type(error).__name__}: {error}"
    expected = _KINDS.get((str(case.result.get("program")), int(case.result.get("code") or 0)), ExecutionError)
    if isinstance(error, expected):
        return None
    return f"{_program_error(case)} is {expected.__name__}, we raise {type(error).__name__}: {error}"


def _program_error(case: VectorCase) -> str:
    return f"{case.result.get('code')} {case.result.get('name', '')}".strip()


def _protocol_fee(pool: MeteoraDlmmPool, fill: BinFill) -> int:
    total_in = fill.market_in + fill.processed_in + fill.open_in
    return split_fee(fill.fee, pool.pair.parameters.protocol_share, fill.market_in, total_in)[1]

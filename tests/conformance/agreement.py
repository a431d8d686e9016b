"""Runs each case of a vector file through the venue that trades its program, and says where the two differ.

A case is run as an order would be: accounts are read as the venue asks for them, the pool is decoded and quoted, the
floor is checked. An account that the file does not hold does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    AmountTooSmall,
    ExecutionError,
    InsufficientLiquidity,
    SlippageExceeded,
)
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from tests.conformance.subject import Subject
from tests.conformance.subjects.meteora_damm_v1 import MeteoraDammV1Subject
from tests.conformance.subjects.meteora_damm_v2 import MeteoraDammV2Subject
from tests.conformance.subjects.meteora_dlmm import MeteoraDlmmSubject
from tests.conformance.subjects.raydium_amm_v4 import RaydiumAmmV4Subject
from tests.conformance.subjects.raydium_clmm import RaydiumClmmSubject
from tests.conformance.subjects.raydium_cpmm import RaydiumCpmmSubject
from tests.conformance.vector_file import VectorCase, VectorFile

# A venue adds its line, and what else there is to know about its file in its own module.
_SUBJECTS: Mapping[str, Subject] = {
    str(subject.venue.program_id): subject
    for subject in (
        RaydiumCpmmSubject(),
        MeteoraDlmmSubject(),
        MeteoraDammV2Subject(),
        RaydiumAmmV4Subject(),
        MeteoraDammV1Subject(),
        RaydiumClmmSubject(),
    )
}

# Cases that fail because of the user and not of the pool, in the file of any program.
_OF_THE_USER = frozenset({"insufficient_user_balance"})

T = TypeVar("T")

_TOKEN_PROGRAMS = frozenset({str(TOKEN_PROGRAM), str(TOKEN_2022_PROGRAM)})
# A swap program hands on the token program's error: of its vaults, since the user's own balance is a kind of its own.
_VAULT_ERRORS: Mapping[int, type[ExecutionError]] = {
    1: InsufficientLiquidity,  # InsufficientFunds: the vault can't pay it
    14: InsufficientLiquidity,  # Overflow: the vault can't hold it
}


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What came of one case: `disagreement` is None where ours is the program's result.

    `outcome` is what ours did; of a case that is `not_reproduced` it is all that is told.
    """

    case: VectorCase
    outcome: str
    disagreement: str | None = None
    not_reproduced: bool = False


def run(file: VectorFile) -> Iterator[CaseReport]:
    """Each case's report. Raises KeyError for a program that no venue trades."""
    subject = _SUBJECTS[str(file.program)]
    for case in file.cases:
        try:
            report = _report(subject, case)
        except Exception as error:  # noqa: BLE001 - a crash is a disagreement; the other cases still count
            crash = f"crashed: {type(error).__name__}: {error}"
            report = CaseReport(case, crash, crash)
        yield report


def subject_of(file: VectorFile) -> Subject:
    """The venue that trades the file's program. Raises KeyError where none does."""
    return _SUBJECTS[str(file.program)]


def quoted(venue: Venue, case: VectorCase, withheld: frozenset[Pubkey] = frozenset()) -> tuple[Pool, PoolQuote]:
    """The pool and its quote, from no more accounts than the venue asks for. Raises as `Pool.quote` does."""
    if case.amount_in == 0:
        raise AmountTooSmall("no amount is given")  # as no request can, so that no pool is ever asked
    return _with_pool(venue, case, withheld, lambda pool: (pool, pool.quote(case.mint_in, case.amount_in, case.clock)))


def _with_pool(venue: Venue, case: VectorCase, withheld: frozenset[Pubkey], use: Callable[[Pool], T]) -> T:
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
            return use(venue.decode(address, accounts))
        except AccountsMissing as missing:
            if not read(frozenset(map(Pubkey.from_string, missing.addresses))):
                raise


def _report(subject: Subject, case: VectorCase) -> CaseReport:
    not_reproduced = case.kind in subject.not_reproduced | _OF_THE_USER
    try:
        pool, quote = quoted(subject.venue, case, subject.withheld(case))
        if quote.amount_out < case.min_out:
            raise SlippageExceeded(f"{quote.amount_out} is below the floor of {case.min_out}")
    except ExecutionError as error:
        refused = f"refused, {type(error).__name__}: {error}"
        if not_reproduced:
            return CaseReport(case, refused, not_reproduced=True)
        return CaseReport(case, refused, _error_disagreement(subject, case, error))
    paid = f"quoted {quote.amount_out}"
    if not_reproduced:
        return CaseReport(case, paid, not_reproduced=True)
    if not case.ok:
        return CaseReport(case, paid, f"the program fails with {_program_error(case)}, we quote {quote.amount_out}")
    return CaseReport(case, paid, _differences(case, {"amount_out": quote.amount_out, **subject.effects(pool, case)}))


def _differences(case: VectorCase, ours: Mapping[str, int]) -> str | None:
    differing = [
        f"{name} {theirs}, ours {ours[name]}"
        for name, theirs in case.result.items()
        if name in ours and int(theirs) != ours[name]
    ]
    return "; ".join(differing) or None


def _error_disagreement(subject: Subject, case: VectorCase, error: ExecutionError) -> str | None:
    if case.ok and int(case.result["amount_out"]) == 0 and isinstance(error, AmountTooSmall):
        # Some programs take the input and pay nothing. No order's floor allows that; all else must be as they say.
        effects = _with_pool(subject.venue, case, frozenset(), lambda pool: subject.effects(pool, case))
        return _differences(case, effects)
    if case.ok:
        return f"the program pays {case.result['amount_out']}, we raise {type(error).__name__}: {error}"
    expected = _expected_error(subject, case)
    if isinstance(error, expected):
        return None
    return f"{_program_error(case)} is {expected.__name__}, we raise {type(error).__name__}: {error}"


def _expected_error(subject: Subject, case: VectorCase) -> type[ExecutionError]:
    if case.result.get("program") in _TOKEN_PROGRAMS:
        return _VAULT_ERRORS.get(case.result["code"], ExecutionError)
    return subject.errors.get(case.result.get("name", ""), ExecutionError)


def _program_error(case: VectorCase) -> str:
    return f"{case.result.get('code')} {case.result.get('name', '')}".strip()

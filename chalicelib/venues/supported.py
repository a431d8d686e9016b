"""The one list of venues: what quotes, signs, reads errors, registers pools or runs the localnet takes them from here.

Read it as `supported.VENUES` when it is needed, so that a venue added to it is one everywhere.
"""

from __future__ import annotations

from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from chalicelib.venues.venue import Venue

VENUES: tuple[Venue, ...] = (RaydiumCpmmVenue(), MeteoraDlmmVenue())


def error_classifier() -> ErrorClassifier:
    """Knows the errors of all venues."""
    return ErrorClassifier(refusals for venue in VENUES for refusals in venue.refusals)

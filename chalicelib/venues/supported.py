"""The one list of venues: what quotes, signs, reads errors, registers pools or runs the localnet takes them from here.

Read it as `supported.VENUES` when it is needed, so that a venue added to it is one everywhere.
"""

from __future__ import annotations

from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.venues.meteora_damm_v1.pool import MeteoraDammV1Venue
from chalicelib.venues.meteora_damm_v2.pool import MeteoraDammV2Venue
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmVenue
from chalicelib.venues.raydium_amm_v4.pool import RaydiumAmmV4Venue
from chalicelib.venues.raydium_clmm.pool import RaydiumClmmVenue
from chalicelib.venues.raydium_cpmm.pool import RaydiumCpmmVenue
from chalicelib.venues.venue import Venue

VENUES: tuple[Venue, ...] = (
    RaydiumCpmmVenue(),
    MeteoraDlmmVenue(),
    RaydiumClmmVenue(),
    MeteoraDammV2Venue(),
    RaydiumAmmV4Venue(),
    MeteoraDammV1Venue(),
)


def error_classifier() -> ErrorClassifier:
    """Knows the errors of all venues."""
    return ErrorClassifier(refusals for venue in VENUES for refusals in venue.refusals)

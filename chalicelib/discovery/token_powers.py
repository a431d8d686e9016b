"""What somebody may still do to a token's holders, as far as an operator must be told. Pure."""

from __future__ import annotations

from solders.pubkey import Pubkey

from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
from chalicelib.solana.accounts import Account
from chalicelib.solana.mint_risks import MintRisk, risks_of


def powers_over(mint: Pubkey, account: Account) -> tuple[MintRisk, ...]:
    """The risks of a token; of those that everybody knows it is known, too, who may freeze them.

    Raises InvalidTokenData where the account is no mint.
    """
    known = str(mint) in WELL_KNOWN_SYMBOLS
    return tuple(risk for risk in risks_of(mint, account) if not (known and risk is MintRisk.FREEZE_AUTHORITY))

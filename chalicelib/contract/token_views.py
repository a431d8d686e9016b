"""How a token that can be traded is told outside, with what its mint may do to who holds it."""

from __future__ import annotations

from chalicelib.contract.json_schema import Json
from chalicelib.orders.token_directory import TradedToken
from chalicelib.solana.mint_risks import MEANINGS, MintRisk


def token_json(token: TradedToken) -> Json:
    """A token that can be traded, as GET /tokens lists it."""
    return {
        "symbol": token.symbol,
        "mint": str(token.mint.address),
        "decimals": token.mint.decimals,
        "tokenProgram": str(token.mint.token_program),
        **({"name": token.name} if token.name is not None else {}),
        **({"verified": True} if token.verified else {}),
        **({"risks": [_risk_json(risk) for risk in token.risks]} if token.risks else {}),
        **({"scaledUi": True} if token.mint.is_shown_scaled else {}),
    }


def _risk_json(risk: MintRisk) -> Json:
    return {"risk": risk.value, "meaning": MEANINGS[risk]}

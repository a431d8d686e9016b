"""A pool's two sides: which of its tokens a mint is, and both of them as `Pool.sides` tells them."""

from __future__ import annotations

from solders.pubkey import Pubkey

from chalicelib.solana.tokens import Mint
from chalicelib.venues.venue import TokenSide


def side_of(mint: Pubkey, mints: tuple[Mint, Mint], pool: Pubkey) -> int:
    """0 or 1: which of `mints`, the pool's in its program's order, has the address `mint`. Raises ValueError: none."""
    if mint == mints[0].address:
        return 0
    if mint == mints[1].address:
        return 1
    raise ValueError(f"{mint} is not a token of pool {pool}")


def token_sides(mints: tuple[Mint, Mint], vaults: tuple[Pubkey, Pubkey]) -> tuple[TokenSide, TokenSide]:
    """The pool's tokens, each with its vault."""
    (first, second), (first_vault, second_vault) = mints, vaults
    return (
        TokenSide(first.address, first.token_program, first.decimals, first_vault),
        TokenSide(second.address, second.token_program, second.decimals, second_vault),
    )

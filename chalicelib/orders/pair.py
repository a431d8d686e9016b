"""The two tokens of an order or a quote, found by symbol or mint."""

from __future__ import annotations

import re
from typing import Protocol

from chalicelib.orders.order import Token
from chalicelib.problems import FieldProblem, InvalidRequest

# 32 bytes in base58; no symbol is so long
_ADDRESS = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
UNKNOWN_TOKEN = "is not a token that is traded here; GET /api/tokens lists them"  # noqa: S105


class TokenDirectory(Protocol):
    """Which tokens can be traded."""

    def find(self, text: str) -> Token | None:
        """The token of a symbol (any case) or a mint address; None where no registered pool trades it."""


def find_token(tokens: TokenDirectory, field: str, text: str) -> Token:
    """The token. Raises InvalidRequest naming `field`."""
    token = tokens.find(text)
    if token is None:
        raise InvalidRequest([FieldProblem(field, UNKNOWN_TOKEN)])
    return token


def find_token_or_mint(tokens: TokenDirectory, field: str, text: str) -> str:
    """A token's mint in base58, where it was traded once too: its mint address alone says which it is.

    Raises InvalidRequest naming `field`, ExecutionError where no node tells what a symbol stands for.
    """
    return text if _ADDRESS.fullmatch(text) else find_token(tokens, field, text).mint


def find_pair(tokens: TokenDirectory, text_in: str, text_out: str) -> tuple[Token, Token]:
    """Both tokens. Raises InvalidRequest naming each field that is wrong."""
    found = {"tokenIn": tokens.find(text_in), "tokenOut": tokens.find(text_out)}
    unknown = [FieldProblem(field, UNKNOWN_TOKEN) for field, token in found.items() if token is None]
    token_in, token_out = found["tokenIn"], found["tokenOut"]
    if token_in is None or token_out is None:
        raise InvalidRequest(unknown)
    if token_in.mint == token_out.mint:
        raise InvalidRequest([FieldProblem("tokenOut", "must be another token than tokenIn")])
    return token_in, token_out

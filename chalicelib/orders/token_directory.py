"""Which tokens can be traded, by symbol or by mint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.orders.order import Token
from chalicelib.solana.accounts import Account, AccountMap
from chalicelib.solana.mint_risks import MintRisk, risks_of
from chalicelib.solana.token_symbol import name_of, symbol_of
from chalicelib.solana.tokens import InvalidTokenData, Mint

# Symbols are not unique on Solana, so the well-known ones are bound to their mints here and can't be taken by another.
# Source: the mints' own issuers; all are in the public token lists.
WELL_KNOWN_SYMBOLS = {
    "So11111111111111111111111111111111111111112": "SOL",
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v": "USDC",
    "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": "USDT",
    "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN": "JUP",
    "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R": "RAY",
    "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263": "BONK",
}


# What those mints are called, in the same lists.
_WELL_KNOWN_NAMES = {
    "SOL": "Solana",
    "USDC": "USD Coin",
    "USDT": "Tether USD",
    "JUP": "Jupiter",
    "RAY": "Raydium",
    "BONK": "Bonk",
}


class MintSource(Protocol):
    def mints(self) -> frozenset[Pubkey]:
        """Every mint that some registered pool trades."""


@dataclass(frozen=True, slots=True)
class TradedToken:
    """A token that a registered pool trades; `symbol` is None where it has none that is its own.

    `verified`: its mint is known to be the token that its symbol and name say. Else `name` is what its maker wrote.
    """

    mint: Mint
    symbol: str | None
    name: str | None = None
    verified: bool = False
    risks: tuple[MintRisk, ...] = ()


class ChainTokenDirectory:
    """The tokens of the registered pools; a mint is read from the chain once, for it can't change its decimals."""

    def __init__(self, registry: MintSource, read_accounts: Callable[[Sequence[Pubkey]], AccountMap]) -> None:
        self._registry = registry
        self._read_accounts = read_accounts
        # Each mint with the symbol that it claims, which may not be its own alone.
        self._known: dict[Pubkey, TradedToken] = {}

    def find(self, text: str) -> Token | None:
        """The token of a symbol (in any case) or a mint address. Raises RpcUnavailable where it can't be told."""
        tokens = self.tokens()
        for token in tokens:
            if str(token.mint.address) == text:
                return _as_order_token(token, text)
        symbol = text.upper() if text.isascii() else None  # the capital of a long s is an S
        for token in tokens:
            if token.symbol is not None and token.symbol == symbol:
                return _as_order_token(token, token.symbol)
        return None

    def tokens(self) -> tuple[TradedToken, ...]:
        """Every traded token: those with symbols first, by symbol. Raises RpcUnavailable.

        A symbol that two of them claim is neither's: a look-alike must not be bought, on whichever machine.
        """
        traded = self._registry.mints()
        self._learn(traded - self._known.keys())
        known = [self._known[address] for address in traded if address in self._known]
        claims = Counter(token.symbol for token in known)
        found = [token if claims[token.symbol] == 1 else replace(token, symbol=None) for token in known]
        return tuple(sorted(found, key=lambda token: (token.symbol is None, token.symbol, str(token.mint.address))))

    def _learn(self, addresses: frozenset[Pubkey]) -> None:
        if not addresses:
            return
        accounts = self._read_accounts(sorted(addresses, key=bytes))
        for address in addresses:
            account = accounts.get(address)
            if account is None:
                continue
            try:
                # the powers over it are read once, too: one can be given up, and none be taken anew
                self._known[address] = _traded(Mint.decode(address, account), account)
            except InvalidTokenData:
                continue  # a pool of what is no token must not take all others down with it


def _traded(mint: Mint, account: Account) -> TradedToken:
    well_known = WELL_KNOWN_SYMBOLS.get(str(mint.address))
    return TradedToken(
        mint,
        _claimed_symbol(mint.address, account),
        name_of(account) if well_known is None else _WELL_KNOWN_NAMES[well_known],
        well_known is not None,
        risks_of(mint.address, account),
    )


def _claimed_symbol(address: Pubkey, account: Account) -> str | None:
    """The mint's well-known symbol, or else the one in its own metadata, unless that is a well-known one."""
    well_known = WELL_KNOWN_SYMBOLS.get(str(address))
    claimed = symbol_of(account)
    if well_known is not None or claimed is None or claimed.upper() in WELL_KNOWN_SYMBOLS.values():
        return well_known
    return claimed.upper()


def _as_order_token(token: TradedToken, text: str) -> Token:
    return Token(text=text, mint=str(token.mint.address), decimals=token.mint.decimals)

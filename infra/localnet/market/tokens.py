"""The genesis market's tokens: real mint addresses and decimals, and one Token-2022 mint that takes a transfer fee."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    Mint,
    TransferFee,
    TransferFeeConfig,
)
from infra.localnet.programs.token_accounts import mint_account, rent_exempt

# Half a percent of each transfer, at most 5000 LEVY.
_LEVY_FEE = TransferFee(epoch=0, maximum_fee=5_000 * 10**6, basis_points=50)
_LEVY_ADDRESS = Pubkey(hashlib.sha256(b"fillrate localnet LEVY").digest())
_EXTENSION_HEADER = Struct("<HH")
_LENGTH = Struct("<I")


@dataclass(frozen=True, slots=True)
class MarketToken:
    """One token. `price` of a whole token, in 10^-12 dollars."""

    symbol: str
    name: str
    mint: Mint
    price: int

    def base_units(self, dollars: int) -> int:
        """What `dollars` buy at the genesis price, in base units."""
        one_token = int(10**self.mint.decimals)
        return dollars * 10**12 * one_token // self.price


def _spl(symbol: str, name: str, address: str, decimals: int, price: int) -> MarketToken:
    return MarketToken(symbol, name, Mint(Pubkey.from_string(address), TOKEN_PROGRAM, decimals), price)


TOKENS = (
    _spl("SOL", "Wrapped SOL", str(NATIVE_MINT), 9, 152_400_000_000_000),
    _spl("USDC", "USD Coin", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v", 6, 1_000_000_000_000),
    _spl("USDT", "Tether USD", "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", 6, 999_700_000_000),
    _spl("JUP", "Jupiter", "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN", 6, 412_500_000_000),
    _spl("RAY", "Raydium", "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R", 6, 2_084_000_000_000),
    _spl("BONK", "Bonk", "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", 5, 15_420_000),
    MarketToken(
        "LEVY",
        "Levy",
        Mint(
            _LEVY_ADDRESS,
            TOKEN_2022_PROGRAM,
            6,
            transfer_fee=TransferFeeConfig(_LEVY_FEE, _LEVY_FEE),
            extensions=frozenset({ExtensionType.TRANSFER_FEE_CONFIG}),
        ),
        3_310_000_000_000,
    ),
)


def market_mint(token: MarketToken, supply: int) -> Account:
    """The mint with `supply` base units in circulation; nobody can make more."""
    account = mint_account(token.mint, supply=supply, authority=None)
    if token.mint.token_program == TOKEN_PROGRAM:
        return account
    data = account.data + _metadata_extensions(token)
    return replace(account, data=data, lamports=rent_exempt(len(data)))


def _metadata_extensions(token: MarketToken) -> bytes:
    """Name and symbol kept in the mint itself (MetadataPointer, TokenMetadata), without an authority."""
    address = bytes(token.mint.address)
    texts = b"".join(_LENGTH.pack(len(text)) + text.encode() for text in (token.name, token.symbol, ""))
    metadata = bytes(32) + address + texts + _LENGTH.pack(0)
    pointer = bytes(32) + address
    return b"".join(
        _EXTENSION_HEADER.pack(kind, len(data)) + data
        for kind, data in ((ExtensionType.METADATA_POINTER, pointer), (ExtensionType.TOKEN_METADATA, metadata))
    )

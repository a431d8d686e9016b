"""The symbol that a Token-2022 mint carries in its own metadata extension."""

from __future__ import annotations

from struct import Struct, error

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_2022_PROGRAM

# solana-program/token-2022: extension type 19 is TokenMetadata, borsh: update authority, mint, name, symbol, …
_TOKEN_METADATA = 19
_HEADER = Struct("<HH")
_LENGTH = Struct("<I")
_NAME_OFFSET = 64
_LONGEST_SYMBOL = 10


def symbol_of(account: Account) -> str | None:
    """The symbol, where the mint is Token-2022's, has the extension, and the symbol is short visible ASCII."""
    if account.owner != TOKEN_2022_PROGRAM:
        return None
    try:
        metadata = _metadata(account.data)
        if metadata is None:
            return None
        _, offset = _text(metadata, _NAME_OFFSET)
        symbol, _ = _text(metadata, offset)
    except error:
        return None
    text = symbol.decode("ascii", errors="replace").strip()
    return text if 0 < len(text) <= _LONGEST_SYMBOL and text.isalnum() and text.isascii() else None


def _metadata(data: bytes) -> bytes | None:
    offset = EXTENSIONS_OFFSET
    while offset + _HEADER.size <= len(data):
        kind, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if kind == _TOKEN_METADATA:
            return data[offset : offset + length]
        if kind == 0:
            return None
        offset += length
    return None


def _text(data: bytes, offset: int) -> tuple[bytes, int]:
    (length,) = _LENGTH.unpack_from(data, offset)
    start = offset + _LENGTH.size
    return data[start : start + length], start + length

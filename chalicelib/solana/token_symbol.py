"""The symbol and the name that a Token-2022 mint carries in its own metadata extension."""

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
_LONGEST_NAME = 64


def symbol_of(account: Account) -> str | None:
    """The symbol, where the mint is Token-2022's, has the extension, and the symbol is short visible ASCII."""
    text = written_symbol(account)
    return text if text and len(text) <= _LONGEST_SYMBOL and text.isalnum() and text.isascii() else None


def written_symbol(account: Account) -> str | None:
    """What the mint's own metadata calls it, whatever that is: to be looked at, not to be traded by."""
    written = _written(account)
    return None if written is None else written[1]


def name_of(account: Account) -> str | None:
    """The mint's name in its own metadata, as far as it can be shown: its first characters that have a glyph.

    Whoever made the mint chose it: it may be another token's name, or no name at all. What would turn the text around
    it, or end a line, is left out.
    """
    written = _written(account)
    if written is None:
        return None
    name = "".join(character for character in written[0] if character.isprintable()).strip()
    return name[:_LONGEST_NAME].strip() or None


def _written(account: Account) -> tuple[str, str] | None:
    """The name and the symbol."""
    if account.owner != TOKEN_2022_PROGRAM:
        return None
    try:
        metadata = _metadata(account.data)
        if metadata is None:
            return None
        name, offset = _text(metadata, _NAME_OFFSET)
        symbol, _ = _text(metadata, offset)
    except error:
        return None
    return name.decode(errors="replace").strip(), symbol.decode(errors="replace").strip()


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

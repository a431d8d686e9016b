"""Base58 as Bitcoin and Solana write it."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: digit for digit, letter in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    letters = []
    while number:
        number, digit = divmod(number, 58)
        letters.append(_ALPHABET[digit])
    leading_zeros = len(data) - len(data.lstrip(b"\0"))
    return _ALPHABET[0] * leading_zeros + "".join(reversed(letters))


def decode(text: str) -> bytes:
    """Raises ValueError where `text` has a letter that is not in the alphabet."""
    number = 0
    for letter in text:
        if letter not in _DIGITS:
            raise ValueError(f"{letter!r} is no base58 digit")
        number = number * 58 + _DIGITS[letter]
    leading_zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    return bytes(leading_zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")

"""Symbols that a reader takes for one another. Pure."""

from __future__ import annotations

import unicodedata

# Characters that look like a Latin capital or a digit, an excerpt of Unicode's confusables.txt (UTS 39) for what
# symbols are written in: digits, Cyrillic and Greek.
_DRAWN_ALIKE = str.maketrans(
    {
        **dict.fromkeys("0\u041e\u039f", "O"),
        **dict.fromkeys("1|L\u0406\u0399\u04c0", "I"),
        **dict.fromkeys("5\u0405", "S"),
        **dict.fromkeys("2\u0396", "Z"),
        **dict.fromkeys("8\u0412\u0392", "B"),
        **dict.fromkeys("\u0410\u0391", "A"),
        **dict.fromkeys("\u0421\u03f9", "C"),
        **dict.fromkeys("\u0415\u0395", "E"),
        **dict.fromkeys("\u041d\u0397", "H"),
        **dict.fromkeys("\u0408\u037f", "J"),
        **dict.fromkeys("\u041a\u039a", "K"),
        **dict.fromkeys("\u041c\u039c", "M"),
        "\u039d": "N",
        **dict.fromkeys("\u0420\u03a1", "P"),
        **dict.fromkeys("\u0422\u03a4", "T"),
        "\u054d": "U",
        **dict.fromkeys("\u0423\u03a5\u04ae", "Y"),
        **dict.fromkeys("\u0425\u03a7", "X"),
    }
)


def skeleton(symbol: str) -> str:
    """What is left of a symbol for the eye: two symbols with the same skeleton look alike.

    Compatibility forms are unfolded, accents and whatever draws nothing are dropped, capitals are small letters' too.
    """
    unfolded = unicodedata.normalize("NFKD", symbol).upper()
    drawn = (one for one in unfolded if unicodedata.category(one)[0] in "LNPS")
    return "".join(drawn).translate(_DRAWN_ALIKE)

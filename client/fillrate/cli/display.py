"""How values look to a person. Whatever came from outside passes `printable`, so that it can't steer a terminal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal


def printable(text: object) -> str:
    """Without control characters: a token's symbol is whatever its issuer wrote on the chain."""
    return "".join(character if character.isprintable() else "�" for character in str(text))


def amount(number: Decimal | None) -> str:
    """Exact, with separators: 1,522.2072."""
    return "–" if number is None else f"{number:,f}"


def percent(fraction: Decimal | None) -> str:
    """A fraction as percent, exact: 0.005 is 0.5 %."""
    if fraction is None:
        return "–"
    text = f"{fraction * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def shortened(address: str, *, whole: bool) -> str:
    """An address to recognise, or the whole of it to copy."""
    text = printable(address)
    return text if whole or len(text) <= 11 else f"{text[:5]}…{text[-5:]}"


def seconds(duration: float) -> str:
    return f"{duration:.3f} s" if duration < 100 else f"{duration:.0f} s"


def age(moment: datetime, now: datetime) -> str:
    """In one unit: 12s, 3m, 5h, 2d."""
    passed = max(int((now - moment).total_seconds()), 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if passed >= length:
            return f"{passed // length}{unit}"
    return f"{passed}s"


def local_time(moment: datetime) -> str:
    """In the user's own time zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"

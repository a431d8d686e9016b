"""Amounts as JSON-RPC shows them to people: base units by the mint's decimals, and by its multiplier where it has one.

`amount` is always the base units; only `uiAmount` and `uiAmountString` are scaled, in floats as on a node.
Sources: anza-xyz/agave, account-decoder/src/parse_token.rs `token_amount_to_ui_amount_v3`; solana-program/token-2022,
interface/src/extension, scaled_ui_amount and interest_bearing_mint, `amount_to_ui_amount`: as of program 11.0.0, which
cuts a scaled amount off at a whole base unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from struct import Struct
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, ChainClock
from chalicelib.solana.tokens import ExtensionType
from infra.localnet.message import ReadAccount
from infra.localnet.token_extensions import mint_extensions

# authority; multiplier f64, when the new one holds i64, the new one f64
SCALED_UI_AMOUNT = Struct("<32sdqd")
# rate authority; initialised i64, average rate until the last update i16, last update i64, rate since then i16
INTEREST_BEARING = Struct("<32sqhqh")

_SECONDS_PER_YEAR = 60.0 * 60.0 * 24.0 * 365.24
_ONE_IN_BASIS_POINTS = 10_000.0
_I64 = range(-(1 << 63), 1 << 63)
# From twenty decimals on a node gives no number: ten to their power is no u64.
_MOST_DECIMALS_OF_A_NUMBER = 19


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A scaled mint's, at one moment."""

    value: float

    def text(self, amount: int, decimals: int) -> str:
        scaled = float(amount) * self.value
        whole = float(math.trunc(scaled)) if math.isfinite(scaled) else scaled
        return _trimmed(whole / _power_of_ten(decimals), decimals)


@dataclass(frozen=True, slots=True)
class Interest:
    """What one unit of an interest-bearing mint has come to. None: a span of time is no i64, and nothing is shown."""

    value: float | None

    def text(self, amount: int, decimals: int) -> str | None:
        if self.value is None:
            return None
        return _trimmed(float(amount) * (self.value / _power_of_ten(decimals)), decimals)


@dataclass(frozen=True, slots=True)
class UiUnit:
    """In what a mint's amounts are shown."""

    decimals: int
    scale: Multiplier | Interest | None = None

    @classmethod
    def of(cls, mint: Pubkey, decimals: int, read: ReadAccount) -> UiUnit:
        """The mint's as of what `read` gives, the clock included."""
        account, clock = read(mint), read(CLOCK_SYSVAR)
        if account is None or clock is None:
            return cls(decimals)
        return cls(decimals, _scale(account, ChainClock.decode(clock.data).unix_timestamp))

    def show(self, amount: int) -> dict[str, Any]:
        """The UiTokenAmount of so many base units."""
        text: str | None
        number: float | None
        if self.scale is None:
            text = _plain(amount, self.decimals)
            number = None
            if self.decimals <= _MOST_DECIMALS_OF_A_NUMBER:
                number = float(amount) / float(10**self.decimals)
        else:
            text = self.scale.text(amount, self.decimals)
            number = None if text is None else float(text)
        if number is not None and not math.isfinite(number):
            number = None  # JSON has no name for it
        return {"amount": str(amount), "decimals": self.decimals, "uiAmount": number, "uiAmountString": text or ""}


def _scale(mint: Account, now: int) -> Multiplier | Interest | None:
    extensions = mint_extensions(mint)
    interest = extensions.get(ExtensionType.INTEREST_BEARING_CONFIG, b"")
    if len(interest) == INTEREST_BEARING.size:
        return Interest(_interest(interest, now))
    scaled = extensions.get(ExtensionType.SCALED_UI_AMOUNT, b"")
    if len(scaled) == SCALED_UI_AMOUNT.size:
        _, multiplier, from_then_on, new_multiplier = SCALED_UI_AMOUNT.unpack(scaled)
        return Multiplier(new_multiplier if now >= from_then_on else multiplier)
    return None


def _interest(config: bytes, now: int) -> float | None:
    _, initialized, average_rate, updated, rate = INTEREST_BEARING.unpack(config)
    spans = updated - initialized, now - updated
    if any(span not in _I64 for span in spans):
        return None
    before, after = (
        _exp(float(basis_points * span) / _SECONDS_PER_YEAR / _ONE_IN_BASIS_POINTS)
        for basis_points, span in zip((average_rate, rate), spans, strict=True)
    )
    return before * after


def _exp(exponent: float) -> float:
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf


def _power_of_ten(exponent: int) -> float:
    """By squaring, as `num_traits::pow` does: above 22 the last digit shows it."""
    result, base = 1.0, 10.0
    while exponent:
        if exponent & 1:
            result *= base
        exponent >>= 1
        base *= base
    return result


def _trimmed(number: float, decimals: int) -> str:
    text = "NaN" if math.isnan(number) else f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def _plain(amount: int, decimals: int) -> str:
    text = f"{Decimal(amount).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

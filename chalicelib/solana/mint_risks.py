"""What somebody may still do to a token's holders, as its mint says: for whoever decides to trade it. Pure.

Layouts: solana-program/token, interface/src/state.rs (`Mint`); solana-program/token-2022, interface/src/extension.
"""

from __future__ import annotations

from enum import StrEnum

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import ExtensionType, extensions_of

# mint_authority COption<Pubkey>, supply u64, decimals u8, is_initialized u8, then freeze_authority COption<Pubkey>
_FREEZE_AUTHORITY_OFFSET = 46
_KEY_LENGTH = 32


class MintRisk(StrEnum):
    """A power over a token that its issuer has kept."""

    PERMANENT_DELEGATE = "permanent-delegate"
    MINT_CLOSE_AUTHORITY = "mint-close-authority"
    PAUSABLE = "pausable"
    FREEZE_AUTHORITY = "freeze-authority"
    CHANGEABLE_FEE = "changeable-fee"
    CHANGEABLE_HOOK = "changeable-hook"


MEANINGS = {
    MintRisk.PERMANENT_DELEGATE: "somebody may move or burn every holder's tokens, the wallet's and the pool's too",
    MintRisk.MINT_CLOSE_AUTHORITY: "somebody may close the mint and make another at its address",
    MintRisk.PAUSABLE: "somebody may stop every transfer",
    MintRisk.FREEZE_AUTHORITY: "somebody may freeze any account, the wallet's and the pool's too",
    MintRisk.CHANGEABLE_FEE: "somebody may raise the fee on each transfer, to all of it",
    MintRisk.CHANGEABLE_HOOK: "somebody may have a program of theirs decide on each transfer",
}

# Each of these extensions begins with the key that holds the power, all zeros where nobody does any more.
_POWERS = {
    ExtensionType.PERMANENT_DELEGATE: MintRisk.PERMANENT_DELEGATE,
    ExtensionType.MINT_CLOSE_AUTHORITY: MintRisk.MINT_CLOSE_AUTHORITY,
    ExtensionType.PAUSABLE: MintRisk.PAUSABLE,
    ExtensionType.TRANSFER_FEE_CONFIG: MintRisk.CHANGEABLE_FEE,
    ExtensionType.TRANSFER_HOOK: MintRisk.CHANGEABLE_HOOK,
}


def risks_of(address: Pubkey, mint: Account) -> tuple[MintRisk, ...]:
    """The powers over the token of `mint` that somebody holds. Raises InvalidTokenData where it is no mint."""
    found = [risk for kind, risk in _POWERS.items() if any(extensions_of(address, mint).get(kind, b"")[:_KEY_LENGTH])]
    if any(mint.data[_FREEZE_AUTHORITY_OFFSET : _FREEZE_AUTHORITY_OFFSET + 4]):
        found.append(MintRisk.FREEZE_AUTHORITY)
    return tuple(found)

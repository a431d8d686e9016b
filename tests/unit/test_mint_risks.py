"""Powers over a token that its mint tells of, and symbols that look like others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.look_alikes import skeleton
from chalicelib.solana.mint_risks import MEANINGS, MintRisk, risks_of
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, ExtensionType, Mint
from infra.localnet.programs.token_accounts import mint_account
from tests.localnet.token_2022 import with_extension

ADDRESS = Pubkey.from_bytes(bytes([7] * 32))
SOMEBODY, NOBODY = bytes([91] * 32), bytes(32)


def mint(program: Pubkey = TOKEN_2022_PROGRAM) -> Account:
    return mint_account(Mint(ADDRESS, program, 6), supply=1, authority=None)


@pytest.mark.parametrize("program", [TOKEN_PROGRAM, TOKEN_2022_PROGRAM])
def test_a_mint_over_which_nobody_has_a_power_has_no_risk(program: Pubkey) -> None:
    assert risks_of(ADDRESS, mint(program)) == ()


@pytest.mark.parametrize(
    ("kind", "rest", "risk"),
    [
        (ExtensionType.PERMANENT_DELEGATE, b"", MintRisk.PERMANENT_DELEGATE),
        (ExtensionType.MINT_CLOSE_AUTHORITY, b"", MintRisk.MINT_CLOSE_AUTHORITY),
        (ExtensionType.PAUSABLE, b"\0", MintRisk.PAUSABLE),
        (ExtensionType.TRANSFER_FEE_CONFIG, bytes(76), MintRisk.CHANGEABLE_FEE),
        (ExtensionType.TRANSFER_HOOK, bytes(32), MintRisk.CHANGEABLE_HOOK),
    ],
)
def test_a_power_is_a_risk_while_somebody_holds_it(kind: int, rest: bytes, risk: MintRisk) -> None:
    assert risks_of(ADDRESS, with_extension(kind, SOMEBODY + rest, 1)(mint())) == (risk,)
    assert risks_of(ADDRESS, with_extension(kind, NOBODY + rest, 1)(mint())) == ()


@pytest.mark.parametrize("program", [TOKEN_PROGRAM, TOKEN_2022_PROGRAM])
def test_who_may_freeze_is_told_by_the_mint_itself(program: Pubkey) -> None:
    """spl_token_interface::state::Mint: the last field, freeze_authority, is a tag of four bytes and a key."""
    account = mint(program)
    data = account.data[:46] + b"\1\0\0\0" + SOMEBODY + account.data[82:]
    assert risks_of(ADDRESS, replace(account, data=data)) == (MintRisk.FREEZE_AUTHORITY,)


def test_each_risk_has_a_meaning_in_words() -> None:
    assert MEANINGS.keys() == set(MintRisk)


@pytest.mark.parametrize(
    ("symbol", "like"),
    [
        ("usdc", "USDC"),
        ("U5DC", "USDC"),
        ("USD\u0421", "USDC"),  # the Cyrillic letter es
        ("US\u200bDC", "USDC"),  # a space without width
        ("\uff35\uff33\uff24\uff23", "USDC"),  # full-width letters
        ("\u00dcSDC", "USDC"),
        ("S0L", "SOL"),
        ("SO1", "SOL"),
        ("\u0392ONK", "BONK"),  # the Greek letter beta
        ("USDC ", "USDC"),
    ],
    ids=ascii,
)
def test_symbols_that_look_alike_have_the_same_skeleton(symbol: str, like: str) -> None:
    assert skeleton(symbol) == skeleton(like)


@pytest.mark.parametrize(("one", "other"), [("USDC", "USDT"), ("SOL", "MSOL"), ("JUP", "JUPSOL"), ("RAY", "GRAY")])
def test_symbols_that_do_not_are_told_apart(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)

"""What a venue is told of an account that is not there, was never made, or is of a token that nobody can trade."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.problems import AccountsMissing, TokenNotTradable, VenueUnavailable
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint
from chalicelib.venues.pool_accounts import (
    InvalidAccount,
    account_if_made,
    check_account,
    existing_account,
    tradable_mint,
)
from infra.localnet.programs.token_accounts import mint_account

ADDRESS = Pubkey(bytes([7] * 32))
MADE = Account(TOKEN_PROGRAM, 1, b"data")


def test_an_account_is_there_does_not_exist_or_was_not_read() -> None:
    assert existing_account(ADDRESS, {ADDRESS: MADE}) is MADE
    with pytest.raises(VenueUnavailable, match=f"account {ADDRESS} does not exist"):
        existing_account(ADDRESS, {ADDRESS: None})
    with pytest.raises(AccountsMissing):
        existing_account(ADDRESS, {})


def test_an_account_is_of_its_program_and_begins_and_is_as_long_as_others_of_its_name() -> None:
    def check(owner: Pubkey, data: bytes) -> None:
        check_account(TOKEN_PROGRAM, "Tokens", owner, data, b"mark", 6, "Pool")

    check(TOKEN_PROGRAM, b"mark..")
    with pytest.raises(InvalidAccount, match=rf"^no Pool of Tokens: owned by {SYSTEM_PROGRAM}$"):
        check(SYSTEM_PROGRAM, b"mark..")
    for data in (b"Mark..", b"mark.", b"mark..."):
        with pytest.raises(InvalidAccount, match=r"^no Pool of Tokens$"):
            check(TOKEN_PROGRAM, data)


def test_lamports_at_an_address_are_no_account_that_a_program_has_made() -> None:
    assert account_if_made(ADDRESS, {ADDRESS: MADE}) is MADE
    assert account_if_made(ADDRESS, {ADDRESS: None}) is None
    assert account_if_made(ADDRESS, {ADDRESS: Account(SYSTEM_PROGRAM, 1, b"")}) is None


def test_a_mint_that_nobody_can_trade_is_told_with_all_that_keeps_from_it() -> None:
    plain = mint_account(Mint(ADDRESS, TOKEN_PROGRAM, 6), supply=1, authority=None)
    # a transfer hook, and a mint that hands out non-transferable tokens
    hook = (14).to_bytes(2, "little") + (64).to_bytes(2, "little") + bytes([7] * 64)
    soulbound = (9).to_bytes(2, "little") + bytes(2)
    data = plain.data.ljust(165, b"\0") + b"\x01" + hook + soulbound
    with pytest.raises(TokenNotTradable) as refused:
        tradable_mint(ADDRESS, {ADDRESS: Account(TOKEN_2022_PROGRAM, 1, data)})
    assert refused.value.mint == str(ADDRESS)
    assert "transfer_hook, non_transferable" in str(refused.value) or "non_transferable, transfer_hook" in str(
        refused.value
    )

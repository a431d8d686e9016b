"""Mints and token accounts as far as they tell balances. Amounts are base units until they become text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    InvalidTokenData,
    Mint,
    TokenAccount,
)
from infra.localnet.message import ReadAccount
from infra.localnet.ui_amount import UiUnit

TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM, TOKEN_2022_PROGRAM})


def token_account(account: Account | None) -> TokenAccount | None:
    """The token account, or None where `account` is something else."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    try:
        return TokenAccount.decode(account)
    except InvalidTokenData:
        return None


def mint(address: Pubkey, read: ReadAccount) -> Mint | None:
    """The mint at `address`, or None where there is none."""
    account = read(address)
    if account is None:
        return None
    try:
        return Mint.decode(address, account)
    except InvalidTokenData:
        return None


def token_balances(keys: Iterable[Pubkey], read: ReadAccount, read_mint: ReadAccount) -> list[dict[str, Any]]:
    """A transaction's `preTokenBalances` or `postTokenBalances`: each of `keys` that is a token account."""
    balances = []
    for index, key in enumerate(keys):
        account = read(key)
        holding = token_account(account)
        if holding is None or account is None:
            continue
        of_mint = mint(holding.mint, read_mint)
        if of_mint is None:
            continue
        balances.append(
            {
                "accountIndex": index,
                "mint": str(holding.mint),
                "owner": str(holding.owner),
                "programId": str(account.owner),
                # A node takes no multiplier into account here (svm/src/transaction_balances.rs `SvmTokenInfo`).
                "uiTokenAmount": UiUnit(of_mint.decimals).show(holding.amount),
            }
        )
    return balances

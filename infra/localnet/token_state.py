"""Token balances as JSON-RPC shows them. Amounts are base units until they become text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.amounts import to_text
from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    InvalidTokenData,
    Mint,
    TokenAccount,
)
from infra.localnet.message import ReadAccount

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


def ui_token_amount(amount: int, decimals: int) -> dict[str, Any]:
    """`uiAmount` is the JSON number that the method's definition demands; the others are exact."""
    text = to_text(amount, decimals)
    return {"amount": str(amount), "decimals": decimals, "uiAmount": float(text), "uiAmountString": text}


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
                "uiTokenAmount": ui_token_amount(holding.amount, of_mint.decimals),
            }
        )
    return balances

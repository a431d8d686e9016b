"""What a landed swap really moved, read from the balances before and after that the cluster keeps with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.rpc_answers import whole_number
from chalicelib.solana.tokens import NATIVE_MINT


class FillUnreadable(Exception):
    """A landed transaction's fill can't be told. Not an ExecutionError: the swap did happen, nothing may repeat it."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Base units that left the wallet and that arrived in it; the network's fee, lamports; the block's slot.

    `left_over`: what else arrived, of tokens that the swap went over, by mint.
    """

    amount_in: int
    amount_out: int
    fee_lamports: int
    slot: int
    left_over: tuple[tuple[Pubkey, int], ...] = ()


def read_fill(
    transaction: Mapping[str, Any],
    wallet: Pubkey,
    mint_in: Pubkey,
    mint_out: Pubkey,
    between: Sequence[Pubkey] = (),
    tip_lamports: int = 0,
) -> Fill:
    """The fill of a successful swap, from `getTransaction`'s JSON (encoding "json" or "jsonParsed").

    `between` are the tokens that it went over: the first hop may have paid more of one than the second spent.
    `tip_lamports` went from the wallet to a lane: they are neither sold nor a fee of the network's.

    A token's amount is the change of all the wallet's accounts of its mint. SOL's is the change in lamports of the
    wallet and of all its token accounts together, without fee and tip: what an account's rent takes from the wallet it
    holds itself, so opening and closing accounts cancels out, and wrapping is no spending.

    Raises:
        FillUnreadable: the transaction failed, lacks what is needed, or isn't such a swap.
    """
    meta = transaction.get("meta")
    if not isinstance(meta, dict):
        raise FillUnreadable("the transaction has no meta")
    if meta.get("err") is not None:
        raise FillUnreadable(f"the transaction failed: {meta['err']}")
    try:
        balances = _Balances.read(transaction, meta, str(wallet), tip_lamports)
        amount_in = -balances.change(mint_in)
        amount_out = balances.change(mint_out)
        left_over = tuple((mint, left) for mint in between if (left := balances.change(mint)) > 0)
        fill = Fill(amount_in, amount_out, int(meta["fee"]), int(transaction["slot"]), left_over)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FillUnreadable(f"the transaction lacks what its fill is read from ({type(error).__name__})") from error
    if fill.amount_in <= 0 or fill.amount_out <= 0:
        raise FillUnreadable(f"the transaction is no swap: {fill.amount_in} paid, {fill.amount_out} received")
    return fill


def lamports_after(transaction: Mapping[str, Any], wallet: Pubkey) -> int:
    """What the wallet itself holds after the transaction, in lamports; its token accounts' are not among it.

    Raises FillUnreadable.
    """
    try:
        meta = transaction["meta"]
        return int(meta["postBalances"][account_keys(transaction, meta).index(str(wallet))])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FillUnreadable(f"the transaction lacks the wallet's balance ({error!r})") from error


def network_fee(transaction: Mapping[str, Any]) -> int:
    """What the network took for a landed transaction, whether or not it failed, in lamports. Raises FillUnreadable."""
    try:
        return whole_number(transaction["meta"]["fee"])
    except (KeyError, TypeError, ValueError) as error:
        raise FillUnreadable(f"the transaction lacks its fee ({error!r})") from error


@dataclass(frozen=True, slots=True)
class _Balances:
    """One owner's changes: lamports without the network's fee, and tokens by mint."""

    lamports: int
    tokens: dict[str, int]

    def change(self, mint: Pubkey) -> int:
        return self.lamports if mint == NATIVE_MINT else self.tokens.get(str(mint), 0)

    @classmethod
    def read(cls, transaction: Mapping[str, Any], meta: Mapping[str, Any], owner: str, tip_lamports: int) -> _Balances:
        keys = account_keys(transaction, meta)
        before = _owned(meta["preTokenBalances"], owner)
        after = _owned(meta["postTokenBalances"], owner)
        tokens: dict[str, int] = {}
        for balances, sign in ((before, -1), (after, 1)):
            for balance in balances:
                mint = balance["mint"]
                tokens[mint] = tokens.get(mint, 0) + sign * int(balance["uiTokenAmount"]["amount"])
        # A temporary account, opened and closed inside the transaction, holds nothing before and after: it may be
        # absent from both lists.
        indices = {keys.index(owner)} | {int(balance["accountIndex"]) for balance in (*before, *after)}
        lamports = sum(int(meta["postBalances"][index]) - int(meta["preBalances"][index]) for index in indices)
        if keys[0] == owner:
            lamports += int(meta["fee"]) + tip_lamports
        return cls(lamports, tokens)


def account_keys(transaction: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    """All accounts in the order of the balances: the message's own, then those from lookup tables.

    Raises KeyError, TypeError or AttributeError where the transaction is of another shape.
    """
    own = transaction["transaction"]["message"]["accountKeys"]
    keys = [key["pubkey"] if isinstance(key, dict) else key for key in own]
    if any(isinstance(key, dict) for key in own):
        # jsonParsed lists the loaded ones too.
        return keys
    loaded = meta.get("loadedAddresses") or {}
    return [*keys, *(loaded.get("writable") or ()), *(loaded.get("readonly") or ())]


def _owned(balances: Sequence[Mapping[str, Any]], owner: str) -> list[Mapping[str, Any]]:
    return [balance for balance in balances if balance["owner"] == owner]

"""Of a swap's refusal that its code doesn't tell whose accounts it is about: the wallet's own, or the pool's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError, InsufficientBalance, TransactionRejected, VenueUnavailable
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.tokens import InvalidTokenData, TokenAccount
from chalicelib.solana.transaction import SwapPlan


def told_apart(
    error: ExecutionError, plan: SwapPlan, amount_in: int, read_accounts: Callable[[Sequence[Pubkey]], AccountMap]
) -> ExecutionError:
    """`error`, which a simulation of `plan` gave, or a better one: about the wallet's accounts, or about the pool's.

    `amount_in` is what the plan pays, base units. Raises what `read_accounts` raises.
    """
    if error.leg is None or not isinstance(error, InsufficientBalance | TransactionRejected):
        return error
    own = (plan.source, *plan.between, plan.destination)
    accounts = read_accounts([account.address for account in own])
    for account in own:
        held = _decoded(accounts, account.address)
        if held is None:
            continue
        if held.frozen:
            return TransactionRejected(
                f"the wallet's own account {account.address} of token {account.token.mint} is frozen: "
                "only the token's issuer can thaw it"
            )
        if account is plan.source and held.amount < amount_in:
            return InsufficientBalance(
                f"the wallet holds {held.amount} base units of the {amount_in} that the order pays ({held.mint})"
            )
    if isinstance(error, InsufficientBalance):
        of_pool = VenueUnavailable(f"the pool holds too little to pay what it quoted: {error}")
        of_pool.leg = error.leg
        return of_pool
    return error


def _decoded(accounts: AccountMap, address: Pubkey) -> TokenAccount | None:
    """None where there is no token account yet: it is opened by the transaction."""
    account = accounts.get(address)
    if account is None:
        return None
    try:
        return TokenAccount.decode(account)
    except InvalidTokenData:
        return None

"""Error codes in plain words, each with what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """`meaning` is a sentence, `advice` another, or nothing where there is nothing to do."""

    meaning: str
    advice: str = ""


_WORDS = {
    # Before an order exists.
    "INVALID_REQUEST": Words("The request has something wrong in it."),
    "UNAUTHORIZED": Words("No valid API key came with the request.", "Set FILLRATE_API_KEY, or give --api-key."),
    "FORBIDDEN": Words("The API key may not do this.", "Use a key with the scope that is named."),
    "NOT_FOUND": Words("There is no such thing in this account.", "`fillrate orders` lists its orders."),
    "CONFLICT": Words("That can't be done any more, or the key was used for another order."),
    "CLIENT_ORDER_ID_TAKEN": Words("Another order of the account has this client order id.", "Use a new one."),
    "BACKLOGGED": Words("Too many orders are waiting.", "Try again after the time that is named."),
    "RATE_LIMITED": Words("The API key is used too often.", "Try again after the time that is named."),
    "TOO_MANY_OPEN_ORDERS": Words("Too many of the account's orders are open.", "Wait until some have ended."),
    "TOO_MANY_WAITING_ORDERS": Words(
        "Too many of the account's orders wait for a price.", "Cancel some, or wait until some have ended."
    ),
    "IMPLAUSIBLE_PRICE": Words(
        "A price looks like a mistake beside the market's.", "Correct it, or say --force if it is meant."
    ),
    "NO_WEBSOCKET": Words("There is no WebSocket here.", "Commands poll instead: nothing is to be done."),
    "TOO_MANY_REQUESTS": Words("The service is asked too often.", "Try again in a moment."),
    "TOO_MANY_CONNECTIONS": Words(
        "As many WebSocket connections are open as may be.",
        "Close one, or watch all orders over one: `fillrate watch`.",
    ),
    "BAD_REQUEST": Words("The request can't be served as it is."),
    "MESSAGE_TOO_LARGE": Words("A WebSocket message was too large."),
    "TOO_MANY_SUBSCRIPTIONS": Words("One connection watches too many orders.", "Watch all of them: `fillrate watch`."),
    "TOO_MANY_QUOTE_STREAMS": Words(
        "As many quotes are streamed as may be.", "End another: 5 a connection, 20 an account."
    ),
    "DISCONNECTED": Words("The connection was lost.", "Another is opened: nothing is to be done."),
    # An order's, or a quote's.
    "NO_POOL": Words("No registered pool trades this pair.", "`fillrate tokens` lists what is traded."),
    "TOKEN_NOT_TRADABLE": Words(
        "The token's own rules keep it from being traded.", "`fillrate tokens` lists other tokens."
    ),
    "INSUFFICIENT_LIQUIDITY": Words("The pools hold less than this order asks for.", "Try a smaller amount."),
    "INSUFFICIENT_BALANCE": Words(
        "The engine's wallet holds too little of the token sold, or of SOL for fees.", "Fund the wallet, or sell less."
    ),
    "AMOUNT_TOO_SMALL": Words("The amount is so small that nothing would come out.", "Try a larger amount."),
    "SLIPPAGE_EXCEEDED": Words(
        "The price moved further than the slippage allows.", "Try again, or allow more with --slippage."
    ),
    "VENUE_UNAVAILABLE": Words("The pool does not take swaps just now.", "Try again later."),
    "ACCOUNTS_MISSING": Words("The pool moved while it was read.", "Try again."),
    "TRANSACTION_EXPIRED": Words(
        "The transaction did not reach the chain in time; nothing was traded.", "Try again when Solana is less busy."
    ),
    "TRANSACTION_REJECTED": Words("The chain refuses this transaction, and would again."),
    "TRANSACTION_TOO_LARGE": Words("The route does not fit into one transaction.", "Try a smaller amount."),
    "EXECUTION_FAILED": Words("The swap did not go through."),
    "TRANSIENT": Words("Something was not available for a moment.", "Try again in a moment."),
    "PERMANENT": Words("The order can't be executed as it is."),
    "RPC_REFUSED": Words(
        "The Solana node refused the request.", "Try again later; if it stays so, the stage's node must be looked at."
    ),
    "RPC_UNAVAILABLE": Words("No Solana node answers.", "Try again in a moment; `fillrate health` tells more."),
    "WALLET_UNAVAILABLE": Words("The wallet can't sign just now; nothing was traded.", "Try again in a moment."),
    "AWS_UNAVAILABLE": Words("The order storage does not answer; nothing was stored.", "Try again in a moment."),
    "LIMIT_EXCEEDED": Words("The order is beyond a limit of the account.", "`fillrate limits show` lists the limits."),
    "FEE_TOO_HIGH": Words(
        "Solana's fees are more than the order, or a limit, lets a transaction cost.",
        "Try a larger order, or a higher maxNetworkFee.",
    ),
    "PRICE_IMPACT": Words("The order would move the price further than allowed.", "Try a smaller amount."),
    "PRICE_DEVIATION": Words("The route's price is too far from that of other pools.", "Try again later."),
    "EXPIRED": Words(
        "The order's time was over before it was filled; nothing was traded.", "Place it again if need be."
    ),
    "HALTED": Words("Trading is halted by the operator; nothing was traded.", "Try again after `fillrate resume`."),
    "KEY_REVOKED": Words(
        "The API key that placed the order was revoked; nothing was traded.", "Place it again with a valid key."
    ),
    "SIGNING_REFUSED": Words("The wallet refused to sign: the transaction was not what the order allows."),
    "INTERNAL": Words("Something went wrong on the service's side.", "It may be sent again."),
    # The client's own.
    "SERVICE_UNAVAILABLE": Words("The service is unwell.", "Try again in a moment; `fillrate health` tells more."),
    "SUBMISSION_UNKNOWN": Words(
        "It is not known whether the order was placed.",
        "Run the same command with what is named above: that can't place a second order.",
    ),
    "UNREACHABLE": Words("Fillrate can't be reached.", "For the local one: `make up`. Else check FILLRATE_URL."),
    "NO_ANSWER": Words("Fillrate did not answer in time.", "Try again; `make logs` shows what the local one does."),
    "UNEXPECTED_ANSWER": Words("What answered is not Fillrate.", "Check FILLRATE_URL: it ends with the API's stage."),
    "NOT_CONFIGURED": Words("It isn't known where Fillrate is."),
    "NOT_ENDED": Words("The order has not ended yet; it goes on.", "`fillrate watch ID` watches on."),
}


def words_for(code: str | None) -> Words | None:
    """None for a code that this version doesn't know."""
    return _WORDS.get(code or "")

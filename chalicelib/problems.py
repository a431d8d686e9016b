"""Everything that can go wrong, as one tree; each error knows its code, its HTTP status and whether a retry can help.

FillrateError
├── RequestError                    the client can correct it: 4xx
│   ├── InvalidRequest              400, with the fields that are wrong
│   │   ├── LimitRefused            422: beyond the account's limits, or those of all
│   │   └── ImplausiblePrice        422: a price that looks like a mistake; `force` takes it
│   ├── Unauthorized                401
│   ├── Forbidden                   403: the key lacks a scope
│   ├── NotFound                    404
│   │   └── NoWebSocket             the stage has no WebSocket: poll the order
│   ├── Conflict                    409
│   │   └── ClientOrderIdTaken      another order of the account has this clientOrderId
│   ├── MessageTooLarge             413
│   ├── TooManySubscriptions        429
│   ├── TooManyConnections          429: as many connections are open as may be
│   ├── RateLimited                 429: this key, or this connection, asks too often
│   ├── Backlogged                  429: too many orders of the account wait
│   ├── TooManyOpenOrders           429: as many orders are open as may be
│   └── TooManyWaitingOrders        429: as many orders wait for their price as may
├── ExecutionError                  an attempt at an order, or a quote, did not succeed
│   ├── TransientError              another attempt may succeed
│   │   ├── RpcUnavailable          the Solana node did not answer, or answered with a server error
│   │   │   └── AllNodesDown        every node failed too often to be asked now: wait, that is no attempt
│   │   │       └── NodesAtTheirLimit   or is asked as often as it may be
│   │   ├── SlippageExceeded        the market moved beyond the order's floor
│   │   ├── VenueUnavailable        the pool is closed, not open yet, or answers with an error of its own
│   │   ├── AccountsMissing         the quote needs accounts that were not read: read them, quote again
│   │   ├── PriceDeviation          the pools' price is too far from that of the others
│   │   ├── TransactionExpired      the transaction's blockhash ran out and it never landed
│   │   └── WalletUnavailable       the wallet's key can't be asked now; nothing was signed
│   └── PermanentError              no retry can help
│       ├── NoPool                  no registered pool trades this pair
│       ├── TokenNotTradable        a token's mint keeps it from being transferred as a swap would
│       ├── InsufficientLiquidity   the pools hold less than the order asks for
│       ├── InsufficientBalance     the wallet holds too little of the input token or of SOL for fees and rent
│       ├── FeeTooHigh              the network asks for more than the order, or a limit, lets it cost
│       ├── AmountTooSmall          the output would be zero
│       ├── SigningRefused          the transaction is not what the order says: it was not signed
│       ├── TransactionRejected     the chain refuses the transaction for a reason that no retry changes
│       │   └── TransactionTooLarge no transaction can carry the route
│       ├── RpcRefused              the Solana node says that our request is wrong
│       ├── LimitExceeded           more than the account's limits, or those of all, let through
│       │   └── DayIsFull           of a day's sum: another day may have room
│       ├── PriceImpact             the order itself would move the price too far
│       ├── OrderExpired            the order's deadline has passed
│       ├── KeyRevoked              the API key that placed the order was revoked
│       └── Halted                  the kill switch is thrown
└── AwsError                        AWS did not do what it was asked: never an order's failed attempt
    ├── AwsUnavailable              503: it is out of reach, unwell, or asked too often
    │   └── SubmissionUnknown       it can't be told whether the order was stored
    └── AwsRefused                  500: it refuses for good, as with a role that lacks a right

`…Error` is a branch; what is raised is named by what happened. Where a module tells its own callers more, it refines an
error of the tree beside the code that raises it, and gives it no code: clients see the error that it refines.

Not in the tree, because no client ever sees them, are the signals between two parts of ours, one of which always
handles what the other one raises:

IllegalTransition, Leased           orders/states.py, life.py: that can't happen to the order now
StaleOrder                          orders/ports.py: somebody else wrote the order first
ClientOrderIdInUse                  orders/ports.py: the write that would give two orders one name was not made
UnknownOrder, MalformedMessage      orders/: a message without an order
MalformedWatchMessage               waiting/circulation.py: a message without a pair
CounterFull                         risk/counters.py: the write that would break a limit was not made
TooSoon, Unusable                   aws/dynamodb/rate_cell.py: not now, or not any more
ConnectionGone                      aws/websocket_gateway.py: the client has left
ConnectionBusy                      aws/websocket_gateway.py: one client takes no more just now
FillUnreadable                      solana/fill.py: what the transaction did can't be told
NotOurSwap, InvalidTokenData, InvalidAccount, InvalidWallet
                                    solana/, venues/: these bytes are not what they were taken for
SwapRefused, DammV1SwapRefused, OutOfLiquidity, LiquidityExhausted, Unquotable
                                    venues/: the program itself would refuse the swap
UnfitKey                            access/key_administration.py: told to the operator
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field of a request: its name as the client wrote it, and what to do about it."""

    field: str
    message: str


class FillrateError(Exception):
    """Root of all of Fillrate's own errors. `str(error)` is fit to be shown to a client."""

    code = "INTERNAL"
    title = "Internal error"
    http_status = 500
    # What the Retry-After header tells, where waiting helps.
    retry_after_seconds: int | None = None


class RequestError(FillrateError):
    """The request can't be served as it is; the client can correct it."""

    code = "BAD_REQUEST"
    title = "Bad request"
    http_status = 400


class InvalidRequest(RequestError):
    """One or more fields are wrong."""

    code = "INVALID_REQUEST"
    title = "Invalid request"

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in self.problems))


class LimitRefused(InvalidRequest):
    """The order is beyond a limit that can be told from the request alone; nothing was stored."""

    code = "LIMIT_EXCEEDED"
    title = "Limit exceeded"
    http_status = 422


class ImplausiblePrice(InvalidRequest):
    """The order's price looks like a mistake beside the market's; `force: true` accepts it. Nothing was stored."""

    code = "IMPLAUSIBLE_PRICE"
    title = "Price looks like a mistake"
    http_status = 422


class Unauthorized(RequestError):
    """No valid API key came with the request."""

    code = "UNAUTHORIZED"
    title = "Unauthorized"
    http_status = 401


class Forbidden(RequestError):
    """The API key is valid, and not for this."""

    code = "FORBIDDEN"
    title = "Forbidden"
    http_status = 403


class NotFound(RequestError):
    code = "NOT_FOUND"
    title = "Not found"
    http_status = 404


class NoWebSocket(NotFound):
    """Where this stage is, the gateway has no WebSocket."""

    code = "NO_WEBSOCKET"
    title = "No WebSocket here"

    def __init__(self) -> None:
        super().__init__("this stage has no WebSocket: ask GET /orders/{orderId} again and again until the order ends")


class Conflict(RequestError):
    code = "CONFLICT"
    title = "Conflict"
    http_status = 409


class ClientOrderIdTaken(Conflict):
    """Another order of the account has this clientOrderId, for ever; nothing was stored."""

    code = "CLIENT_ORDER_ID_TAKEN"
    title = "clientOrderId is taken"

    def __init__(self, client_order_id: str, order_id: str) -> None:
        super().__init__(f"order {order_id} has the clientOrderId {client_order_id}, which no other may have")
        self.order_id = order_id


class MessageTooLarge(RequestError):
    code = "MESSAGE_TOO_LARGE"
    title = "Message too large"
    http_status = 413


class TooManySubscriptions(RequestError):
    code = "TOO_MANY_SUBSCRIPTIONS"
    title = "Too many subscriptions"
    http_status = 429


class TooManyConnections(RequestError):
    """As many WebSocket connections are open as may be. `whose` limit it is, as people say it."""

    code = "TOO_MANY_CONNECTIONS"
    title = "Too many connections"
    http_status = 429
    # The sweeper notices within so long that one is gone whose end was never told.
    retry_after_seconds: int | None = 60

    def __init__(self, most: int, whose: str) -> None:
        super().__init__(
            f"{whose} may have at most {most} WebSocket connections open; close one, or watch several orders over one"
        )


class RateLimited(RequestError):
    """Asked too often."""

    code = "RATE_LIMITED"
    title = "Too many requests"
    http_status = 429

    def __init__(self, what: str, retry_after_seconds: int) -> None:
        super().__init__(f"{what}; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Backlogged(RequestError):
    """Too many orders of the account wait; nothing was stored."""

    code = "BACKLOGGED"
    title = "Too many orders"
    http_status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        text = f"more orders of the account wait than start in 15 minutes; try again in {retry_after_seconds} s"
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class TooManyOpenOrders(RequestError):
    """As many orders are open as may be; nothing was stored. `whose` limit it is, as people say it."""

    code = "TOO_MANY_OPEN_ORDERS"
    title = "Too many open orders"
    http_status = 429
    retry_after_seconds: int | None = 2

    def __init__(self, most: int, whose: str) -> None:
        super().__init__(f"{whose} may have at most {most} open orders; wait until one has ended")


class TooManyWaitingOrders(RequestError):
    """As many orders wait for a price as may; nothing was stored. `whose` limit it is, as people say it."""

    code = "TOO_MANY_WAITING_ORDERS"
    title = "Too many waiting orders"
    http_status = 429
    retry_after_seconds: int | None = 2

    def __init__(self, most: int, whose: str) -> None:
        super().__init__(f"{whose} may have at most {most} waiting orders; wait until one has ended, or cancel one")


class ExecutionError(FillrateError):
    """A quote or an attempt at an order failed."""

    code = "EXECUTION_FAILED"
    title = "Execution failed"
    http_status = 422
    # Which leg of the order's route refused, from 0, where it was one pool's refusal and not for the floor's sake.
    leg: int | None = None


class TransientError(ExecutionError):
    """Another attempt may succeed."""

    code = "TRANSIENT"
    title = "Temporarily unavailable"
    http_status = 503
    retry_after_seconds: int | None = 5


class RpcUnavailable(TransientError):
    code = "RPC_UNAVAILABLE"
    title = "Solana RPC unavailable"


class AllNodesDown(RpcUnavailable):
    """Every Solana node's circuit breaker is open. One is asked again in `retry_in_ms`, not before."""

    def __init__(self, retry_in_ms: int, why: str = "no Solana node answers") -> None:
        super().__init__(f"{why}; the next is asked again in {retry_in_ms / 1000:g} s")
        self.retry_in_ms = retry_in_ms
        self.retry_after_seconds = -(-retry_in_ms // 1000)


class NodesAtTheirLimit(AllNodesDown):
    """Every Solana node that is in service is asked as often as it may be. One is asked again in `retry_in_ms`."""

    def __init__(self, retry_in_ms: int) -> None:
        super().__init__(retry_in_ms, "no Solana node may be asked more often")


class SlippageExceeded(TransientError):
    code = "SLIPPAGE_EXCEEDED"
    title = "Slippage exceeded"


class VenueUnavailable(TransientError):
    code = "VENUE_UNAVAILABLE"
    title = "Venue unavailable"


class AccountsMissing(TransientError):
    """A quote walked into accounts that had not been read (base58 addresses)."""

    code = "ACCOUNTS_MISSING"
    title = "Pool accounts missing"

    def __init__(self, addresses: Iterable[str]) -> None:
        self.addresses = tuple(addresses)
        super().__init__(f"accounts not read: {', '.join(self.addresses)}")


class TransactionExpired(TransientError):
    code = "TRANSACTION_EXPIRED"
    title = "Transaction expired"


class PriceDeviation(TransientError):
    """Moved prices come back, or the next route does without the `pools` (base58) that are too far off, if any is."""

    code = "PRICE_DEVIATION"
    title = "Price too far from the market's"

    def __init__(self, message: str, pools: Iterable[str] = ()) -> None:
        self.pools = tuple(pools)
        super().__init__(message)


class WalletUnavailable(TransientError):
    """The service that keeps the wallet's key did not answer, or refused. Nothing was signed."""

    code = "WALLET_UNAVAILABLE"
    title = "Wallet unavailable"


class PermanentError(ExecutionError):
    """No retry can help."""

    code = "PERMANENT"


class NoPool(PermanentError):
    code = "NO_POOL"
    title = "No pool"


class TokenNotTradable(PermanentError):
    """A transfer of the token can't be foreseen, or not be made: whatever pool is asked, and however often."""

    code = "TOKEN_NOT_TRADABLE"
    title = "Token can't be traded"

    def __init__(self, text: str, mint: str | None = None) -> None:
        """`mint`: the token's, base58, where it is known."""
        super().__init__(text)
        self.mint = mint


class InsufficientLiquidity(PermanentError):
    code = "INSUFFICIENT_LIQUIDITY"
    title = "Insufficient liquidity"


class InsufficientBalance(PermanentError):
    code = "INSUFFICIENT_BALANCE"
    title = "Insufficient balance"


class FeeTooHigh(PermanentError):
    """The least that the network asks for a transaction is more than the order, or a limit, lets it cost."""

    code = "FEE_TOO_HIGH"
    title = "Network fee too high"


class AmountTooSmall(PermanentError):
    code = "AMOUNT_TOO_SMALL"
    title = "Amount too small"


class SigningRefused(PermanentError):
    """The signing policy did not pass the transaction's final bytes. That is a fault of ours, or an attack."""

    code = "SIGNING_REFUSED"
    title = "Signing refused"


class TransactionRejected(PermanentError):
    code = "TRANSACTION_REJECTED"
    title = "Transaction rejected"


class TransactionTooLarge(TransactionRejected):
    """The route names more accounts than one transaction can carry."""

    code = "TRANSACTION_TOO_LARGE"
    title = "Transaction too large"


class RpcRefused(PermanentError):
    """The Solana node says that the request is wrong: `rpc_code`, `reason`, `data` as it gave them."""

    code = "RPC_REFUSED"
    title = "Solana RPC refused the request"

    def __init__(self, method: str, rpc_code: int, reason: str, data: object = None) -> None:
        self.method = method
        self.rpc_code = rpc_code
        self.reason = reason
        self.data = data
        super().__init__(f"the Solana node refused {method}: {reason} ({rpc_code})")


class LimitExceeded(PermanentError):
    code = "LIMIT_EXCEEDED"
    title = "Limit exceeded"


class DayIsFull(LimitExceeded):
    """A day's sum has no room for the order: the next day's has."""


class PriceImpact(PermanentError):
    code = "PRICE_IMPACT"
    title = "Price impact too high"


class OrderExpired(PermanentError):
    """From the order's deadline on no attempt starts and nothing is signed."""

    code = "EXPIRED"
    title = "Order expired"


class Halted(PermanentError):
    """Executions are halted, for everybody or for one account."""

    code = "HALTED"
    title = "Trading is halted"


class KeyRevoked(PermanentError):
    """The API key that placed the order was revoked: nothing more is done in its name."""

    code = "KEY_REVOKED"
    title = "API key revoked"


class AwsError(FillrateError):
    """AWS did not do what it was asked, botocore's own retries included. Its own words are in `__cause__`.

    No ExecutionError, so that nobody takes it for an attempt of an order that failed.
    """


class AwsUnavailable(AwsError):
    """AWS is out of reach, unwell, or asked too often.

    The same may succeed later. It is not said that nothing was done: an answer that was lost looks the same.
    """

    code = "AWS_UNAVAILABLE"
    title = "Order storage unavailable"
    http_status = 503
    retry_after_seconds: int | None = 5

    def __init__(self, text: str = "the order storage does not answer just now; try again in a few seconds") -> None:
        super().__init__(text)


class SubmissionUnknown(AwsUnavailable):
    """The answer to storing an order was lost, and the order can't be looked for: it may be executed, or not exist."""

    code = "SUBMISSION_UNKNOWN"
    title = "Outcome unknown"

    def __init__(self, order_id: str, *, repeatable: bool) -> None:
        """`repeatable`: the request had an Idempotency-Key, and sent again it can't become a second order."""
        then = "Send it again with the same Idempotency-Key" if repeatable else "Look before you send it again"
        super().__init__(f"it is not known whether order {order_id} was stored. {then}: GET /orders/{order_id}")
        self.order_id = order_id
        if not repeatable:  # a client that obeys the header on its own might trade twice
            self.retry_after_seconds = None


class AwsRefused(AwsError):
    """No retry can help: a right or a table is missing, or we asked wrongly. Clients learn that it is our fault."""

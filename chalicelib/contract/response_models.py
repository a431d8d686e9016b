"""What each route answers, typed: the source of the OpenAPI document's schemas, and what the tests hold answers to.

The answers themselves are plain dictionaries that wire.py and the use cases make; nothing is checked while serving.
Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from chalicelib.orders.order import Status

_CLOSED = ConfigDict(extra="forbid")
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"

Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$")]
# Six decimals of a fraction; a price impact may be negative where a pool pays more than its own mid price.
Fraction = Annotated[str, Field(pattern=r"^-?[0-9](\.[0-9]{1,6})?$")]
Time = Annotated[str, Field(pattern=_TIME, json_schema_extra={"format": "date-time"})]
Address = Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$")]
Signature = Annotated[str, Field(max_length=88, description="base58")]
Count = Annotated[int, Field(ge=0)]


@with_config(_CLOSED)
class RouteLeg(TypedDict):
    """One pool's part in a route; `share` is its part of all that goes into its `tokenOut`."""

    dex: str
    pool: Address
    share: Fraction
    tokenIn: str
    tokenOut: str
    amountIn: Amount
    expectedOut: Amount


@with_config(_CLOSED)
class Leftover(TypedDict):
    """What the first of two hops paid and the second didn't spend; it stays in the wallet."""

    token: str
    amount: Amount


@with_config(_CLOSED)
class Progress(TypedDict):
    """What comes to exist on the way; a field that doesn't exist yet is absent."""

    route: NotRequired[list[RouteLeg]]
    dexUsed: NotRequired[str]
    quotedOut: NotRequired[Amount]
    minOut: NotRequired[Amount]
    amountOut: NotRequired[Amount]
    leftover: NotRequired[list[Leftover]]
    executedPrice: NotRequired[Amount]
    txHash: NotRequired[Signature]
    error: NotRequired[str]
    errorCode: NotRequired[str]


@with_config(_CLOSED)
class HistoryStep(Progress):
    """One step of an order's life; `seq` counts from 1 without a gap."""

    seq: Annotated[int, Field(ge=1)]
    status: Status
    at: Time
    retryCount: Count
    terminal: NotRequired[bool]
    retryInMs: NotRequired[Count]
    queuedUntil: NotRequired[Time]


@with_config(_CLOSED)
class ListedOrder(Progress):
    """An order with its history."""

    orderId: str
    type: Literal["market"]
    tokenIn: str
    tokenOut: str
    amount: Amount
    slippage: Fraction
    status: Status
    retryCount: Count
    createdAt: Time
    updatedAt: Time
    history: list[HistoryStep]


@with_config(_CLOSED)
class ShownOrder(ListedOrder):
    """An order with its history, and where to watch it."""

    wsPath: str
    wsUrl: str


@with_config(_CLOSED)
class WsTicket(TypedDict):
    """An address that lets one WebSocket connection in, until `expiresAt`."""

    wsPath: str
    wsUrl: str
    expiresAt: Time


@with_config(_CLOSED)
class AcceptedOrder(TypedDict):
    """An order was taken; `wsUrl` tells what becomes of it."""

    orderId: str
    status: Status
    wsPath: str
    wsUrl: str
    createdAt: Time


@with_config(_CLOSED)
class OrderList(TypedDict):
    """A page of orders, newest first; `nextCursor` asks for the next one, and is null on the last."""

    orders: list[ListedOrder]
    nextCursor: str | None


@with_config(_CLOSED)
class PoolOffer(TypedDict):
    """What one pool would pay for the whole amount, or in `error` why it doesn't."""

    dex: str
    pool: Address
    amountOut: NotRequired[Amount]
    price: NotRequired[Amount]
    priceImpact: NotRequired[Fraction | None]
    fee: NotRequired[Amount]
    feeToken: NotRequired[str]
    error: NotRequired[str]
    errorCode: NotRequired[str]


@with_config(_CLOSED)
class RouteFee(TypedDict):
    """Trading fees of a route, summed by the token that they are taken in."""

    token: str
    amount: Amount


@with_config(_CLOSED)
class Quote(TypedDict):
    """The best route and every pool's own offer, all as of one `slot` of the chain.

    `slotLag` is how many slots newer the chain was known to be when it was read, `ageMs` how old what was read is.
    """

    tokenIn: str
    tokenOut: str
    amount: Amount
    slippage: Fraction
    slot: Count
    slotLag: Count
    at: Time
    ageMs: Count
    amountOut: Amount
    minOut: Amount
    price: Amount
    priceImpact: Fraction
    route: list[RouteLeg]
    fees: list[RouteFee]
    quotes: list[PoolOffer]


@with_config(_CLOSED)
class ListedToken(TypedDict):
    """A token that can be traded; `symbol` is null where it has none of its own."""

    symbol: str | None
    mint: Address
    decimals: Annotated[int, Field(ge=0, le=255)]
    tokenProgram: Address


@with_config(_CLOSED)
class TokenList(TypedDict):
    """What the registered pools trade."""

    tokens: list[ListedToken]


@with_config(_CLOSED)
class HealthCheck(TypedDict):
    """One part: `value` is what it answered, `error` the kind of its failure."""

    ok: bool
    value: NotRequired[Any]
    error: NotRequired[str]


@with_config(_CLOSED)
class Health(TypedDict):
    """Whether the parts that an order needs answer."""

    status: Literal["ok", "unavailable"]
    stage: str
    checks: dict[str, HealthCheck]


@with_config(_CLOSED)
class WrongField(TypedDict):
    """One wrong field: its name as the client wrote it, and what to do about it."""

    field: str
    message: str


@with_config(_CLOSED)
class Problem(TypedDict):
    """RFC 9457 problem details; `errors` names each wrong field."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: NotRequired[list[WrongField]]


@with_config(_CLOSED)
class StatusMessage(HistoryStep):
    """One step of an order's life, told over the WebSocket: first all there were, then each as it happens."""

    type: Literal["status"]
    orderId: str


@with_config(_CLOSED)
class SubscribedMessage(TypedDict):
    """The order's history follows, then each change."""

    type: Literal["subscribed"]
    orderId: str


@with_config(_CLOSED)
class UnsubscribedMessage(TypedDict):
    """Nothing more of the order is told on this connection."""

    type: Literal["unsubscribed"]
    orderId: str


@with_config(_CLOSED)
class PongMessage(TypedDict):
    """The answer to a ping."""

    type: Literal["pong"]


@with_config(_CLOSED)
class ErrorMessage(TypedDict):
    """What is wrong with the client's message. After 401, 413 and 429 the connection is closed."""

    type: Literal["error"]
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongField]]

"""What each route answers, typed: the source of the OpenAPI document's schemas, and what the tests hold answers to.

The answers themselves are plain dictionaries that views.py and the use cases make; nothing is checked while serving.
Amounts are decimal strings in whole tokens; times are RFC 3339 UTC with milliseconds. Each class is called as its
schema is in the documents, with `Model` after it; those of an order and its steps follow from the domain's own fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from chalicelib.contract.domain_fields import (
    CLOSED,
    ORDER_FIELDS,
    AddressText,
    AmountText,
    Count,
    FractionText,
    ModelOf,
    PoolOfferModel,
    SignatureText,
    SignedText,
    TimeText,
)
from chalicelib.contract.json_schema import MODEL_SUFFIX, Json
from chalicelib.orders.order import HistoryStep, Leg, Order
from chalicelib.orders.states import Status


def model_named(schema: str) -> Any:
    """The model of the documents' schema of that name."""
    return globals()[schema + MODEL_SUFFIX]


RouteLegModel = Annotated[Json, ModelOf(Leg)]
_LOOKED_UP: dict[str, Any] = {"explorerUrl": NotRequired[str]}
ListedOrderModel = Annotated[
    Json, ModelOf(Order, "ListedOrder", "An order with its history.", ORDER_FIELDS, _LOOKED_UP)
]
ShownOrderModel = Annotated[
    Json,
    ModelOf(
        Order,
        "ShownOrder",
        "An order with its history, and where to watch it.",
        ORDER_FIELDS,
        {**_LOOKED_UP, "wsPath": NotRequired[str], "wsUrl": NotRequired[str]},
    ),
]
StatusMessageModel = Annotated[
    Json,
    ModelOf(
        HistoryStep,
        "StatusMessage",
        "One step of an order's life, told over the WebSocket: first all there were, then each as it happens.",
        more={"type": Literal["status"], "orderId": str},
    ),
]


@with_config(CLOSED)
class WsTicketModel(TypedDict):
    """An address that lets one WebSocket connection in, until `expiresAt`."""

    wsPath: str
    wsUrl: str
    expiresAt: TimeText


@with_config(CLOSED)
class AcceptedOrderModel(TypedDict):
    """An order was taken; `wsUrl` tells what becomes of it. Where there is no WebSocket, GET /orders/{orderId} does."""

    orderId: str
    status: Status
    wsPath: NotRequired[str]
    wsUrl: NotRequired[str]
    createdAt: TimeText
    warnings: NotRequired[list[str]]


@with_config(CLOSED)
class OrderListModel(TypedDict):
    """A page of orders, newest first; `nextCursor` asks for the next one, and is null on the last."""

    orders: list[ListedOrderModel]
    nextCursor: str | None


@with_config(CLOSED)
class CancelledOrdersModel(TypedDict):
    """How many orders were cancelled, which were signed or had ended first, and whether the same call finds more."""

    cancelled: Count
    tooLate: list[str]
    more: bool


@with_config(CLOSED)
class PoolFeeModel(TypedDict):
    """What the pools of a fill's route kept of one token, as it was quoted last before it was signed."""

    mint: AddressText
    amount: AmountText


@with_config(CLOSED)
class OrderFillModel(TypedDict):
    """An order that was filled. `networkFee`: SOL for its transaction, without those that failed before.
    `vsQuoteBps` is how much more was received than first quoted, and `vsFloorBps` than the least that was asked for, in
    basis points of it, to 18 digits; null where that isn't known.
    """

    orderId: str
    at: TimeText
    tokenIn: str
    mintIn: AddressText
    tokenOut: str
    mintOut: AddressText
    amountIn: AmountText
    amountOut: AmountText
    price: AmountText
    route: list[RouteLegModel]
    poolFees: list[PoolFeeModel]
    networkFee: AmountText
    vsQuoteBps: SignedText | None
    vsFloorBps: SignedText | None
    txHash: SignatureText


@with_config(CLOSED)
class FillSumModel(TypedDict):
    """What the fills of this answer come to, for each pair and direction."""

    mintIn: AddressText
    mintOut: AddressText
    amountIn: AmountText
    amountOut: AmountText
    count: Count


@with_config(CLOSED)
class FillListModel(TypedDict):
    """A page of fills, the latest first, and its sums; `nextCursor` asks for the next one, and is null on the last."""

    fills: list[OrderFillModel]
    sums: list[FillSumModel]
    nextCursor: str | None


@with_config(CLOSED)
class BalanceModel(TypedDict):
    """What the wallet holds of a traded token. `free`: of SOL, what the wallet's own rent doesn't take.
    `value` is in the reference currency (USDC), where the pools tell one, by the dearer half of their mid prices.
    """

    token: str
    mint: AddressText
    amount: AmountText
    free: NotRequired[AmountText]
    value: NotRequired[AmountText]


@with_config(CLOSED)
class BalanceListModel(TypedDict):
    """The wallet's balances of every traded token, as of one `slot` of the chain or a later one."""

    wallet: AddressText
    slot: Count
    balances: list[BalanceModel]


@with_config(CLOSED)
class RouteFeeModel(TypedDict):
    """Trading fees of a route, summed by the token that they are taken in."""

    token: str
    amount: AmountText


@with_config(CLOSED)
class PoolNameModel(TypedDict):
    """A pool, by its exchange, its program and its address."""

    dex: str
    program: str
    pool: AddressText


@with_config(CLOSED)
class QuoteModel(TypedDict):
    """The best route and every pool's own offer, all as of one `slot` of the chain.

    `slotLag` is how many slots newer the chain was known to be when it was read, `ageMs` how old what was read is.
    `notLookedAt` are registered pools of the pair and of the hops over third tokens that weren't read: there are deeper
    ones, at most 24 a hop take part, and what is read for a plan has an end.
    """

    tokenIn: str
    tokenOut: str
    amount: AmountText
    slippage: FractionText
    slot: Count
    slotLag: Count
    at: TimeText
    ageMs: Count
    amountOut: AmountText
    minOut: AmountText
    price: AmountText
    priceImpact: FractionText
    route: list[RouteLegModel]
    fees: list[RouteFeeModel]
    quotes: list[PoolOfferModel]
    notLookedAt: NotRequired[list[PoolNameModel]]


@with_config(CLOSED)
class WrongFieldModel(TypedDict):
    """One wrong field: its name as the client wrote it, and what to do about it."""

    field: str
    message: str


@with_config(CLOSED)
class RefusalModel(TypedDict):
    """Why an order would be refused, as its problem would say it."""

    status: Annotated[int, Field(ge=400, le=599)]
    type: str
    errorCode: str
    detail: str
    errors: NotRequired[list[WrongFieldModel]]


@with_config(CLOSED)
class SimulationModel(TypedDict):
    """Whether the order's transaction would succeed now, with the compute units it used, or in `error` why not."""

    ok: bool
    unitsConsumed: NotRequired[Count]
    error: NotRequired[str]


@with_config(CLOSED)
class DryRunModel(TypedDict):
    """What would become of an order; nothing is stored or used up.

    `quote` and `networkFee` are null where there is none now, and `minOut` where neither a quote nor the order says it.
    `immediate`: the order would start at once and wait for no slot.
    """

    wouldAccept: bool
    refusals: list[RefusalModel]
    warnings: list[str]
    quote: QuoteModel | None
    minOut: AmountText | None
    networkFee: AmountText | None
    simulation: SimulationModel
    immediate: bool


@with_config(CLOSED)
class TokenRiskModel(TypedDict):
    """What somebody may still do to the token's holders, as its mint says."""

    risk: str
    meaning: str


@with_config(CLOSED)
class ListedTokenModel(TypedDict):
    """A token that can be traded; `symbol` is null where it has none of its own.

    `name` is what its maker calls it, whatever that is, unless the token is `verified`: then its mint is known to be
    the token that symbol and name say.

    `scaledUi` is there, and true, where wallets show the token's amounts multiplied (ScaledUiAmount, interest-bearing).
    Fillrate's amounts never are: one whole token is 10^decimals base units, of this token too.
    """

    symbol: str | None
    mint: AddressText
    decimals: Annotated[int, Field(ge=0, le=255)]
    tokenProgram: AddressText
    name: NotRequired[Annotated[str, Field(max_length=64)]]
    verified: NotRequired[bool]
    risks: NotRequired[list[TokenRiskModel]]
    scaledUi: NotRequired[bool]


@with_config(CLOSED)
class TokenListModel(TypedDict):
    """What the registered pools trade."""

    tokens: list[ListedTokenModel]


@with_config(CLOSED)
class HealthCheckModel(TypedDict):
    """One part: `value` is what it answered, `error` the kind of its failure."""

    ok: bool
    value: NotRequired[Any]
    error: NotRequired[str]


@with_config(CLOSED)
class HealthModel(TypedDict):
    """Whether a new order would trade now: `ok` where it would, and else `degraded` says why not.

    Each reason begins with its kind: `halted`, `overdue`, `queue`, `no node`, `no pools`, `orders`, `halt`.
    """

    status: Literal["ok", "unavailable"]
    stage: str
    degraded: list[str]
    checks: dict[str, HealthCheckModel]


@with_config(CLOSED)
class ProblemModel(TypedDict):
    """RFC 9457 problem details; `errors` names each wrong field, `orderId` the order that has the clientOrderId."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: NotRequired[list[WrongFieldModel]]
    orderId: NotRequired[str]


@with_config(CLOSED)
class SubscribedMessageModel(TypedDict):
    """The order's history follows, then each change."""

    type: Literal["subscribed"]
    orderId: str


@with_config(CLOSED)
class UnsubscribedMessageModel(TypedDict):
    """Nothing more of the order is told on this connection."""

    type: Literal["unsubscribed"]
    orderId: str


@with_config(CLOSED)
class PongMessageModel(TypedDict):
    """The answer to a ping."""

    type: Literal["pong"]


@with_config(CLOSED)
class ErrorMessageModel(TypedDict):
    """What is wrong with the client's message. After 401, 413 and 429 the connection is closed."""

    type: Literal["error"]
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongFieldModel]]

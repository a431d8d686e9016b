"""The HTTP API as an OpenAPI 3.1 document, made of the models that requests are parsed with and of the problem tree.

Pure and free of state: `document` makes it anew. https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from chalicelib import problems
from chalicelib.access.open_routes import OPEN_ROUTES
from chalicelib.contract import examples
from chalicelib.contract.json_schema import SCHEMAS, Json, PublishedSchema, schemas_of
from chalicelib.contract.requests import (
    IDEMPOTENCY_KEY_PATTERN,
    FillListRequest,
    MassCancelRequest,
    OrderChangeRequest,
    OrderListRequest,
    OrderRequest,
    QuoteRequest,
    TicketRequest,
)
from chalicelib.contract.response_models import model_named
from chalicelib.contract.version import VERSION
from chalicelib.contract.views import problem_type
from chalicelib.correlation import HEADER as CORRELATION_HEADER

JSON = "application/json"
CSV = "text/csv"
PROBLEM_JSON = "application/problem+json"
API_KEY = "apiKey"


@dataclass(frozen=True, slots=True)
class _Success:
    """An answer that isn't a problem: its schema's name, what it means, an example."""

    schema: str
    meaning: str
    example: Json
    links: Json | None = None
    headers: Json = field(default_factory=dict)
    # another form of the same, by its media type: an example of it
    also: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Operation:
    """One route with one method. `problems` are the statuses that it refuses with."""

    method: str
    path: str
    name: str
    summary: str
    successes: Mapping[int, _Success]
    problems: tuple[int, ...]
    query: type[BaseModel] | None = None
    query_example: Mapping[str, object] | None = None
    body: type[BaseModel] | None = None
    body_example: Json | None = None
    body_required: bool = True
    idempotent: bool = False


_ITS_ORDER = {"parameters": {"orderId": "$response.body#/orderId"}}
_LINKS: Json = {
    "show": {"operationId": "showOrder", **_ITS_ORDER},
    "cancel": {"operationId": "cancelOrder", **_ITS_ORDER},
}

_REPLAYED: Json = {
    "Idempotent-Replayed": {
        "description": "`true` where the Idempotency-Key found an earlier order.",
        "schema": {"const": "true"},
    }
}

_FILLS_HEADERS: Json = {
    "Next-Cursor": {
        "description": "Of CSV: what to send as `cursor` for the next page; absent on the last.",
        "schema": {"type": "string"},
    }
}

# What any route that needs a key may answer.
_ANY = (401, 403, 429, 500, 503)

_OPERATIONS = (
    _Operation(
        "post",
        "/orders/execute",
        "executeOrder",
        "Place an order",
        {
            202: _Success("AcceptedOrder", "The order is taken.", examples.ACCEPTED_ORDER, _LINKS),
            200: _Success(
                "RepeatedOrTried",
                "The Idempotency-Key's earlier order as it is now; or what a `dryRun` comes to.",
                examples.SHOWN_ORDER,
                _LINKS,
                headers=_REPLAYED,
            ),
        },
        (400, 409, 415, 422, *_ANY),
        body=OrderRequest,
        body_example=examples.ORDER_REQUEST,
        idempotent=True,
    ),
    _Operation(
        "get",
        "/orders",
        "listOrders",
        "The account's orders, newest first",
        {200: _Success("OrderList", "A page of orders.", examples.ORDER_LIST)},
        (400, *_ANY),
        query=OrderListRequest,
        query_example={"status": "confirmed", "tokenIn": "SOL", "tokenOut": "USDC", "limit": 2},
    ),
    _Operation(
        "delete",
        "/orders",
        "cancelOrders",
        "Cancel many orders of which nothing is signed, newest first, 200 at most: those placed before the call",
        {200: _Success("CancelledOrders", "What became of them.", examples.MASS_CANCEL)},
        (400, *_ANY),
        query=MassCancelRequest,
        query_example={"status": "unsigned"},
    ),
    _Operation(
        "get",
        "/orders/{orderId}",
        "showOrder",
        "An order with its history",
        {200: _Success("ShownOrder", "The order.", examples.SHOWN_ORDER)},
        (404, *_ANY),
    ),
    _Operation(
        "delete",
        "/orders/{orderId}",
        "cancelOrder",
        "Cancel an order of which nothing is signed",
        {200: _Success("ShownOrder", "The cancelled order.", examples.CANCELLED_ORDER)},
        (404, 409, *_ANY),
    ),
    _Operation(
        "get",
        "/fills",
        "listFills",
        "What the account's orders were filled at, the latest fill first",
        {
            200: _Success(
                "FillList",
                "A page of fills; as CSV a head and a line each.",
                examples.FILL_LIST,
                headers=_FILLS_HEADERS,
                also={CSV: examples.FILLS_CSV},
            )
        },
        (400, *_ANY),
        query=FillListRequest,
        query_example={"from": "2025-10-01T00:00:00Z", "to": "2025-11-01T00:00:00Z", "token": "SOL", "limit": 200},
    ),
    _Operation(
        "get",
        "/balances",
        "listBalances",
        "What the wallet holds of every traded token",
        {200: _Success("BalanceList", "The balances.", examples.BALANCE_LIST)},
        _ANY,
    ),
    _Operation(
        "patch",
        "/orders/{orderId}",
        "changeOrder",
        "Change an order that has neither started nor been triggered",
        {200: _Success("ShownOrder", "The order as it is now.", examples.OPEN_ORDER)},
        (400, 404, 409, 415, 422, *_ANY),
        body=OrderChangeRequest,
        body_example=examples.ORDER_CHANGE,
    ),
    _Operation(
        "post",
        "/ws-tickets",
        "issueWsTicket",
        "Let one WebSocket connection in, for one order or for all of the account's",
        {200: _Success("WsTicket", "Where to connect.", examples.WS_TICKET)},
        (400, 404, 415, *_ANY),
        body=TicketRequest,
        body_example=examples.TICKET_REQUEST,
        body_required=False,
    ),
    _Operation(
        "get",
        "/quotes",
        "quote",
        "Every pool's quote and the best route",
        {200: _Success("Quote", "The quotes.", examples.QUOTE)},
        (400, 422, *_ANY),
        query=QuoteRequest,
        query_example={"tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01"},
    ),
    _Operation(
        "get",
        "/tokens",
        "listTokens",
        "What can be traded",
        {200: _Success("TokenList", "Every traded token.", examples.TOKEN_LIST)},
        _ANY,
    ),
    _Operation(
        "get",
        "/health",
        "health",
        "Whether a new order would trade now, and if not, why",
        {
            200: _Success("Health", "A new order would trade now.", examples.HEALTHY),
            503: _Success("Health", "It would not: `degraded` says why.", examples.UNWELL),
        },
        (429, 500),
    ),
    _Operation(
        "get",
        "/openapi.json",
        "openApi",
        "This document",
        {200: _Success("OpenApi", "An OpenAPI 3.1 document.", {})},
        (429, 500),
    ),
    _Operation(
        "get",
        "/asyncapi.json",
        "asyncApi",
        "The WebSocket's description",
        {200: _Success("AsyncApi", "An AsyncAPI 3.0 document.", {})},
        (404, 429, 500),
    ),
)

_PROBLEM_MEANINGS = {
    400: "The request is wrong; `errors` names each wrong field.",
    401: "No valid API key came with the request.",
    403: "The API key may not do this.",
    404: "There is no such order of this account, or no WebSocket where this stage is.",
    409: "The request contradicts what is there.",
    413: "The message is too large (WebSocket).",
    415: "The body is of a media type that is surely no JSON.",
    422: "The request is understood, and can't be carried out.",
    429: "Too many requests, or too many orders waiting.",
    500: "A failure on our side.",
    503: "Something that the request needs is out of reach just now.",
}


def document(*, key_optional: bool) -> Json:
    """The whole document. `key_optional`: this stage also serves requests without an API key."""
    paths: dict[str, Json] = {}
    for operation in _OPERATIONS:
        path = paths.setdefault(operation.path, _path_item(operation.path))
        path[operation.method] = _operation(operation, key_optional)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fillrate",
            "version": VERSION,
            "description": "Market, limit, stop and oco orders on Solana DEXs. Amounts are decimal strings "
            "in whole tokens; times are RFC 3339 UTC; errors are RFC 9457 problem details.",
        },
        # Relative to where this document is served from: the API's own address on every stage.
        "servers": [{"url": "../api"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {str(status): _problem_response(status) for status in _PROBLEM_MEANINGS},
            "securitySchemes": {API_KEY: {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def _path_item(path: str) -> Json:
    if "{orderId}" not in path:
        return {}
    schema = {"type": "string", "minLength": 1, "maxLength": 64}
    order_id = {"name": "orderId", "in": "path", "required": True, "schema": schema, "example": examples.ORDER_ID}
    return {"parameters": [order_id]}


def _operation(operation: _Operation, key_optional: bool) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": _security(operation, key_optional),
        "responses": {
            **{str(status): _success_response(success) for status, success in operation.successes.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(operation.problems)},
        },
    }
    parameters = [*_query_parameters(operation), _CORRELATION_ID]
    if operation.idempotent:
        parameters.append(_IDEMPOTENCY_KEY)
    described["parameters"] = parameters
    if operation.body is not None:
        content = {"schema": {"$ref": SCHEMAS + operation.body.__name__}, "example": operation.body_example}
        described["requestBody"] = {"required": operation.body_required, "content": {JSON: content}}
    return described


def _security(operation: _Operation, key_optional: bool) -> list[Json]:
    if (operation.path, operation.method) in OPEN_ROUTES:
        return []
    return [{API_KEY: []}, {}] if key_optional else [{API_KEY: []}]


_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body again gives the same order (200); another body 409.",
    "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN},
    "example": "order-2025-10-09-0001",
}

_CORRELATION_ID: Json = {
    "name": CORRELATION_HEADER,
    "in": "header",
    "description": "Stands in every log line of the request and of its order, and comes back in the answer. "
    "Another value than 1 to 64 visible ASCII characters is replaced by the gateway's id of the request.",
    "schema": {"type": "string"},
    "example": "checkout-7f3a",
}

_CORRELATION_ANSWER: Json = {
    CORRELATION_HEADER: {"description": "The id in the request's log lines.", "schema": {"type": "string"}}
}


def _query_parameters(operation: _Operation) -> Iterator[Json]:
    if operation.query is None:
        return
    schema = operation.query.model_json_schema(schema_generator=PublishedSchema)
    for name, shape in schema["properties"].items():
        description = shape.pop("description", None)
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _as_query(shape),
        }
        if description:
            parameter["description"] = description
        if operation.query_example and name in operation.query_example:
            parameter["example"] = operation.query_example[name]
        yield parameter


def _as_query(field: Json) -> Json:
    """A field as a query's parameter: text is the only way to write a decimal there, and null can't be written."""
    choices = [choice for choice in field.get("anyOf", ()) if choice["type"] not in ("null", "number")]
    rest = {key: value for key, value in field.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**(choices[0] if choices else {}), **rest}


def _success_response(success: _Success) -> Json:
    content: Json = {"schema": {"$ref": SCHEMAS + success.schema}}
    if success.example:
        content["example"] = success.example
    headers = {**_CORRELATION_ANSWER, **success.headers}
    others = {kind: {"schema": {"type": "string"}, "example": example} for kind, example in success.also.items()}
    response: Json = {"description": success.meaning, "headers": headers, "content": {JSON: content, **others}}
    return response if success.links is None else {**response, "links": success.links}


def _problem_response(status: int) -> Json:
    found = {error.code: {"value": _problem_example(error)} for error in _problems_with(status)}
    content: Json = {"schema": {"$ref": f"{SCHEMAS}Problem"}}
    if found:
        content["examples"] = found
    headers = dict(_CORRELATION_ANSWER)
    if status in (429, 503):
        seconds = {"type": "integer", "minimum": 0}
        headers["Retry-After"] = {"description": "After how many seconds to try again.", "schema": seconds}
    return {"description": _PROBLEM_MEANINGS[status], "headers": headers, "content": {PROBLEM_JSON: content}}


def _problems_with(status: int) -> Iterator[type[problems.FillrateError]]:
    """The kinds of the tree that are answered with `status`; kinds without a code of their own are only branches."""
    for error in _tree(problems.FillrateError):
        if error.http_status == status and "code" in vars(error) and error is not problems.FillrateError:
            yield error


def _tree(error: type[problems.FillrateError]) -> Iterator[type[problems.FillrateError]]:
    """`error` and all its kinds that problems.py names; other modules' are not for clients to tell apart."""
    yield error
    for kind in error.__subclasses__():
        if kind.__module__ == problems.__name__:
            yield from _tree(kind)


def _problem_example(error: type[problems.FillrateError]) -> Json:
    example: Json = {
        "type": problem_type(error),
        "title": error.title,
        "status": error.http_status,
        "detail": (error.__doc__ or error.title).partition("\n")[0],
    }
    if issubclass(error, problems.ClientOrderIdTaken):
        example["orderId"] = examples.ORDER_ID
    if issubclass(error, problems.InvalidRequest):
        example["detail"] = "amount: must be greater than zero"
        example["errors"] = [{"field": "amount", "message": "must be greater than zero"}]
    return example


def _schemas() -> Json:
    """Every schema that the paths name, and what those name."""
    models: list[tuple[str, JsonSchemaMode, Any]] = []
    for operation in _OPERATIONS:
        if operation.body is not None:
            models.append((operation.body.__name__, "validation", operation.body))
    names = {success.schema for operation in _OPERATIONS for success in operation.successes.values()}
    for name in sorted({*names, "DryRun", "Problem"} - {"OpenApi", "AsyncApi", "RepeatedOrTried"}):
        models.append((name, "serialization", model_named(name)))
    definitions = schemas_of(models)
    definitions["RepeatedOrTried"] = {"oneOf": [{"$ref": f"{SCHEMAS}ShownOrder"}, {"$ref": f"{SCHEMAS}DryRun"}]}
    definitions["OpenApi"] = {
        "type": "object",
        "required": ["openapi", "info", "paths"],
        "properties": {"openapi": {"const": "3.1.0"}, "info": {"type": "object"}, "paths": {"type": "object"}},
    }
    definitions["AsyncApi"] = {
        "type": "object",
        "required": ["asyncapi", "info", "channels"],
        "properties": {"asyncapi": {"const": "3.0.0"}, "info": {"type": "object"}, "channels": {"type": "object"}},
    }
    return dict(sorted(definitions.items()))

"""A client of the API as API Gateway would pass it on, and the functions behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.test import Client, HTTPResponse
from moto.apigatewaymanagementapi.models import apigatewaymanagementapi_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

import app
from tests.integration.cloud import REGION, Cloud, Json
from tests.openapi_contract import check_answer

ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.5", "slippage": "0.01"}


class Web:
    """A client of the API, and the functions behind it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._client = Client(app.app)

    def __call__(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self._client.http.request(method, path, headers=headers or {}, body=raw)
        check_answer(method, path, response.status_code, response.headers, response.json_body)
        return response

    def json(self, method: str, path: str, body: object = None, **headers: str) -> Json:
        response = self(method, path, body, headers)
        assert response.headers["Content-Type"] == "application/json", response.body
        return dict(response.json_body)

    def execute(self, **changes: object) -> str:
        """The id of an order that was taken."""
        return str(self.json("POST", "/orders/execute", {**ORDER, **changes})["orderId"])

    def invoke(self, function: str, event: Json) -> Any:
        return self._client.lambda_.invoke(function, event).payload

    def work(self) -> Json:
        """Hand the queue's visible messages to a worker, as Lambda does."""
        records = [
            {"messageId": one.message_id, "receiptHandle": one.receipt_handle, "body": one.body}
            for one in self.cloud.receive()
        ]
        return dict(self.invoke("execute_order", {"Records": records}))


def without_ticket(answer: Json) -> Json:
    """All of an answer but the address with its ticket, which is another each time."""
    return {name: value for name, value in answer.items() if name not in ("wsUrl", "wsPath")}


def without_authorizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a deploy does for the local stage. (Chalice's own gateway would look for the key in another header.)"""
    for operations in app.app.routes.values():
        for route in operations.values():
            monkeypatch.setattr(route, "authorizer", None)


class Pushes:
    """What moto's API Gateway was given for each connection, and which it was to close; moto itself forgets those."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed: list[str] = []
        self._backend = apigatewaymanagementapi_backends[DEFAULT_ACCOUNT_ID][REGION]

        def close(_: object, connection_id: str) -> None:
            self.closed.append(connection_id)

        monkeypatch.setattr(type(self._backend), "delete_connection", close)

    def to(self, connection_id: str) -> list[Json]:
        text, messages = self._backend.connections[connection_id].data.decode(), []
        while text:
            message, end = json.JSONDecoder().raw_decode(text)
            messages.append(message)
            text = text[end:]
        return messages


def problem(response: HTTPResponse, status: int) -> Json:
    """The body of a refusal, which must have the contract's form."""
    body = dict(response.json_body)
    assert (response.status_code, body["status"]) == (status, status), body
    assert response.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= body.keys()
    assert "Traceback" not in str(response.body)
    return body


def fields(response: HTTPResponse) -> list[str]:
    return [one["field"] for one in problem(response, 400)["errors"]]


def socket(kind: str, connection_id: str, **event: object) -> Json:
    """An event of API Gateway's WebSocket API."""
    context = {"connectionId": connection_id, "eventType": kind, "apiId": "fillrate", "stage": "api"}
    context |= {"routeKey": f"${kind.lower()}", "domainName": f"fillrate.execute-api.{REGION}.amazonaws.com"}
    return {"requestContext": context, **event}

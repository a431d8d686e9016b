"""Posting to WebSocket connections through API Gateway."""

from __future__ import annotations

import json
from typing import Any, Protocol

from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.aws.errors import translated
from chalicelib.problems import AwsUnavailable


class ConnectionGone(Exception):
    """The client has left, or its connection isn't established yet."""


class ConnectionBusy(AwsUnavailable):
    """This connection takes nothing more just now: it is sent too much, or a post to it doesn't come to an end.

    Others may well take something, so it says nothing of AWS as a whole.
    """


class ManagementApi(Protocol):
    """What is asked of boto3's client of API Gateway's management API."""

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> object: ...  # noqa: N803 - boto3's names

    def delete_connection(self, *, ConnectionId: str) -> object: ...  # noqa: N803

    def get_connection(self, *, ConnectionId: str) -> object: ...  # noqa: N803


class WebSocketGateway:
    def __init__(self, client: ManagementApi) -> None:
        self._client = client

    @translated()
    def post(self, connection_id: str, message: dict[str, Any]) -> None:
        """Send one JSON message. Raises ConnectionGone, ConnectionBusy or another AwsError."""
        # what a client wrote may hold half a character, which UTF-8 has no form for
        data = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except ClientError as error:
            if _is_gone(error):
                raise ConnectionGone from error
            if _is_limited(error):
                raise ConnectionBusy from error
            raise
        except ReadTimeoutError as error:
            raise ConnectionBusy from error

    @translated()
    def is_open(self, connection_id: str) -> bool:
        """Whether the gateway knows the connection: from its $connect's return on until it ends. Raises AwsError."""
        try:
            self._client.get_connection(ConnectionId=connection_id)
        except ClientError as error:
            if _is_gone(error):
                return False
            raise
        return True

    @translated()
    def close(self, connection_id: str) -> None:
        """Close the connection; that it is gone already is fine. Raises AwsError."""
        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except ClientError as error:
            if not _is_gone(error):
                raise


def _is_gone(error: ClientError) -> bool:
    return (
        error.response["Error"]["Code"] in ("GoneException", "410")
        or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 410
    )


def _is_limited(error: ClientError) -> bool:
    """What PostToConnection answers where one connection is sent too much, or its client doesn't read.

    https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/connections-connectionid.html
    """
    return (
        error.response["Error"]["Code"] == "LimitExceededException"
        or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 429
    )

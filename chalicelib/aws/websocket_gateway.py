"""Posting to WebSocket connections through API Gateway."""

from __future__ import annotations

import json
from typing import Any, Protocol

from botocore.exceptions import ClientError

from chalicelib.aws.errors import translated


class ConnectionGone(Exception):
    """The client has left, or its connection isn't established yet."""


class ManagementApi(Protocol):
    """What is asked of boto3's client of API Gateway's management API."""

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> object: ...  # noqa: N803 - boto3's names

    def delete_connection(self, *, ConnectionId: str) -> object: ...  # noqa: N803


class WebSocketGateway:
    def __init__(self, client: ManagementApi) -> None:
        self._client = client

    @translated()
    def post(self, connection_id: str, message: dict[str, Any]) -> None:
        """Send one JSON message. Raises ConnectionGone or AwsError."""
        # what a client wrote may hold half a character, which UTF-8 has no form for
        data = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except ClientError as error:
            if _is_gone(error):
                raise ConnectionGone from error
            raise

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

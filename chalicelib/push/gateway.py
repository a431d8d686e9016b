"""Posting to WebSocket connections through API Gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class ConnectionGone(Exception):
    """The client has left, or its connection isn't established yet."""


class WebSocketGateway:
    def __init__(self, client: ApiGatewayManagementApiClient) -> None:
        self._client = client

    def post(self, connection_id: str, message: dict[str, Any]) -> None:
        """Send one JSON message. Raises ConnectionGone."""
        # what a client wrote may hold half a character, which UTF-8 has no form for
        data = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except ClientError as error:
            _raise_if_gone(error)
            raise

    def close(self, connection_id: str) -> None:
        """Close the connection; that it is gone already is fine."""
        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except ClientError as error:
            if not _is_gone(error):
                raise


def _raise_if_gone(error: ClientError) -> None:
    if _is_gone(error):
        raise ConnectionGone from error


def _is_gone(error: ClientError) -> bool:
    return (
        error.response["Error"]["Code"] in ("GoneException", "410")
        or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 410
    )

"""Items in DynamoDB's typed form and as plain values."""

from __future__ import annotations

from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def serialize(item: Item) -> dict[str, Any]:
    """Plain values to DynamoDB's typed ones; None is left out."""
    return {name: _serializer.serialize(value) for name, value in item.items() if value is not None}


def deserialize(item: dict[str, Any]) -> Item:
    """DynamoDB's typed values to plain ones."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}

"""Items in DynamoDB's typed form and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def serialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values to DynamoDB's typed ones; None is left out."""
    return {name: _serializer.serialize(value) for name, value in item.items() if value is not None}


def serialize_whole(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values to DynamoDB's typed ones; None is a value like others."""
    return {name: _serializer.serialize(value) for name, value in item.items()}


def serialize_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """An expression's values, by their names without the colon; None is a value like others."""
    return {f":{name}": value for name, value in serialize_whole(values).items()}


def deserialize(item: Mapping[str, Any]) -> Item:
    """DynamoDB's typed values to plain ones."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}

"""Numbers that all workers share, each an item of the control table that only conditional updates change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb.attribute_values import Item, deserialize
from chalicelib.aws.errors import is_condition_failure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class SharedNumber:
    """The item `name` of the table, whose attributes are integers."""

    def __init__(self, client: DynamoDBClient, table: str, name: str) -> None:
        self._client = client
        self._table = table
        self._key = {"name": {"S": name}}

    def update_if(self, condition: str, update: str, values: Mapping[str, int]) -> Item | None:
        """The item after the update; None, and nothing written, where the condition doesn't hold."""
        try:
            response = self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues={name: {"N": str(value)} for name, value in values.items()},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if is_condition_failure(error):
                return None
            raise
        return deserialize(response["Attributes"])

    def read(self) -> Item:
        """The item as it stands; empty where there is none yet."""
        response = self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        return deserialize(response.get("Item", {}))

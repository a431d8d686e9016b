"""Proposed pools in DynamoDB, in a table of their own: whoever may write it may write no registered pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.recorder import Recorder, no_record
from chalicelib.aws.dynamodb.table import Table
from chalicelib.discovery.proposals import PoolProposal, ProposalState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Of the record's kinds the only one that a function may write.
RECORD_KIND = "proposals"


class ProposalTable:
    """A change is written with what `record` adds, in one transaction."""

    def __init__(self, client: DynamoDBClient, table: str, record: Recorder = no_record) -> None:
        self._table = Table(client, table)
        self._record = record

    def all(self) -> list[PoolProposal]:
        """Every proposal, by address. A line that can't be read is none."""
        found = (_proposal(item) for item in self._table.scan())
        return sorted((one for one in found if one is not None), key=lambda one: one.address)

    def change(self, address: str, proposal: PoolProposal | None) -> None:
        """Raises AwsError."""
        after = None if proposal is None else _item(proposal)
        action = "withdraw" if proposal is None else str(proposal.state)
        beside = partial(self._record, RECORD_KIND, action, address)
        self._table.change({"address": address}, _replaced_by(after), beside)


def _replaced_by(after: Item | None) -> Callable[[Item | None], Item | None]:
    return lambda before: after


def _item(proposal: PoolProposal) -> Item:
    return {
        "program": proposal.program,
        "mints": list(proposal.mints),
        "state": str(proposal.state),
        "sinceMs": proposal.since_ms,
        "reason": proposal.reason,
    }


def _proposal(item: Item) -> PoolProposal | None:
    try:
        first, second = item["mints"]
        return PoolProposal(
            str(item["address"]),
            str(item["program"]),
            (str(first), str(second)),
            ProposalState(item["state"]),
            int(item["sinceMs"]),
            str(item["reason"]),
        )
    except (KeyError, TypeError, ValueError):
        return None

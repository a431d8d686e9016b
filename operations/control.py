"""A stage's control table, where limits and kill switches are, and whose they are."""

from __future__ import annotations

from chalicelib.aws.dynamodb.control_table import DEFAULT, ControlTable
from chalicelib.risk.counters import GLOBAL, account_scope
from chalicelib.risk.limits import defaults_for
from operations.errors import UnfitOption
from operations.record import record_of
from operations.stacks import deployed
from operations.target import Target


def control_table(target: Target) -> ControlTable:
    """The stage's control table. Raises NoStage."""
    data = deployed(target, "data")
    client, record = target.client("dynamodb"), record_of(target, data)
    return ControlTable(client, data["ControlTable"], defaults_for(target.stage), record)


def scope_of(account: str | None, *, default: bool = False) -> str:
    """One account's scope, that of accounts without limits of their own (`default`), or that of all together.

    Raises UnfitOption where both are given.
    """
    if account is not None and default:
        raise UnfitOption("--account and --default don't go together")
    if account is not None:
        return account_scope(account)
    return DEFAULT if default else GLOBAL

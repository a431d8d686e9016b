"""Limits, kill switches and counters as they lie in the control table. Every read is consistent.

Items by `name`: `limits#global`, `limits#default`, `limits#account#<account>`; `halt#global`, `halt#account#<account>`;
the counters `open#<scope>`, `notional#<day>#<scope>` and `fees#<day>#<scope>`, which only order writes move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.table import Table
from chalicelib.risk.counters import GLOBAL, Usage, account_scope, counter_key
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import LIMIT_NAMES, Defaults, Limits, LimitsInForce

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# What accounts have that have no limits of their own.
DEFAULT = "default"


class ControlTable:
    """`defaults` is what holds where the table says nothing."""

    def __init__(self, client: DynamoDBClient, table: str, defaults: Defaults) -> None:
        self._table = Table(client, table)
        self._defaults = defaults

    # --- kill switches --------------------------------------------------------------------------------------------

    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now; None where they may."""
        return self._halt(GLOBAL, account_scope(account))

    def halt_in(self, scope: str) -> Halt | None:
        """The scope's own kill switch."""
        return self._halt(scope)

    def halt(self, scope: str, reason: str, now_ms: int) -> Halt:
        """Throw a scope's kill switch. One that is thrown already stays so since then, with the new reason."""
        update = "SET since = if_not_exists(since, :now), reason = :reason"
        return _to_halt(scope, self._table.update(_key(f"halt#{scope}"), update, {"now": now_ms, "reason": reason}))

    def resume(self, scope: str) -> Halt | None:
        """Take the kill switch back; what it was, None where it wasn't thrown."""
        old = self._table.take(_key(f"halt#{scope}"))
        return _to_halt(scope, old) if old else None

    def _halt(self, *scopes: str) -> Halt | None:
        items = self._read(f"halt#{scope}" for scope in scopes)
        return next((_to_halt(one, items[f"halt#{one}"]) for one in scopes if f"halt#{one}" in items), None)

    # --- limits ---------------------------------------------------------------------------------------------------

    def limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now, and how many are open."""
        scope = account_scope(account)
        names = [f"limits#{one}" for one in (scope, DEFAULT, GLOBAL)]
        counters = [counter_key("open", one) for one in (scope, GLOBAL)]
        items = self._read((*names, *counters))
        defaults = _merged(self._defaults.account, items.get(names[1], {}))
        open_account, open_together = (_counted(items.get(name, {})) for name in counters)
        return LimitsInForce(
            account=_merged(defaults, items.get(names[0], {})),
            together=_merged(self._defaults.together, items.get(names[2], {})),
            open_account=open_account,
            open_together=open_together,
        )

    def limits_in(self, scope: str) -> Limits:
        """A scope's limits, what it doesn't say itself taken from the defaults."""
        own, default = f"limits#{scope}", f"limits#{DEFAULT}"
        items = self._read(dict.fromkeys((own, default)))
        if scope == GLOBAL:
            return _merged(self._defaults.together, items.get(own, {}))
        return _merged(_merged(self._defaults.account, items.get(default, {})), items.get(own, {}))

    def set_limits(self, scope: str, changes: Mapping[str, object], inherit: Iterable[str] = ()) -> Limits:
        """Set those of a scope's limits that `changes` names, and let those in `inherit` be the defaults' again.

        Raises ValueError naming what is wrong; nothing is written then.
        """
        Limits().changed(changes)
        forgotten = tuple(inherit)
        for name in forgotten:
            if name not in LIMIT_NAMES:
                raise ValueError(f"{name} is no limit; there are {', '.join(LIMIT_NAMES)}")
        update = ""
        if changes:
            update += "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        if forgotten:
            update += " REMOVE " + ", ".join(f"#{name}" for name in forgotten)
        if update:
            values = {name: _stored(value) for name, value in changes.items()}
            self._table.update(_key(f"limits#{scope}"), update, values)
        return self.limits_in(scope)

    # --- counters -------------------------------------------------------------------------------------------------

    def usage(self, scope: str, day: str) -> Usage:
        """What is used of a scope's limits on sums, on that UTC day."""
        keys = counter_key("open", scope), counter_key("notional", scope, day), counter_key("fees", scope, day)
        items = self._read(keys)
        return Usage(*(_counted(items.get(key, {})) for key in keys))

    def _read(self, names: Iterable[str]) -> dict[str, Item]:
        """The items that exist, by name."""
        items = self._table.get_each(_key(name) for name in names)
        return {item["name"]: item for item in items}


def _key(name: str) -> Item:
    return {"name": name}


def _to_halt(scope: str, item: Item) -> Halt:
    return Halt(scope, int(item.get("since", 0)), str(item.get("reason", "")))


def _counted(item: Item) -> int:
    return int(item.get("counted", 0))


def _merged(defaults: Limits, item: Item) -> Limits:
    return defaults.changed({name: _read_value(name, item[name]) for name in LIMIT_NAMES if name in item})


def _read_value(name: str, value: Any) -> object:
    if value is None or name.startswith("allow_"):
        return value
    return frozenset(value) if name == "tokens" else int(value)


def _stored(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value

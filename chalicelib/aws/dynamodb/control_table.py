"""Limits, kill switches and counters as they lie in the control table. Every read is consistent.

What an operator changes is written with what `record` adds, in one transaction.

Items by `name`: `limits#global`, `limits#default`, `limits#account#<account>`; `halt#global`, `halt#account#<account>`;
`approvals`, what needs two operators; `discovery`, what a scheduled search for pools may do;
the counters `open#<scope>`, `notional#<day>#<scope>` and `fees#<day>#<scope>`, which only order writes move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.recorder import Recorder, no_record
from chalicelib.aws.dynamodb.table import Table
from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.risk.controls import Controls
from chalicelib.risk.counters import GLOBAL, Kind, Usage, account_scope, counter_key
from chalicelib.risk.halt import Halt
from chalicelib.risk.limits import LIMIT_NAMES, Defaults, Limits, LimitsInForce

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# What accounts have that have no limits of their own.
DEFAULT = "default"
_APPROVALS = "approvals"
_DISCOVERY = "discovery"


class ControlTable:
    """`defaults` is what holds where the table says nothing."""

    def __init__(self, client: DynamoDBClient, table: str, defaults: Defaults, record: Recorder = no_record) -> None:
        self._table = Table(client, table)
        self._defaults = defaults
        self._record = record

    # --- kill switches --------------------------------------------------------------------------------------------

    def halt_of(self, account: str) -> Halt | None:
        """Why the account's orders may not be executed now; None where they may."""
        return self._halt(GLOBAL, account_scope(account))

    def controls_for(self, account: str) -> Controls:
        """What `halt_of` and `limits_for` tell, by one read."""
        scopes = GLOBAL, account_scope(account)
        items = self.read((*map(_halt_name, scopes), *limits_names(account)))
        return Controls(_halt_among(items, scopes), self.limits_among(items, account))

    def halt_in(self, scope: str) -> Halt | None:
        """The scope's own kill switch."""
        return self._halt(scope)

    def halt(self, scope: str, reason: str, now_ms: int) -> Halt:
        """Throw a scope's kill switch. One that is thrown already stays so since then, with the new reason."""

        def thrown(before: Item | None) -> Item:
            return {"since": now_ms, **(before or {}), "reason": reason}

        _, after = self._table.change(_key(_halt_name(scope)), thrown, partial(self._record, "halts", "halt", scope))
        return _to_halt(scope, after or {})

    def resume(self, scope: str) -> Halt | None:
        """Take the kill switch back; what it was, None where it wasn't thrown."""
        beside = partial(self._record, "halts", "resume", scope)
        before, _ = self._table.change(_key(_halt_name(scope)), lambda before: None, beside)
        return _to_halt(scope, before) if before else None

    def _halt(self, *scopes: str) -> Halt | None:
        return _halt_among(self.read(map(_halt_name, scopes)), scopes)

    # --- limits ---------------------------------------------------------------------------------------------------

    def limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now. How many are open is not looked at: the writes are held to it."""
        return self.limits_among(self.read(limits_names(account)), account)

    def counted_limits_for(self, account: str) -> LimitsInForce:
        """What holds for the account's orders now, and how many are open and how many wait."""
        kinds: tuple[Kind, ...] = ("open", "waiting")
        counters = [counter_key(kind, one) for kind in kinds for one in (account_scope(account), GLOBAL)]
        items = self.read((*limits_names(account), *counters))
        open_account, open_together, waiting_account, waiting_together = (
            _counted(items.get(name, {})) for name in counters
        )
        return replace(
            self.limits_among(items, account),
            open_account=open_account,
            open_together=open_together,
            waiting_account=waiting_account,
            waiting_together=waiting_together,
        )

    def limits_among(self, items: Mapping[str, Item], account: str) -> LimitsInForce:
        """The account's limits by what was read of `limits_names`."""
        own, default, together = (items.get(name, {}) for name in limits_names(account))
        return LimitsInForce(
            account=_merged(_merged(self._defaults.account, default), own),
            together=_merged(self._defaults.together, together),
        )

    def limits_in(self, scope: str) -> Limits:
        """A scope's limits, what it doesn't say itself taken from the defaults."""
        own, default = f"limits#{scope}", f"limits#{DEFAULT}"
        return self._limits_of(scope, self.read(dict.fromkeys((own, default))))

    def _limits_of(self, scope: str, items: Mapping[str, Item]) -> Limits:
        own = items.get(f"limits#{scope}", {})
        if scope == GLOBAL:
            return _merged(self._defaults.together, own)
        return _merged(_merged(self._defaults.account, items.get(f"limits#{DEFAULT}", {})), own)

    def set_limits(self, scope: str, changes: Mapping[str, object], inherit: Iterable[str] = ()) -> Limits:
        """Set those of a scope's limits that `changes` names, and let those in `inherit` be the defaults' again.

        Raises ValueError naming what is wrong; nothing is written then.
        """
        changed = _limits_changed(changes, tuple(inherit))
        self._table.change(_key(f"limits#{scope}"), changed, partial(self._record, "limits", "set", scope))
        return self.limits_in(scope)

    def limits_after(self, scope: str, changes: Mapping[str, object], inherit: Iterable[str] = ()) -> Limits:
        """What `limits_in` would tell after `set_limits`; nothing is written. Raises ValueError as that does."""
        changed = _limits_changed(changes, tuple(inherit))
        own, default = f"limits#{scope}", f"limits#{DEFAULT}"
        items = self.read(dict.fromkeys((own, default)))
        items[own] = changed(items.get(own)) or {}
        return self._limits_of(scope, items)

    # --- what needs a second operator -----------------------------------------------------------------------------

    def approvals(self) -> frozenset[str]:
        """Which changes a second operator must approve: the names are operations/approvals.py's."""
        return frozenset((self._table.get(_key(_APPROVALS)) or {}).get("needed", ()))

    def need_approvals(self, needed: frozenset[str]) -> None:
        """Let exactly these changes need a second operator."""
        beside = partial(self._record, "approvals", "set", "stage")
        self._table.change(_key(_APPROVALS), lambda before: {"needed": sorted(needed)}, beside)

    # --- the scheduled search for pools ----------------------------------------------------------------------------

    def discovery_policy(self) -> DiscoveryPolicy:
        """What the operators let a scheduled search do: nothing where they have said nothing."""
        item = self._table.get(_key(_DISCOVERY)) or {}
        return DiscoveryPolicy(
            on=item.get("on") is True,
            auto_add=item.get("autoAdd") is True,
            least_depth=int(item.get("leastDepth", 0)),
            least_age_ms=int(item.get("leastAgeMs", 0)),
        )

    def set_discovery_policy(self, policy: DiscoveryPolicy) -> None:
        item = {
            "on": policy.on,
            "autoAdd": policy.auto_add,
            "leastDepth": policy.least_depth,
            "leastAgeMs": policy.least_age_ms,
        }
        self._table.change(_key(_DISCOVERY), lambda before: item, partial(self._record, "pools", "schedule", "stage"))

    # --- counters -------------------------------------------------------------------------------------------------

    def usage(self, scope: str, day: str) -> Usage:
        """What is used of a scope's limits on sums, on that UTC day."""
        of_orders: tuple[Kind, ...] = ("open", "waiting")
        of_days: tuple[Kind, ...] = ("notional", "fees")
        keys = *(counter_key(kind, scope) for kind in of_orders), *(counter_key(kind, scope, day) for kind in of_days)
        items = self.read(keys)
        return Usage(*(_counted(items.get(key, {})) for key in keys))

    def read(self, names: Iterable[str]) -> dict[str, Item]:
        """The items that exist, by name; in one call."""
        items = self._table.get_each(_key(name) for name in names)
        return {item["name"]: item for item in items}


def _key(name: str) -> Item:
    return {"name": name}


def _limits_changed(changes: Mapping[str, object], forgotten: tuple[str, ...]) -> Callable[[Item | None], Item | None]:
    """What a scope's item becomes. Raises ValueError naming what is wrong."""
    Limits().changed(changes)
    for name in forgotten:
        if name not in LIMIT_NAMES:
            raise ValueError(f"{name} is no limit; there are {', '.join(LIMIT_NAMES)}")

    def changed(before: Item | None) -> Item | None:
        after = {**(before or {}), **{name: _stored(value) for name, value in changes.items()}}
        return {name: value for name, value in after.items() if name not in forgotten} or None

    return changed


def limits_names(account: str) -> tuple[str, ...]:
    """The items that an account's limits follow from."""
    return tuple(f"limits#{one}" for one in (account_scope(account), DEFAULT, GLOBAL))


def _halt_name(scope: str) -> str:
    return f"halt#{scope}"


def _halt_among(items: Mapping[str, Item], scopes: Iterable[str]) -> Halt | None:
    """The first of the scopes' kill switches that is thrown."""
    return next((_to_halt(one, items[_halt_name(one)]) for one in scopes if _halt_name(one) in items), None)


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

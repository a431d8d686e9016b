"""API keys on the table: whom they let in, how often, until when; and what an administrator does with them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
from fillrate.cli.main import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from chalicelib.access.authentication import Authentication
from chalicelib.access.caller import LOCAL_CALLER, Caller
from chalicelib.access.key_administration import KeyAdministration, NewKey, UnfitKey
from chalicelib.access.keys import Scope, digest_of
from chalicelib.aws.dynamodb.attribute_values import Item, serialize
from chalicelib.aws.dynamodb.meter import Meter
from chalicelib.aws.dynamodb.rate_cell import RateCell, TooSoon
from chalicelib.aws.dynamodb.table import Table
from chalicelib.problems import Forbidden, RateLimited, Unauthorized
from chalicelib.rate import Rate, per_minute
from operations.target import Target
from tests.integration.cloud import REGION, Cloud, Json, aws, calls_to

NOW = 1_760_000_000_000
MINUTE_MS = 60_000


@dataclass
class Gate:
    """The authentication of a stage that asks everybody for a key, and its administrator, on one clock."""

    cloud: Cloud
    keyless: Caller | None = None
    now_ms: int = NOW
    admin: KeyAdministration = field(init=False)

    def __post_init__(self) -> None:
        self.admin = KeyAdministration(self.cloud.keys(), lambda: self.now_ms, secrets.token_bytes)

    def create(self, *scopes: Scope, rate_per_minute: int = 600) -> NewKey:
        return self.admin.create("alice", frozenset(scopes or (Scope.READ,)), rate_per_minute=rate_per_minute)

    def enter(self, key: str | None, scope: Scope = Scope.READ) -> Caller:
        headers = {} if key is None else {"x-api-key": key}
        return self.authentication().caller(headers, scope)

    def authentication(self) -> Authentication:
        return Authentication(self.cloud.keys(), self.cloud.key_meter(), lambda: self.now_ms, self.keyless)

    def lets_in(self, key: str | None) -> bool:
        try:
            self.enter(key)
        except Unauthorized:
            return False
        return True


@pytest.fixture
def gate(cloud: Cloud) -> Gate:
    return Gate(cloud)


# --- who is let in ------------------------------------------------------------------------------------------------


def test_a_key_stands_for_its_account_with_its_scopes(gate: Gate) -> None:
    new = gate.create(Scope.READ, Scope.TRADE)
    assert gate.enter(new.secret) == Caller("alice", frozenset({Scope.READ, Scope.TRADE}), new.key.key_id)


@pytest.mark.parametrize("key", [None, "", "wrong", "fr_" + "A" * 43, "x" * 10_000, "\ud800", "ключ"])
def test_nobody_is_let_in_without_a_key_of_ours(gate: Gate, key: str | None) -> None:
    gate.create()
    assert not gate.lets_in(key)


def test_the_digest_of_a_key_is_no_key(gate: Gate) -> None:
    new = gate.create()
    assert not gate.lets_in(new.key.digest)
    assert not gate.lets_in(f"key#{new.key.digest}")
    assert not gate.lets_in(new.key.key_id)


@pytest.mark.parametrize("key", [None, ""])
def test_only_where_the_stage_says_so_is_no_key_enough(cloud: Cloud, key: str | None) -> None:
    assert Gate(cloud, keyless=LOCAL_CALLER).enter(key) == LOCAL_CALLER
    assert not Gate(cloud).lets_in(key)


def test_a_wrong_key_is_refused_also_where_none_would_do(cloud: Cloud) -> None:
    assert not Gate(cloud, keyless=LOCAL_CALLER).lets_in("fr_" + "A" * 43)


def test_a_request_for_which_the_key_lacks_the_scope_is_refused(gate: Gate) -> None:
    reader = gate.create(Scope.READ).secret
    gate.enter(reader, Scope.READ)
    with pytest.raises(Forbidden, match="trade"):
        gate.enter(reader, Scope.TRADE)


def test_a_refusal_quotes_nothing_of_the_key(gate: Gate) -> None:
    for key in ("my-secret", "fr_" + "S" * 43):
        with pytest.raises(Unauthorized) as refused:
            gate.enter(key)
        assert key not in str(refused.value)


def test_of_a_key_nothing_is_stored_by_which_it_could_be_used(gate: Gate) -> None:
    new = gate.create()
    stored = json.dumps(gate.cloud.dynamodb.scan(TableName=gate.cloud.outputs["AccessTable"])["Items"])
    assert new.secret not in stored
    assert new.secret.removeprefix("fr_") not in stored
    assert digest_of(new.secret) in stored
    assert new.secret not in repr(new)


# --- how often ----------------------------------------------------------------------------------------------------


def test_a_key_beyond_its_rate_is_told_when_to_come_back_and_is_let_in_then(gate: Gate) -> None:
    key = gate.create(rate_per_minute=60).secret  # ten at once
    for _ in range(10):
        gate.enter(key)
    with pytest.raises(RateLimited) as refused:
        gate.enter(key)
    seconds = refused.value.retry_after_seconds
    assert seconds == 2  # 60 s over the 51 passes after the first ten, rounded up to whole seconds
    gate.now_ms += seconds * 1000
    gate.enter(key)


def test_keys_are_counted_apart(gate: Gate) -> None:
    first, second = (gate.create(rate_per_minute=1).secret for _ in range(2))
    gate.enter(first)
    gate.enter(second)
    with pytest.raises(RateLimited):
        gate.enter(first)


def test_a_request_reads_its_key_and_is_counted_with_one_write_that_touches_no_key(cloud: Cloud) -> None:
    gate = Gate(cloud)
    key = gate.create().secret
    reads, writes = calls_to(cloud.dynamodb, "GetItem"), calls_to(cloud.dynamodb, "UpdateItem")
    for _ in range(3):
        gate.enter(key)
        gate.now_ms += MINUTE_MS
    assert [read["TableName"] for read in reads] == [cloud.outputs["AccessTable"]] * 3
    assert [write["TableName"] for write in writes] == [cloud.outputs["MeterTable"]] * 3


def test_a_key_that_is_none_of_ours_or_was_revoked_leaves_no_trace_in_the_meter(gate: Gate) -> None:
    new = gate.create()
    gate.admin.revoke(new.key.key_id)
    for key in (new.secret, "fr_" + "A" * 43):
        assert not gate.lets_in(key)
    assert gate.cloud.dynamodb.scan(TableName=gate.cloud.outputs["MeterTable"])["Items"] == []


@given(st.integers(min_value=1, max_value=90), st.lists(st.integers(min_value=0, max_value=4_000), max_size=60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_table_counts_as_the_definition_says(cloud: Cloud, limit: int, waits: list[int]) -> None:
    """GCRA: a pass conforms while the theoretical arrival time is no further ahead than the tolerance."""
    rate, table, name = per_minute(limit), cloud.outputs["AccessTable"], secrets.token_hex(8)
    cloud.dynamodb.put_item(
        TableName=table, Item=serialize({"name": name, **Meter(cloud.dynamodb, table).attributes(rate)})
    )
    meter, now_ms, theoretical = Meter(cloud.dynamodb, table), NOW, 0
    for wait in waits:
        now_ms += wait
        ahead_us = max(theoretical - now_ms * 1000, 0)
        if ahead_us <= rate.tolerance:
            meter.use({"name": name}, now_ms)
            theoretical = now_ms * 1000 + ahead_us + rate.interval
        else:
            with pytest.raises(TooSoon) as refused:
                meter.use({"name": name}, now_ms)
            assert refused.value.wait == ahead_us - rate.tolerance


def test_users_of_one_moment_are_each_counted(cloud: Cloud) -> None:
    """A rival uses the item just before each of our writes: the condition makes ours look anew."""
    table = cloud.outputs["AccessTable"]
    rate = Rate(limit=20, burst=8, period=60_000_000)
    key, rival, passed = {"name": "busy"}, Meter(cloud.dynamodb, table), 0
    cloud.dynamodb.put_item(TableName=table, Item=serialize({**key, **rival.attributes(rate)}))

    class Outrun(Table):
        def update_and_tell(self, *write: Any) -> tuple[bool, Item]:
            nonlocal passed
            if passed < 5:
                rival.use(key, NOW)
                passed += 1
            return super().update_and_tell(*write)

    ours = RateCell(Outrun(cloud.dynamodb, table), "Us")
    for _ in range(3):
        ours.take(key, NOW * 1000)
    with pytest.raises(TooSoon):
        ours.take(key, NOW * 1000)


# --- until when ---------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_at_its_next_request(gate: Gate) -> None:
    new = gate.create()
    assert gate.lets_in(new.secret)
    gate.admin.revoke(new.key.key_id)
    assert not gate.lets_in(new.secret)
    assert not gate.admin.is_valid(new.secret)


def test_a_revoked_key_is_refused_also_while_it_is_busy(gate: Gate) -> None:
    new = gate.create(rate_per_minute=600)
    for _ in range(3):
        gate.enter(new.secret)
    gate.admin.revoke(new.key.key_id)
    assert not gate.lets_in(new.secret)


def test_a_rotated_key_is_valid_until_its_grace_is_over_and_the_new_one_after(gate: Gate) -> None:
    old = gate.create(Scope.TRADE, Scope.READ)
    new = gate.admin.rotate(old.key.key_id, grace_minutes=10)
    assert (new.key.account, new.key.scopes) == (old.key.account, old.key.scopes)
    gate.now_ms += 10 * MINUTE_MS - 1
    assert gate.lets_in(old.secret)
    gate.now_ms += 1
    assert not gate.lets_in(old.secret)
    assert gate.lets_in(new.secret)
    with pytest.raises(UnfitKey, match="not valid any more"):
        gate.admin.rotate(old.key.key_id)


def test_a_revocation_does_not_wait_for_the_grace_and_rotating_does_not_prolong_it(gate: Gate) -> None:
    old = gate.create()
    gate.admin.rotate(old.key.key_id, grace_minutes=10)
    gate.admin.rotate(old.key.key_id, grace_minutes=60)
    (ended,) = [key for key in gate.admin.list() if key.key_id == old.key.key_id]
    assert ended.valid_until_ms == NOW + 10 * MINUTE_MS
    gate.admin.revoke(old.key.key_id)
    assert not gate.lets_in(old.secret)


def test_a_grace_of_nothing_ends_the_old_key_at_once(gate: Gate) -> None:
    old = gate.create()
    gate.admin.rotate(old.key.key_id, grace_minutes=0)
    assert not gate.lets_in(old.secret)


@pytest.mark.parametrize(
    ("account", "scopes", "rate", "label", "wrong"),
    [
        ("", {Scope.READ}, 1, "", "account"),
        ("a#b", {Scope.READ}, 1, "", "account"),
        ("A", {Scope.READ}, 1, "", "account"),
        ("x" * 64, {Scope.READ}, 1, "", "account"),
        ("a", set(), 1, "", "scopes"),
        ("a", {Scope.READ}, 0, "", "rate"),
        ("a", {Scope.READ}, 1_000_001, "", "rate"),
        ("a", {Scope.READ}, 1, "a\nb", "label"),
    ],
)
def test_a_key_that_can_not_be_is_not_made(
    gate: Gate, account: str, scopes: set[Scope], rate: int, label: str, wrong: str
) -> None:
    with pytest.raises(UnfitKey, match=wrong):
        gate.admin.create(account, frozenset(scopes), rate_per_minute=rate, label=label)
    assert gate.admin.list() == []


def test_what_is_not_there_can_not_be_revoked(gate: Gate) -> None:
    with pytest.raises(UnfitKey, match="key_none"):
        gate.admin.revoke("key_none")


# --- the gateway's authorizer -------------------------------------------------------------------------------------


def asked(key: str) -> Json:
    arn = f"arn:aws:execute-api:{REGION}:123456789012:abc/api/GET/orders"
    answer: Json = app.authorize({"type": "TOKEN", "authorizationToken": key, "methodArn": arn}, {})
    return answer


def test_the_authorizer_lets_a_valid_key_in_everywhere_and_any_other_nowhere(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(cloud)
    monkeypatch.setattr("chalicelib.composition.authentication", gate.authentication)
    new = gate.create()
    (statement,) = asked(new.secret)["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == [f"arn:aws:execute-api:{REGION}:123456789012:abc/api/*/*"]
    gate.admin.revoke(new.key.key_id)
    for key in (new.secret, "wrong", "", "fr_" + "A" * 43):
        (statement,) = asked(key)["policyDocument"]["Statement"]
        assert statement["Resource"] == []


def test_that_the_authorizer_asks_uses_nothing_of_a_keys_rate(cloud: Cloud) -> None:
    gate = Gate(cloud)
    new = gate.create(rate_per_minute=1)
    for _ in range(5):
        assert gate.authentication().recognise(new.secret) is not None
    gate.enter(new.secret)


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def command(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`fillrate keys`; returns the exit code."""
    target = Target("prod", aws(), REGION)
    monkeypatch.setattr("operations.commands.stage.target_of", lambda *_: target)
    monkeypatch.setattr("operations.keys.deployed", lambda *_: cloud.outputs)
    return lambda *words: run(["keys", words[0], "--stage", "prod", *words[1:]])


def test_the_command_shows_a_new_key_once_and_alone_and_lists_it_without(
    gate: Gate, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("create", "--account", "alice", "--scopes", "read,trade", "--label", "desk") == 0
    key = capsys.readouterr().out.strip()
    gate.now_ms = 2**50  # the command has the real clock
    assert gate.enter(key, Scope.TRADE).account == "alice"
    assert command("list") == 0
    listed = capsys.readouterr().out
    assert key not in listed
    assert listed.splitlines()[1].split()[1:4] == ["alice", "read,trade", "600"]
    assert command("list", "--account", "bob", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    key_id = listed.splitlines()[1].split()[0]
    assert command("rotate", key_id, "--grace-minutes", "0") == 0
    new = capsys.readouterr().out.strip()
    assert command("revoke", key_id) == 0
    assert not gate.admin.is_valid(key)
    assert gate.lets_in(new)


@pytest.mark.parametrize("words", [("create", "--account", "A b"), ("rotate", "key_none"), ("revoke", "key_none")])
def test_the_command_says_in_a_line_what_is_wrong(
    command: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert command(*words) == 3
    assert capsys.readouterr().err.startswith("✗ ")

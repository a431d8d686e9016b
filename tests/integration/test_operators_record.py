"""The operators' record on the table, and the changes that need two operators."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from fillrate.cli.main import run
from solders.pubkey import Pubkey

from chalicelib.access.key_administration import KeyAdministration
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import Scope
from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.table import Table
from chalicelib.problems import AwsError
from chalicelib.risk.counters import GLOBAL, account_scope
from chalicelib.risk.limits import PRODUCTION, ReferenceCurrency
from infra.deployment.deploy import record_wallet
from infra.deployment.wallet import DeployedWallet
from operations import pool_registry
from operations.approvals import LIFE_MS, RAISE_LIMIT, RESUME, Approvals, NotApproved, Proposal
from operations.errors import UnfitOption
from operations.record import OperatorsRecord
from operations.target import Target
from tests.integration.cloud import REGION, Cloud, aws

NOW = 1_760_000_000_000
USDC = ReferenceCurrency()
DESK = account_scope("desk")
ALICE, BOB = "arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/bob"


@dataclass
class Office:
    """The operators of a stage, on one clock."""

    cloud: Cloud
    now_ms: int = NOW
    numbers: count[int] = field(default_factory=count)

    def record(self, who: str | Callable[[], str] = ALICE) -> OperatorsRecord:
        table = Table(self.cloud.dynamodb, self.cloud.outputs["AuditTable"])
        new_id = lambda: f"{next(self.numbers):04}"  # noqa: E731 - shorter than a function
        return OperatorsRecord(table, who if callable(who) else lambda: who, lambda: self.now_ms, new_id)

    def controls(self, record: OperatorsRecord | None = None) -> ControlTable:
        record = record or self.record()
        return ControlTable(self.cloud.dynamodb, self.cloud.outputs["ControlTable"], PRODUCTION, record)

    def keys(self, record: OperatorsRecord | None = None) -> KeyAdministration:
        table = KeyTable(self.cloud.dynamodb, self.cloud.outputs["AccessTable"], record or self.record())
        return KeyAdministration(table, lambda: self.now_ms, secrets.token_bytes)

    def approvals(self, who: str) -> Approvals:
        return Approvals(self.controls, self.record(who), lambda: f"p{next(self.numbers)}")

    def told(self) -> list[tuple[str, str, str, str]]:
        return [(one.who, one.kind, one.action, one.subject) for one in self.record().entries()]


@pytest.fixture
def office(cloud: Cloud) -> Office:
    return Office(cloud)


# --- every change is kept -----------------------------------------------------------------------------------------


def test_a_halt_and_its_end_are_kept_with_who_when_before_and_after(office: Office) -> None:
    office.controls().halt(DESK, "the pools look odd", NOW)
    office.now_ms += 5_000
    office.controls(office.record(BOB)).resume(DESK)
    thrown, resumed = office.record().entries()
    stood = {"since": NOW, "reason": "the pools look odd"}
    assert (thrown.who, thrown.at_ms, thrown.kind, thrown.action, thrown.subject) == (ALICE, NOW, "halts", "halt", DESK)
    assert (thrown.before, thrown.after) == (None, stood)
    assert (resumed.who, resumed.at_ms, resumed.before, resumed.after) == (BOB, NOW + 5_000, stood, None)


def test_a_change_of_limits_is_kept_with_what_stood_before(office: Office) -> None:
    office.controls().set_limits(DESK, {"largest_order": 5, "tokens": frozenset({"b", "a"})})
    office.controls().set_limits(DESK, {"largest_order": None}, inherit=("tokens",))
    first, second = office.record().entries(kinds=["limits"])
    assert first.after == second.before == {"largest_order": 5, "tokens": ["a", "b"]}
    assert second.after == {"largest_order": None}


def test_keys_are_kept_with_whom_they_let_in_and_without_what_they_are(office: Office) -> None:
    new = office.keys().create("desk", frozenset({Scope.TRADE}), label="a bot")
    office.now_ms += 1
    office.keys(office.record(BOB)).revoke(new.key.key_id)
    made, ended = office.record().entries(kinds=["keys"])
    assert (made.action, made.subject, made.before) == ("create", new.key.key_id, None)
    assert made.after is not None
    assert (made.after["account"], made.after["scopes"]) == ("desk", ["trade"])
    ends = {**made.after, "validUntilMs": NOW + 1, "revokedAtMs": NOW + 1}
    assert (ended.who, ended.action, ended.after) == (BOB, "end", ends)
    assert new.key.digest not in str(office.record().entries())


def test_pools_are_kept_that_a_deploys_file_brings_and_takes(office: Office, tmp_path: Any) -> None:
    dynamodb, table = office.cloud.dynamodb, office.cloud.outputs["PoolsTable"]
    program = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
    address = str(Pubkey.from_bytes(bytes(range(32))))
    file = tmp_path / "pools.json"
    for pools in ([{"address": address, "program": program}], [{"address": address, "program": program}], []):
        file.write_text(json.dumps(pools))
        pool_registry.seed(dynamodb, table, file, office.record())
    assert office.told() == [(ALICE, "pools", "seed", address), (ALICE, "pools", "unseed", address)]


def test_another_wallet_is_kept_and_a_deploy_with_the_same_is_not(office: Office) -> None:
    target = Target("local", aws(), REGION)
    wallet = DeployedWallet("kms:arn", address="7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")
    for former in (None, {"wallet": "kms:arn", "address": wallet.address or ""}):
        record_wallet(target, office.cloud.outputs, former, wallet)
    (kept,) = office.record().entries()
    assert (kept.kind, kept.before, kept.after) == ("wallets", None, {"wallet": "kms:arn", "address": wallet.address})
    assert "@" in kept.who


def test_what_changes_nothing_leaves_no_entry(office: Office) -> None:
    controls = office.controls()
    for _ in range(2):
        controls.halt(GLOBAL, "a drill", NOW)
        controls.set_limits(DESK, {"largest_order": 5})
    controls.resume(DESK)
    assert len(office.record().entries()) == 2


# --- not one without the other ------------------------------------------------------------------------------------


def test_nothing_is_changed_that_can_not_be_recorded(office: Office) -> None:
    """The entry's place is taken: the transaction is refused as a whole."""
    office.controls().set_limits(DESK, {"largest_order": 5})
    office.numbers = count()
    with pytest.raises(AwsError):
        office.controls().set_limits(DESK, {"largest_order": 6})
    assert office.controls().limits_in(DESK).largest_order == 5
    assert len(office.record().entries()) == 1


def test_an_entry_says_what_stood_when_the_change_was_made_and_not_what_was_read_before(office: Office) -> None:
    outrun = False
    rival = office.controls(office.record(BOB))

    def slowly(before: Item | None, after: Item | None) -> list[Any]:
        nonlocal outrun
        if not outrun:
            outrun = True
            rival.set_limits(DESK, {"largest_order": 2})
        return [*office.record()("limits", "set", DESK, before, after)]

    table = Table(office.cloud.dynamodb, office.cloud.outputs["ControlTable"])
    table.change({"name": f"limits#{DESK}"}, lambda before: {**(before or {}), "open_orders": 7}, slowly)
    first, second = office.record().entries()
    assert (first.who, second.who) == (BOB, ALICE)
    assert second.before == first.after == {"largest_order": 2}
    assert second.after == {"largest_order": 2, "open_orders": 7}


def test_a_change_that_others_outrun_again_and_again_is_given_up(office: Office) -> None:
    numbers = count()

    def outrun(before: Item | None, after: Item | None) -> list[Any]:
        office.controls(office.record(BOB)).set_limits(DESK, {"open_orders": next(numbers)})
        return []

    table = Table(office.cloud.dynamodb, office.cloud.outputs["ControlTable"])
    with pytest.raises(AwsError):
        table.change({"name": f"limits#{DESK}"}, lambda before: {"largest_order": 1}, outrun)
    assert office.controls().limits_in(DESK).largest_order == PRODUCTION.account.largest_order


def nobody_knows() -> str:
    raise EndpointConnectionError(endpoint_url="https://sts.amazonaws.com")


def test_a_halt_needs_no_name_and_all_else_does(office: Office) -> None:
    controls = office.controls(office.record(nobody_knows))
    controls.halt(GLOBAL, "", NOW)
    assert office.told() == [("unknown", "halts", "halt", GLOBAL)]
    with pytest.raises(AwsError):
        controls.resume(GLOBAL)
    assert office.controls().halt_in(GLOBAL) is not None


# --- two operators ------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(office: Office) -> Office:
    office.approvals(ALICE).need(frozenset({RESUME, RAISE_LIMIT}))
    return office


def proposed(proposal: Proposal | None) -> str:
    assert proposal is not None
    return proposal.proposal_id


def test_where_nothing_is_set_one_operator_is_enough(office: Office) -> None:
    office.controls().halt(GLOBAL, "", NOW)
    assert office.approvals(ALICE).resume(GLOBAL) is None
    assert office.approvals(ALICE).set_limits(DESK, {"largest_order": "none"}, USDC) is None
    assert office.controls().halt_in(GLOBAL) is None


def test_a_halt_is_taken_back_by_another_than_who_proposed_it(guarded: Office) -> None:
    guarded.controls().halt(GLOBAL, "", NOW)
    proposal = proposed(guarded.approvals(ALICE).resume(GLOBAL))
    assert guarded.controls().halt_in(GLOBAL) is not None
    with pytest.raises(NotApproved, match="another operator"):
        guarded.approvals(ALICE).approve(proposal)
    assert guarded.controls().halt_in(GLOBAL) is not None
    guarded.approvals(BOB).approve(proposal)
    assert guarded.controls().halt_in(GLOBAL) is None
    last = guarded.record().entries(kinds=["halts"])[-1]
    assert (last.action, last.who, last.proposed_by) == ("resume", BOB, ALICE)


@pytest.mark.parametrize(
    "texts",
    [
        {"largest_order": "60000"},
        {"largest_order": "none"},
        {"smallest_order": "0"},
        {"allow_unvalued": "yes"},
        {"slippage_ppm": "0.01", "open_orders": "501"},
    ],
    ids=str,
)
def test_a_limit_is_raised_by_two(guarded: Office, texts: dict[str, str]) -> None:
    before = guarded.controls().limits_in(DESK)
    proposal = proposed(guarded.approvals(ALICE).set_limits(DESK, texts, USDC))
    assert guarded.controls().limits_in(DESK) == before
    guarded.approvals(BOB).approve(proposal)
    assert guarded.controls().limits_in(DESK) != before


@pytest.mark.parametrize(
    "texts",
    [{"largest_order": "40000"}, {"smallest_order": "1"}, {"tokens": "a,b"}, {"allow_unreferenced": "no"}],
    ids=str,
)
def test_a_limit_is_lowered_by_one_at_once(guarded: Office, texts: dict[str, str]) -> None:
    before = guarded.controls().limits_in(DESK)
    assert guarded.approvals(ALICE).set_limits(DESK, texts, USDC) is None
    assert guarded.controls().limits_in(DESK) != before


def test_going_back_to_a_looser_default_is_a_raise(guarded: Office) -> None:
    guarded.approvals(ALICE).set_limits(DESK, {"largest_order": "1"}, USDC)
    proposed(guarded.approvals(ALICE).set_limits(DESK, {"largest_order": "inherit"}, USDC))
    assert guarded.controls().limits_in(DESK).largest_order == 1_000_000


def test_that_two_are_needed_is_not_ended_by_one(guarded: Office) -> None:
    proposal = proposed(guarded.approvals(ALICE).need(frozenset({RESUME})))
    assert guarded.approvals(ALICE).needed() == {RESUME, RAISE_LIMIT}
    guarded.approvals(BOB).approve(proposal)
    assert guarded.approvals(ALICE).needed() == {RESUME}
    with pytest.raises(UnfitOption, match="resume, raise-limit"):
        guarded.approvals(ALICE).need(frozenset({"halt"}))


def test_a_proposal_is_carried_out_once_and_within_a_day(guarded: Office) -> None:
    guarded.controls().halt(GLOBAL, "", NOW)
    old, used = (proposed(guarded.approvals(ALICE).resume(GLOBAL)) for _ in range(2))
    assert [one.proposal_id for one in guarded.approvals(BOB).open_proposals()] == [old, used]
    guarded.approvals(BOB).approve(used)
    guarded.controls().halt(GLOBAL, "again", NOW)
    with pytest.raises(NotApproved, match="carried out already"):
        guarded.approvals(BOB).approve(used)
    guarded.now_ms += LIFE_MS
    with pytest.raises(NotApproved, match="older than a day"):
        guarded.approvals(BOB).approve(old)
    assert guarded.approvals(BOB).open_proposals() == []
    with pytest.raises(NotApproved, match="no proposal"):
        guarded.approvals(BOB).approve("none")
    assert guarded.controls().halt_in(GLOBAL) is not None


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture
def command(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`fillrate` by an operator of that name; the exit code, and what it printed as JSON."""
    monkeypatch.setattr("operations.commands.stage.target_of", lambda *_: Target("prod", aws(), REGION))
    for module in ("approvals", "control", "keys", "commands.record"):
        monkeypatch.setattr(f"operations.{module}.deployed", lambda *_: cloud.outputs)

    def as_(who: str, *words: str) -> tuple[int, Any]:
        monkeypatch.setattr("operations.record.identity", lambda _: who)
        code = run([*words, "--stage", "prod", "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out or said.err)

    return as_


def test_the_commands_propose_approve_and_tell(command: Any) -> None:
    assert command(ALICE, "approvals", "--need", "resume")[1]["needed"] == ["resume"]
    assert command(ALICE, "halt", "--reason", "a drill")[0] == 0
    code, refused = command(ALICE, "resume")
    assert (code, refused["code"]) == (3, "NEEDS_APPROVAL")
    ((proposal,)) = command(BOB, "approvals")[1]["proposals"]
    assert proposal["id"] in refused["detail"]
    assert command(ALICE, "approve", proposal["id"])[0] == 3
    assert command(BOB, "halt", "--status")[1]["halted"]
    assert command(BOB, "approve", proposal["id"])[0] == 0
    assert not command(BOB, "halt", "--status")[1]["halted"]
    told = command(ALICE, "audit")[1]
    assert [(one["kind"], one["action"], one["who"]) for one in told] == [
        ("approvals", "set", ALICE),
        ("halts", "halt", ALICE),
        ("halts", "resume", BOB),
    ]
    assert told[-1]["proposedBy"] == ALICE
    assert [one["kind"] for one in command(ALICE, "audit", "--kind", "halts", "--since", "1h")[1]] == ["halts"] * 2
    assert command(ALICE, "audit", "--kind", "weather")[0] == 2


def test_entries_older_than_asked_for_are_left_out(command: Any, office: Office) -> None:
    office.controls().halt(GLOBAL, "long ago", NOW)  # in 2025
    assert command(ALICE, "audit", "--since", "1h")[1] == []
    assert len(command(ALICE, "audit")[1]) == 1

"""A deploy to an emulator that holds another checkout's stack: refused, until that checkout is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.deployment import chalice_deploy, deploy
from infra.deployment.cloudformation import StackError
from infra.deployment.deploy import deploy_data
from infra.deployment.ownership import AnotherCheckouts, check_owner, note_owner
from infra.deployment.package import Package
from infra.project import PROJECT
from operations.target import Target
from tests.integration import moto_secret as moto_secret  # lets moto make the template's secret

OURS, THEIRS = Path("/home/dev/fillrate"), Path("/home/dev/fillrate-2")


class EmulatorInMemory(Target):
    """moto answers for it, so no address may be asked."""

    def client(self, service: str) -> object:
        return self.session.client(service)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield EmulatorInMemory("local", boto3.Session(region_name="us-east-1"), "us-east-1", "http://127.0.0.1:4566")


def test_where_nothing_is_deployed_anybody_may_deploy(emulator: Target) -> None:
    check_owner(emulator, OURS)


def test_what_another_checkout_deployed_is_replaced_only_where_it_is_named(emulator: Target) -> None:
    note_owner(emulator, deploy_data(emulator), THEIRS)
    check_owner(emulator, THEIRS)
    with pytest.raises(AnotherCheckouts, match=f"--replace {THEIRS}"):
        check_owner(emulator, OURS)
    with pytest.raises(AnotherCheckouts):
        check_owner(emulator, OURS, replaced="/home/dev/fillrate-3")
    check_owner(emulator, OURS, replaced=str(THEIRS))


@pytest.mark.parametrize("command", [deploy, chalice_deploy], ids=["infra.deploy", "infra.chalice_deploy"])
@pytest.mark.parametrize("named", [[], ["--replace", "/home/dev/fillrate-3"]], ids=["none named", "another named"])
def test_a_deploy_over_another_checkouts_ends_before_anything_is_built_or_changed(
    emulator: Target,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Any,
    named: list[str],
) -> None:
    data = deploy_data(emulator)
    note_owner(emulator, data, THEIRS)
    asked: list[str] = []
    emulator.session.events.register("before-call", lambda model, **_: asked.append(model.name))
    monkeypatch.setattr(command, "target_from", lambda _: emulator)
    monkeypatch.setattr("infra.deployment.package.build", lambda *_, **__: asked.append("build"))
    where = ["--stage", "local", "--endpoint-url", "http://127.0.0.1:4566", "--solana-rpc-url", "http://127.0.0.1:8899"]
    assert command.main([*where, "--wallet", "file:wallet.json", *named]) == 1
    assert f"--replace {THEIRS}" in capsys.readouterr().err
    assert set(asked) <= {"DescribeStacks", "GetItem"}
    assert asked, "the emulator is asked whose it is"
    check_owner(emulator, THEIRS)


def test_a_deploy_that_failed_once_its_tables_were_made_is_this_checkouts_to_make_again(
    emulator: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StackError("the functions can't be deployed")

    monkeypatch.setattr(deploy, "wallet_of", fails)
    built = Package({"Resources": {}, "Parameters": {}}, Path("functions.zip"))
    with pytest.raises(StackError):
        deploy.deploy(emulator, deploy.DeploymentSettings("http://127.0.0.1:8899", "file:wallet.json"), built)
    check_owner(emulator, PROJECT)
    with pytest.raises(AnotherCheckouts, match=f"--replace {PROJECT}"):
        check_owner(emulator, THEIRS)


def test_what_nobody_is_noted_for_is_replaced_only_where_that_is_said(emulator: Target) -> None:
    deploy_data(emulator)
    with pytest.raises(AnotherCheckouts, match=r"earlier version.*--replace unknown"):
        check_owner(emulator, OURS)
    check_owner(emulator, OURS, replaced="unknown")


def test_on_aws_the_credentials_say_whose_stage_it_is(emulator: Target) -> None:
    on_aws = Target("prod", emulator.session, emulator.region)
    note_owner(on_aws, deploy_data(on_aws), THEIRS)
    check_owner(on_aws, OURS)

"""A deploy to an emulator that holds another checkout's stack: refused, until that checkout is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from infra.deployment.deploy import deploy_data
from infra.deployment.ownership import AnotherCheckouts, check_owner, note_owner
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


def test_what_nobody_is_noted_for_is_replaced_only_where_that_is_said(emulator: Target) -> None:
    deploy_data(emulator)
    with pytest.raises(AnotherCheckouts, match=r"earlier version.*--replace unknown"):
        check_owner(emulator, OURS)
    check_owner(emulator, OURS, replaced="unknown")


def test_on_aws_the_credentials_say_whose_stage_it_is(emulator: Target) -> None:
    on_aws = Target("prod", emulator.session, emulator.region)
    note_owner(on_aws, deploy_data(on_aws), THEIRS)
    check_owner(on_aws, OURS)

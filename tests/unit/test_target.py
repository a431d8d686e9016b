"""Where a stage is: the local one is the stack that runs here, whatever the shell says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fillrate.cli.exit_codes import CommandError

from infra.deployment import deploy
from infra.deployment.wallet import WalletError
from operations.commands.stage import find_target
from operations.errors import NoStage
from operations.target import OPEN_CREDENTIALS, EmulatorCredentials, Stage, target_for

STACK = {
    "restUrl": "http://127.0.0.1:4570/_aws/execute-api/a/api",
    "awsEndpoint": "http://127.0.0.1:4570",
    "awsAccessKeyId": "LOCALKEY",
    "awsSecretAccessKey": "secret",
    "rpcUrl": "http://127.0.0.1:8977",
}
ELSEWHERE = "http://127.0.0.1:4999"


@pytest.fixture(autouse=True)
def dirty_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer who works with another AWS."""
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "no-such-profile",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIATHEIROWN",
        "AWS_SECRET_ACCESS_KEY": "their own",
        "AWS_SESSION_TOKEN": "their own",
        "SOLANA_RPC_URL": "https://rpc.example",
        "WALLET": "kms:theirs",
        "EXPLORER_URL": "https://explorer.example/{txHash}",
        "ALARM_EMAIL": "they@example.com",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "socks5://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which `make up` runs a stack."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(STACK))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deploy, "_STACK", tmp_path / ".local" / "stack.json")
    return tmp_path


def test_a_region_that_there_is_not_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE")
    with pytest.raises(NoStage, match=r"'eu-centrl-1' is no AWS region"):
        target_for("prod", region="eu-centrl-1")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "https://api1.execute-api.eu-central-1.amazonaws.com/api"),
        ("us-gov-west-1", "https://api1.execute-api.us-gov-west-1.amazonaws.com/api"),
        ("cn-north-1", "https://api1.execute-api.cn-north-1.amazonaws.com.cn/api"),
    ],
)
def test_an_apis_address_is_its_regions(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    monkeypatch.delenv("AWS_PROFILE")
    assert deploy.api_url(target_for("prod", region=region), "http", "api1") == host


@pytest.mark.parametrize("stage", [None, "local"])
def test_the_local_stage_is_the_stack_that_runs_here_in_whatever_shell(checkout: Path, stage: Stage | None) -> None:
    target = find_target(stage, None, "eu-central-1")
    assert (target.endpoint_url, target.region) == (STACK["awsEndpoint"], "us-east-1")
    assert target.credentials == EmulatorCredentials("LOCALKEY", "secret")
    client = target.client("dynamodb")
    assert client.meta.endpoint_url == STACK["awsEndpoint"]
    assert client._request_signer._credentials.access_key == "LOCALKEY"


def test_a_deploy_to_the_local_stage_goes_to_this_checkouts_stack(checkout: Path) -> None:
    options = deploy.command_line("deploy").parse_args(["--stage", "local"])
    target = deploy.target_from(options)
    assert (target.endpoint_url, target.credentials.access_key_id) == (STACK["awsEndpoint"], "LOCALKEY")


@pytest.mark.parametrize("named", [[], ["--endpoint-url", STACK["awsEndpoint"]]])
def test_a_deploy_to_this_checkouts_stack_keeps_its_chain_and_its_wallet_in_whatever_shell(
    checkout: Path, named: list[str]
) -> None:
    settings = deploy.settings_from(deploy.command_line("deploy").parse_args(["--stage", "local", *named]))
    assert settings.solana_rpc_url == STACK["rpcUrl"]
    assert settings.wallet == f"file:{checkout / '.local' / 'wallet.json'}"
    assert (settings.explorer_url, settings.alarm_email) == ("", "")


def test_what_is_named_is_taken_also_for_the_local_stage(checkout: Path) -> None:
    named = ["--solana-rpc-url", "http://127.0.0.1:1", "--wallet", "kms", "--explorer-url", ""]
    settings = deploy.settings_from(deploy.command_line("deploy").parse_args(["--stage", "local", *named]))
    assert (settings.solana_rpc_url, settings.wallet) == ("http://127.0.0.1:1", "kms")


def test_a_stack_elsewhere_is_deployed_to_with_a_chain_and_a_wallet_that_are_named(checkout: Path) -> None:
    elsewhere = ["--stage", "local", "--endpoint-url", ELSEWHERE]
    with pytest.raises(deploy.DeployError, match="--solana-rpc-url"):
        deploy.settings_from(deploy.command_line("deploy").parse_args(elsewhere))
    with pytest.raises(WalletError, match="--wallet"):
        deploy.settings_from(
            deploy.command_line("deploy").parse_args([*elsewhere, "--solana-rpc-url", "http://127.0.0.1:1"])
        )


def test_where_no_stack_runs_the_local_stage_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoStage, match="make up"):
        find_target("local", None, None)
    with pytest.raises(CommandError, match="make up"):
        find_target(None, None, None)


def test_a_stack_of_an_earlier_version_has_to_be_started_again(checkout: Path) -> None:
    earlier = {name: value for name, value in STACK.items() if not name.startswith("awsSecret")}
    (checkout / ".local" / "stack.json").write_text(json.dumps(earlier))
    with pytest.raises(NoStage, match="make up"):
        find_target("local", None, None)


def test_an_emulator_that_is_named_is_signed_with_what_the_environment_names(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_PROFILE")
    assert find_target("local", ELSEWHERE, None).credentials.access_key_id == "AKIATHEIROWN"
    assert find_target("local", STACK["awsEndpoint"], None).credentials.access_key_id == "LOCALKEY"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert find_target("local", ELSEWHERE, None).credentials == OPEN_CREDENTIALS


def test_the_stage_localstack_is_where_the_environment_says_with_localstacks_own_credentials(checkout: Path) -> None:
    target = find_target("localstack", None, None)
    assert (target.endpoint_url, target.credentials) == ("http://127.0.0.1:9", OPEN_CREDENTIALS)

"""localstack-compose.yml: two profiles, nothing open to the network, and commands that exist."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from chalice.package import YAMLTemplateSerializer

from infra.deployment.deploy import command_line, settings_from
from infra.project import PROJECT

Json = dict[str, Any]
COMPOSE: Json = YAMLTemplateSerializer().load_template((PROJECT / "localstack-compose.yml").read_text())
SERVICES: dict[str, Json] = COMPOSE["services"]


def test_each_service_is_of_one_emulators_profile_and_each_profile_has_a_chain() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items()}
    assert all(profile in (["localstack"], ["ministack"]) for profile in profiles.values())
    chains = [name for name, service in SERVICES.items() if "infra.localnet" in str(service.get("command"))]
    assert [profiles[name] for name in chains] == [["localstack"], ["ministack"]]


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_to_the_network(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))
    assert not {"privileged", "cap_add"} & SERVICES[name].keys()


def command_of(name: str) -> str:
    """What a service runs, as a shell's text."""
    command = SERVICES[name]["command"]
    return str(command[2]) if command[0] == "sh" else shlex.join(command)


def lines_of(name: str, program: str) -> list[list[str]]:
    """The words of each command of a service that begins with `python -m program`, without those."""
    lines = command_of(name).replace("\\\n", " ").splitlines()
    starts = [shlex.split(line.partition(">")[0]) for line in lines if f"python -m {program} " in line]
    return [words[words.index(program) + 1 :] for words in starts]


@pytest.mark.parametrize(
    ("name", "node", "wallet"),
    [
        ("ministack-deploy", "http://127.0.0.1:8899", "file:/state/wallet.json"),
        # Its functions run as other users, in containers of their own.
        ("localstack-deploy", "http://localnet:8899", "secret:fillrate-wallet"),
    ],
)
def test_each_deploy_is_one_that_the_command_knows(name: str, node: str, wallet: str) -> None:
    (words,) = lines_of(name, "infra.deploy")
    options = command_line("infra.deploy").parse_args(words)
    settings = settings_from(options)
    assert (settings.solana_rpc_url, settings.wallet) == (node, wallet)


def test_the_secret_of_the_wallet_is_made_of_the_chains_own_before_the_deploy() -> None:
    (words,) = lines_of("localstack-deploy", "infra.deployment.wallet_secret")
    assert words == ["--stage", "localstack", "--name", "fillrate-wallet", "/state/wallet.json"]
    command = command_of("localstack-deploy")
    assert command.index("wallet_secret") < command.index("infra.deploy ")
    assert "--fund /state/wallet.json" in command_of("localnet")


@pytest.mark.parametrize("name", SERVICES)
def test_up_wait_knows_when_each_is_ready_and_none_ends_by_itself(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    if name.endswith("-deploy"):
        made = SERVICES[name]["healthcheck"]["test"][-1]
        assert command_of(name).rstrip().splitlines()[-2:] == [
            f"mv /tmp/deploying.json {made}",
            "exec sleep infinity",
        ]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_of_the_checkout_is_mounted_so_no_blank_in_its_path_and_no_file_of_roots_can_be(name: str) -> None:
    mounted = [volume.partition(":")[0] for volume in SERVICES[name].get("volumes", ())]
    assert [place for place in mounted if place.startswith((".", "$", "~"))] == []
    assert "PWD" not in str(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_of_one_version(name: str) -> None:
    build = SERVICES[name].get("build")
    image = build["dockerfile_inline"].splitlines()[0].removeprefix("FROM ") if build else SERVICES[name]["image"]
    assert re.search(r":\d+\.\d+\.\d+", image), image


def test_what_is_built_runs_as_no_root() -> None:
    dockerfile = SERVICES["ministack"]["build"]["dockerfile_inline"]
    assert "USER fillrate" in dockerfile
    assert dockerfile.index("USER fillrate") < dockerfile.index("pip install")


def test_localstack_has_the_ports_of_its_websockets() -> None:
    assert "127.0.0.1:4510-4559:4510-4559" in SERVICES["localstack"]["ports"]


def test_its_deploy_signs_with_the_credentials_that_its_emulator_makes() -> None:
    (made,) = [word for word in SERVICES["ministack"]["command"] if word.startswith("--credentials=")]
    assert SERVICES["ministack-deploy"]["environment"]["AWS_SHARED_CREDENTIALS_FILE"] == made.partition("=")[2]
    for service in ("ministack", "ministack-localnet", "ministack-deploy", "localnet", "localstack-deploy"):
        assert "state:/state" in SERVICES[service]["volumes"]

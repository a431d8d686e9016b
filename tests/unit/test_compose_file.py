"""localstack-compose.yml: two profiles, nothing open to the network, and commands that exist."""

from __future__ import annotations

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


def test_its_deploy_is_one_that_the_command_knows() -> None:
    command = SERVICES["ministack-deploy"]["command"]
    assert command[:3] == ["python", "-m", "infra.deploy"]
    options = command_line("infra.deploy").parse_args(command[3:])
    assert settings_from(options).solana_rpc_url == "http://127.0.0.1:8899"


def test_the_deploy_that_its_head_names_is_one_that_the_command_knows() -> None:
    head = (PROJECT / "localstack-compose.yml").read_text().replace("\\\n#", "")
    (line,) = [one.lstrip("# ") for one in head.splitlines() if "infra.deploy --stage localstack" in one]
    options = command_line("infra.deploy").parse_args(shlex.split(line)[3:])
    assert settings_from(options).solana_rpc_url == "http://localnet:8899"


def test_the_chain_keeps_its_wallet_where_the_functions_look_for_it() -> None:
    for service in ("localnet", "ministack-localnet"):
        assert "./.local:/wallet" in SERVICES[service]["volumes"]
        assert "--fund /wallet/wallet.json" in SERVICES[service]["command"][2]
    assert "/.local:/wallet:ro" in SERVICES["localstack"]["environment"]["LAMBDA_DOCKER_FLAGS"]

"""The functions' configuration: read once, typed, complete or refused by name; and the templates agree with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from chalicelib.settings import Settings, read_settings

PROJECT = Path(__file__).parents[2]
SECRET_URL = "http://user:secret-key@rpc.example/secret-path"
# A value for each setting that has no default.
ENVIRONMENT = {
    **{name.upper(): f"the {name}" for name, one in Settings.model_fields.items() if one.is_required()},
    "STAGE": "local",
    "SOLANA_RPC_URL": SECRET_URL,
}


def test_every_setting_comes_from_the_variable_of_its_name() -> None:
    settings = read_settings({**ENVIRONMENT, "WORKER_TIMEOUT_SECONDS": "60", "PATH": "/bin", "WALLET": "file:w.json"})
    assert (settings.stage, settings.orders_table, settings.wallet) == ("local", "the orders_table", "file:w.json")
    assert settings.worker_timeout_seconds == 60


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.keys() - {"SOLANA_RPC_URL"}))
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_or_empty_one_is_named(name: str, empty: bool) -> None:
    environment = {**ENVIRONMENT, name: ""} if empty else {k: v for k, v in ENVIRONMENT.items() if k != name}
    with pytest.raises(ValidationError) as refused:
        read_settings(environment)
    assert [error["loc"] for error in refused.value.errors()] == [(name.lower(),)]


def test_a_number_that_is_none_is_named() -> None:
    with pytest.raises(ValidationError) as refused:
        read_settings({**ENVIRONMENT, "WATCH_SECONDS": "long"})
    assert [error["loc"] for error in refused.value.errors()] == [("watch_seconds",)]


def test_settings_never_show_the_nodes_key_in_a_log() -> None:
    for shown in (repr(read_settings(ENVIRONMENT)), str(read_settings(ENVIRONMENT))):
        assert "secret-key" not in shown
        assert "secret-path" not in shown


def test_a_function_that_asks_no_node_is_told_of_none() -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "SOLANA_RPC_URL"}
    assert read_settings(environment).solana_rpc_url is None


def test_settings_do_not_change_while_a_process_lives() -> None:
    with pytest.raises(ValidationError):
        read_settings(ENVIRONMENT).stage = "prod"


def test_a_lease_outlives_its_worker() -> None:
    """An owner whose lease has run out must be dead: the function's own time-out sees to that."""
    settings = read_settings(ENVIRONMENT)
    assert settings.lease_ms > settings.worker_timeout_seconds * 1000
    assert settings.watch_seconds < settings.worker_timeout_seconds


def test_the_workers_time_out_is_the_deployed_functions_own() -> None:
    """Three places say it: Chalice's configuration, the merge template's environment, and the default here."""
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    deployed = config["lambda_functions"]["execute_order"]["lambda_timeout"]
    template = (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    assert re.findall(r'WORKER_TIMEOUT_SECONDS: "(\d+)"', template) == [str(deployed)]
    assert Settings.model_fields["worker_timeout_seconds"].default == deployed


def test_the_merge_template_gives_the_functions_every_setting_that_has_no_default() -> None:
    template = (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    given = set(re.findall(r"^        ([A-Z0-9_]+):", template, re.MULTILINE))
    required = {name.upper() for name, one in Settings.model_fields.items() if one.is_required()}
    assert required <= given

"""Deployed by Chalice or by CloudFormation, the functions are told the same and their event sources behave the same."""

import re
from pathlib import Path

import pytest

from infra import package
from infra.chalice_deploy import environment, mapping_settings
from infra.deploy import Settings, Target

DATA = {
    name: f"the {name}"
    for name in ("OrdersTable", "PoolsTable", "ControlTable", "OrdersQueueUrl", "DeadLetterQueueUrl")
}


@pytest.mark.parametrize("endpoint_url", [None, "http://localhost.localstack.cloud:4566"])
def test_the_functions_get_every_variable_that_the_template_gives_them(endpoint_url: str | None) -> None:
    target = Target("prod", session=None, region="eu-central-1", endpoint_url=endpoint_url)
    settings = Settings("https://rpc.example", Path("/wallet.json"), api_key_sha256="00" * 32)
    variables = environment(target, settings, DATA, websocket_api="abc123")
    template = (package.PROJECT / "infra" / "functions.yaml").read_text()
    block = template[template.index("Variables:") : template.index("\nResources:")]
    assert set(variables) == set(re.findall(r"^ +([A-Z0-9_]+):", block, re.MULTILINE))
    assert all(isinstance(value, str) and value for value in variables.values())


def test_what_is_not_given_is_absent() -> None:
    target = Target("prod", session=None, region="eu-central-1")
    variables = environment(target, Settings("https://rpc.example"), DATA, websocket_api="abc123")
    assert "WALLET_FILE" not in variables
    assert "API_KEY_SHA256" not in variables
    assert variables["WEBSOCKET_URL"] == "wss://abc123.execute-api.eu-central-1.amazonaws.com/api"
    assert variables["WEBSOCKET_ENDPOINT"] == "https://abc123.execute-api.eu-central-1.amazonaws.com/api"


def test_both_event_sources_take_partial_failures() -> None:
    settings = mapping_settings()
    assert len(settings) == 2
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in settings.values())

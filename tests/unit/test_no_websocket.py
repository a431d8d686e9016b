"""Where an emulator has no WebSocket the deployed stage has none either, and nothing refers to one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deployment import monitoring, no_websocket
from infra.deployment.package import build_template
from infra.project import PROJECT


class Gateway:
    """API Gateway's version 2, which answers with a status."""

    def __init__(self, status: int) -> None:
        self._status = status

    def get_apis(self, **_: str) -> None:
        if self._status != 200:
            answer: Any = {"Error": {"Code": "E"}, "ResponseMetadata": {"HTTPStatusCode": self._status}}
            raise ClientError(answer, "GetApis")


def test_an_emulator_that_does_not_implement_it_has_none() -> None:
    assert no_websocket.has_websocket(Gateway(200))
    assert not no_websocket.has_websocket(Gateway(501))
    with pytest.raises(ClientError):
        no_websocket.has_websocket(Gateway(403))


def test_what_is_left_of_the_template_is_whole() -> None:
    template = build_template("localstack")
    before = set(template["Resources"])
    no_websocket.leave_out(template)
    text = json.dumps(template)
    assert "WebsocketAPI" not in text
    assert "WEBSOCKET" not in text
    gone = before - set(template["Resources"])
    assert {"WebsocketAPI", "WebsocketConnect", "WebsocketConnectRole", "WebsocketConnectLogs"} <= gone
    assert all(name.startswith("Websocket") for name in gone)
    roles = [name for name in template["Resources"] if name.endswith("Role")]
    assert {"ApiHandlerRole", "ExecuteOrderRole", "PushChangesRole", "SweepRole"} <= set(roles)
    for name in roles:
        for policy in template["Resources"][name]["Properties"]["Policies"]:
            assert policy["PolicyDocument"]["Statement"]


def test_the_monitoring_stack_gets_every_parameter_and_no_alarm_about_nothing() -> None:
    template, parameters = monitoring.template(), {"Stage": "localstack"}
    no_websocket.without_alarm(template, parameters)
    named = {name for name in template["Parameters"] if name.startswith("Websocket")}
    assert named <= parameters.keys()
    alarms = [one for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    assert not [alarm for alarm in alarms if "Websocket" in json.dumps(alarm)]


def test_no_template_escapes_a_dollar_sign_which_localstack_refuses() -> None:
    """`${!literal}` in Fn::Sub."""
    for name in ("data", "functions", "monitoring", "waf"):
        lines = (PROJECT / "infra" / "deployment" / f"{name}.yaml").read_text().splitlines()
        assert [line for line in lines if "${!" in line and not line.strip().startswith("#")] == []

"""The WebSocket's deployment is another one as soon as its routes are, and the same as long as they are not."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from infra.deployment.package import build_template
from infra.deployment.websocket_deployment import follow_routes

Resources = dict[str, Any]


@pytest.fixture(scope="module")
def packaged() -> Resources:
    resources: Resources = build_template("prod")["Resources"]
    return resources


def deployment(resources: Resources) -> str:
    followed = deepcopy(resources)
    follow_routes(followed)
    (name,) = [name for name, it in followed.items() if it["Type"] == "AWS::ApiGatewayV2::Deployment"]
    assert followed["WebsocketAPIStage"]["Properties"]["DeploymentId"] == {"Ref": name}
    return name


def test_it_has_a_name_that_the_stage_refers_to_and_that_stays(packaged: Resources) -> None:
    assert deployment(packaged) == deployment(packaged)
    assert deployment(packaged).isalnum(), "a logical id"


def test_another_route_is_another_deployment(packaged: Resources) -> None:
    more = deepcopy(packaged)
    more["SubscribeRoute"] = deepcopy(more["WebsocketMessageRoute"])
    more["SubscribeRoute"]["Properties"]["RouteKey"] = "subscribe"
    assert deployment(more) != deployment(packaged)


def test_another_integration_is_another_deployment(packaged: Resources) -> None:
    other = deepcopy(packaged)
    other["WebsocketMessageAPIIntegration"]["Properties"]["IntegrationUri"] = "another function"
    assert deployment(other) != deployment(packaged)


def test_other_code_or_settings_are_the_same_deployment(packaged: Resources) -> None:
    other = deepcopy(packaged)
    other["WebsocketMessage"]["Properties"]["MemorySize"] = 512
    other["WebsocketAPIStage"]["Properties"]["DefaultRouteSettings"] = {}
    assert deployment(other) == deployment(packaged)

"""What MiniStack lacks of AWS, made good where a deploy goes there. docs/deploy.md lists the gaps."""

import contextlib
from typing import Any

import urllib3

from operations.target import Target

# Where the emulator of `make up` saves everything (infra/local_stack/emulator/persistence.py): POST, answered by 204.
SAVE_PATH = "/_fillrate/save"
_SAVE_SECONDS = 60


def ensure_time_to_live(dynamodb: Any, table: str) -> None:
    """What the template asks for, where CloudFormation is emulated without it."""
    state = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"]
    if state == "DISABLED":
        wish = {"Enabled": True, "AttributeName": "expiresAt"}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wish)


def ensure_gateway_responses(api_gateway: Any, api: str, stage: str, template: dict[str, Any]) -> None:
    """What the template says of the gateway's own answers, which isn't read out of the API's definition."""
    present = {item["responseType"]: item for item in api_gateway.get_gateway_responses(restApiId=api)["items"]}
    wanted = template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
    changed = False
    for response_type, response in wanted.items():
        headers = response["ResponseParameters"]["Headers"]
        wish = {
            "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in headers.items()},
            "responseTemplates": response["ResponseTemplates"],
            **({"statusCode": response["StatusCode"]} if "StatusCode" in response else {}),
        }
        if any(present.get(response_type, {}).get(name) != value for name, value in wish.items()):
            api_gateway.put_gateway_response(restApiId=api, responseType=response_type, **wish)
            changed = True
    if changed:
        api_gateway.create_deployment(restApiId=api, stageName=stage)


def save_state(target: Target) -> None:
    """What a deploy has made must outlive a kill: by itself MiniStack saves at its end alone.

    A MiniStack that `make up` hasn't started knows nothing of this, and is left as it is.
    """
    url, key = f"{target.endpoint_url}{SAVE_PATH}", target.credentials.access_key_id
    signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={key}/"}
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        urllib3.request("POST", url, headers=signed, timeout=_SAVE_SECONDS, retries=False)


def without_kms_conditions(resources: dict[str, Any]) -> None:
    """A policy's conditions on how a key is used are never met: allow the worker's role to use it anyhow."""
    for policy in resources["ExecuteOrderRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            granted = statement["Fn::If"][1] if "Fn::If" in statement else statement
            if granted["Action"] == ["kms:Sign"]:
                granted.pop("Condition", None)


def without_metric_math(resources: dict[str, Any]) -> None:
    """An alarm over an expression is refused: such alarms ring on AWS alone."""
    for name in [name for name, resource in resources.items() if "Metrics" in resource["Properties"]]:
        del resources[name]


def without_websocket_deployment(resources: dict[str, Any]) -> None:
    """There is no AWS::ApiGatewayV2::Deployment: let the stage deploy itself."""
    for name in [name for name, resource in resources.items() if resource["Type"] == "AWS::ApiGatewayV2::Deployment"]:
        del resources[name]
    stage = resources["WebsocketAPIStage"]["Properties"]
    stage.pop("DeploymentId", None)
    stage["AutoDeploy"] = True

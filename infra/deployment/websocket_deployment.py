"""A WebSocket API's deployment that follows its routes.

API Gateway serves what was deployed last, and CloudFormation makes a deployment when it makes the resource, never
again: under Chalice's one name a later route would be there and not be served. Here the name follows the routes, so
that other routes are another deployment, which the stage then has, and the former goes.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-apigatewayv2-deployment.html
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

_DEPLOYMENT = "AWS::ApiGatewayV2::Deployment"
_SERVED = ("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration")


def follow_routes(resources: dict[str, Any]) -> None:
    """Rename the deployment among a template's `resources`, and what refers to it."""
    (name,) = [name for name, resource in resources.items() if resource["Type"] == _DEPLOYMENT]
    served = {name: resource for name, resource in resources.items() if resource["Type"] in _SERVED}
    digest = hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest()[:10]
    resources[f"{name}{digest}"] = resources.pop(name)
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if properties.get("DeploymentId") == {"Ref": name}:
            properties["DeploymentId"] = {"Ref": f"{name}{digest}"}

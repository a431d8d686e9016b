"""A stage where API Gateway has no WebSocket, as LocalStack's core: what belongs to it is left out, and that is told.

The functions then know no address, so that no answer names one; clients ask for their orders again and again.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

TOLD = "no WebSocket there: orders' answers have no wsUrl, and clients poll"

_VARIABLES = ("WEBSOCKET_URL", "WEBSOCKET_ENDPOINT")
# In the monitoring stack, what has no WebSocket to look at.
_NOTHING = "none"


def has_websocket(api_gateway: Any) -> bool:
    """Whether there is API Gateway's version 2. `api_gateway` is boto3's client of it.

    Raises ClientError where it is there and refuses.
    """
    try:
        api_gateway.get_apis(MaxResults="1")
    except ClientError as error:
        # 501: not implemented, or not in the licence
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 501:
            return False
        raise
    return True


def leave_out(template: dict[str, Any]) -> None:
    """Take the WebSocket out of the functions' packaged template: its API, functions, roles, logs, rights, outputs."""
    resources = template["Resources"]
    gone = {name for name in resources if name.startswith("Websocket")}
    for name in gone:
        del resources[name]
    for resource in resources.values():
        for policy in resource.get("Properties", {}).get("Policies", ()):
            document = policy["PolicyDocument"]
            document["Statement"] = [
                statement for statement in document["Statement"] if "WebsocketAPI" not in json.dumps(statement)
            ]
    for name in _VARIABLES:
        del template["Globals"]["Function"]["Environment"]["Variables"][name]
    template["Outputs"] = {
        name: output for name, output in template["Outputs"].items() if not name.startswith("Websocket")
    }


def without_alarm(monitoring: dict[str, Any], parameters: dict[str, str]) -> None:
    """Take its alarm out of the monitoring template, and give what names it `parameters` that name nothing."""
    del monitoring["Resources"]["WebsocketErrors"]
    parameters |= {name: _NOTHING for name in monitoring["Parameters"] if name.startswith("Websocket")}

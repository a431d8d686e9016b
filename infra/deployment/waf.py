"""Deploys the firewall of infra/deployment/waf.yaml before the REST API, where a deploy asks for it."""

from __future__ import annotations

from infra.deployment.cloudformation import deploy_stack
from infra.project import PROJECT
from operations.target import Target


def deploy_firewall(target: Target, rest_api: str) -> dict[str, str]:
    """Bring the firewall's stack to its template; returns its outputs. `rest_api` is the API's id. Raises StackError.

    A later deploy that doesn't ask for it leaves it as it is: to take it away delete the stack.
    """
    template = (PROJECT / "infra" / "deployment" / "waf.yaml").read_text()
    parameters = {"Stage": target.stage, "RestAPIId": rest_api}
    name = target.stack("waf")
    return deploy_stack(target.client("cloudformation"), name, template, parameters, target.poll_seconds)

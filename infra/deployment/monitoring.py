"""Deploys the dashboard and the alarms of infra/deployment/monitoring.yaml, which look at the two other stacks."""

from __future__ import annotations

import json
from typing import Any, Protocol

from chalice.package import YAMLTemplateSerializer

from infra.deployment import ministack_gaps, package
from infra.deployment.cloudformation import deploy_stack


class Target(Protocol):
    """Where to deploy: what is used of deploy.py's."""

    @property
    def stage(self) -> str: ...

    @property
    def on_ministack(self) -> bool: ...

    @property
    def poll_seconds(self) -> float: ...

    def client(self, service: str) -> Any: ...


def template() -> dict[str, Any]:
    """infra/deployment/monitoring.yaml, its short forms (`!Ref`) written out."""
    text = (package.PROJECT / "infra" / "deployment" / "monitoring.yaml").read_text()
    parsed: dict[str, Any] = YAMLTemplateSerializer().load_template(text)
    return parsed


def deploy_monitoring(target: Target, outputs: dict[str, str], alarm_email: str) -> dict[str, str]:
    """Bring the monitoring stack to its template; returns its outputs.

    `outputs` are those of the other stacks; `alarm_email` is told when an alarm rings, nobody if it is empty. Raises
    StackError.
    """
    wanted = template()
    if target.on_ministack:
        ministack_gaps.without_metric_math(wanted["Resources"])
    parameters = {name: value for name, value in outputs.items() if name in wanted["Parameters"]}
    parameters |= {"Stage": target.stage, "AlarmEmail": alarm_email}
    text = json.dumps(wanted, separators=(",", ":"))
    name = f"fillrate-{target.stage}-monitoring"
    return deploy_stack(target.client("cloudformation"), name, text, parameters, target.poll_seconds)

"""Deploys the dashboard and the alarms of infra/deployment/monitoring.yaml, which look at the two other stacks."""

from __future__ import annotations

import json
from typing import Any

from infra.deployment import ministack_gaps, no_websocket
from infra.deployment.cloudformation import deploy_stack, parse, unconditional_outputs
from infra.project import PROJECT
from operations.target import Target


def template() -> dict[str, Any]:
    """infra/deployment/monitoring.yaml, its short forms (`!Ref`) written out."""
    return parse((PROJECT / "infra" / "deployment" / "monitoring.yaml").read_text())


def deploy_monitoring(target: Target, outputs: dict[str, str], alarm_email: str) -> dict[str, str]:
    """Bring the monitoring stack to its template; returns its outputs.

    `outputs` are those of the other stacks; `alarm_email` is told when an alarm rings, nobody if it is empty. Raises
    StackError.
    """
    wanted = template()
    if target.on_ministack:
        ministack_gaps.without_metric_math(wanted["Resources"])
    parameters = {name: value for name, value in outputs.items() if name in wanted["Parameters"]}
    if "WebsocketAPIId" not in outputs:
        no_websocket.without_alarm(wanted, parameters)
    parameters |= {"Stage": target.stage, "AlarmEmail": alarm_email}
    text = json.dumps(wanted, separators=(",", ":"))
    name = target.stack("monitoring")
    needed = unconditional_outputs(wanted)
    return deploy_stack(target.client("cloudformation"), name, text, parameters, target.poll_seconds, needed=needed)

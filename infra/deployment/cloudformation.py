"""Brings one CloudFormation stack to a template: creates or updates it, waits, and says why if it fails."""

import json
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError
from chalice.package import YAMLTemplateSerializer

from infra.deployment.new_indexes import templates_between, templates_without, with_former_indexes
from operations.stacks import describe, outputs

_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
# A stack in one of these was never created; it can only be deleted.
_NEVER_CREATED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}
_GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
_TABLE = "AWS::DynamoDB::Table"
# Of an index: CREATING and DELETING are under way.
_READY = "ACTIVE"


class StackError(Exception):
    """A stack didn't reach its template; the text names the resources that failed and why."""


def deploy_stack(
    client: Any,
    name: str,
    template: str,
    parameters: dict[str, str],
    poll_seconds: float,
    timeout_seconds: float = 900,
    needed: Collection[str] = (),
) -> dict[str, str]:
    """Create or update the stack `name` and return its outputs, among them those that are `needed`.

    `client` is boto3's CloudFormation client, `template` the template's text or, for a long one, its S3 URL. An
    unchanged template is no error. What a failed change had newly made is deleted with it, also what is retained else
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html, RetainExceptOnCreate).
    Raises StackError if the stack fails, isn't done in time, or lacks an output.
    """
    arguments = {
        "RetainExceptOnCreate": True,
        "StackName": name,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": _CAPABILITIES,
        "TemplateURL" if template.startswith(("https://", "http://")) else "TemplateBody": template,
    }
    deadline = time.monotonic() + timeout_seconds
    state = _settled(client, name, poll_seconds, deadline)
    if state is not None and state["StackStatus"] in _NEVER_CREATED:
        client.delete_stack(StackName=name)
        state = _settled(client, name, poll_seconds, deadline)
    if state is None:
        client.create_stack(**arguments)
    else:
        _update(client, name, arguments)
    state = _reached(client, name, poll_seconds, deadline)
    told = outputs(state)
    missing = [output for output in needed if not told.get(output)]
    if missing:
        raise StackError(f"stack {name} is {state['StackStatus']}, but tells no {', '.join(missing)}: deploy again")
    return told


def deployed_template(client: Any, name: str) -> dict[str, Any] | None:
    """What the stack `name` is at, parsed; None where there is no stack."""
    state = describe(client, name)
    if state is None or state["StackStatus"] in _NEVER_CREATED:
        return None
    deployed = client.get_template(StackName=name)["TemplateBody"]
    return parse(deployed) if isinstance(deployed, str) else dict(deployed)


def deploy_new_indexes(
    client: Any, dynamodb: Any, name: str, template: str, poll_seconds: float, timeout_seconds: float = 900
) -> str:
    """Give the tables of the stack `name` all but the last of the indexes that `template` adds, one an update.

    The rest of the stack, and what it was told, stays as it is; nothing is done where there is no stack. Returns what
    to deploy then: `template`, with those indexes besides that it no longer has, for the present functions may ask.
    Raises StackError if the stack fails, or isn't done in time: its state is then that of an earlier index.
    """
    deadline = time.monotonic() + timeout_seconds
    _settled(client, name, poll_seconds, deadline)
    before = deployed_template(client, name)
    if before is None:
        return template
    wanted = parse(template)
    kept = with_former_indexes(before, wanted)
    for between in templates_between(before, kept):
        _update_indexes(client, dynamodb, name, before, between, poll_seconds, deadline)
    return template if kept == wanted else json.dumps(kept)


def drop_former_indexes(
    client: Any, dynamodb: Any, name: str, template: str, poll_seconds: float, timeout_seconds: float = 900
) -> None:
    """Drop the indexes that `template` doesn't have, one an update. No function may ask for them any more.

    Raises StackError.
    """
    deadline = time.monotonic() + timeout_seconds
    before = deployed_template(client, name)
    for shorter in templates_without(before, parse(template)) if before is not None else ():
        _update_indexes(client, dynamodb, name, before or {}, shorter, poll_seconds, deadline)


def await_indexes(dynamodb: Any, tables: Iterable[str], poll_seconds: float, timeout_seconds: float = 900) -> None:
    """Wait until each of the tables has all of its indexes: CloudFormation doesn't, and a new one is filled for hours
    where a table is large. Raises StackError where that takes longer; nothing but time is lacking then.
    """
    _await_indexes(dynamodb, tables, poll_seconds, time.monotonic() + timeout_seconds)


def tables_of(template: dict[str, Any], told: Mapping[str, str]) -> list[str]:
    """The names of a parsed template's tables, by its stack's outputs, which are called as the tables are there."""
    return [told[name] for name, one in template["Resources"].items() if one["Type"] == _TABLE and name in told]


def _update_indexes(
    client: Any,
    dynamodb: Any,
    name: str,
    before: dict[str, Any],
    template: dict[str, Any],
    poll_seconds: float,
    deadline: float,
) -> None:
    kept = [{"ParameterKey": key, "UsePreviousValue": True} for key in before.get("Parameters", {})]
    arguments = {"Parameters": kept, "Capabilities": _CAPABILITIES, "TemplateBody": json.dumps(template)}
    _update(client, name, {"StackName": name, **arguments})
    state = _reached(client, name, poll_seconds, deadline)
    _await_indexes(dynamodb, tables_of(template, outputs(state)), poll_seconds, deadline)


def _await_indexes(dynamodb: Any, tables: Iterable[str], poll_seconds: float, deadline: float) -> None:
    for table in tables:
        while under_way := _indexes_under_way(dynamodb, table):
            if time.monotonic() > deadline:
                raise StackError(
                    f"table {table} still works on {', '.join(under_way)}: the functions are as they were; "
                    "deploy again when it is done (aws dynamodb describe-table tells)"
                )
            time.sleep(poll_seconds)


def _indexes_under_way(dynamodb: Any, table: str) -> list[str]:
    indexes = dynamodb.describe_table(TableName=table)["Table"].get("GlobalSecondaryIndexes", ())
    return [f"index {one['IndexName']}" for one in indexes if one.get("IndexStatus", _READY) != _READY]


def unconditional_outputs(template: dict[str, Any]) -> list[str]:
    """The outputs that a stack of this parsed template has in any case."""
    return [name for name, output in template.get("Outputs", {}).items() if "Condition" not in output]


def parse(template: str) -> dict[str, Any]:
    """A template's text, its short forms (`!Ref`) written out."""
    parsed: dict[str, Any] = YAMLTemplateSerializer().load_template(template)
    return parsed


def _update(client: Any, name: str, arguments: dict[str, Any]) -> None:
    try:
        client.update_stack(**arguments)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise StackError(f"stack {name} can't be updated: {error}") from error


def _reached(client: Any, name: str, poll_seconds: float, deadline: float) -> dict[str, Any]:
    """The stack once it is at its template. Raises StackError."""
    state = _settled(client, name, poll_seconds, deadline)
    if state is None or state["StackStatus"] not in _GOOD:
        raise StackError(_failure(client, name, state))
    return state


def _settled(client: Any, name: str, poll_seconds: float, deadline: float) -> dict[str, Any] | None:
    """The stack once nothing is under way on it."""
    while True:
        state = describe(client, name)
        if state is None or not state["StackStatus"].endswith("_IN_PROGRESS"):
            return state
        if state["StackStatus"] == "REVIEW_IN_PROGRESS":
            return state
        if time.monotonic() > deadline:
            raise StackError(f"stack {name} is still {state['StackStatus']}: see its events in CloudFormation")
        time.sleep(poll_seconds)


def _failure(client: Any, name: str, state: dict[str, Any] | None) -> str:
    if state is None:
        return f"stack {name} vanished while it was being deployed"
    lines = [f"stack {name}: {state['StackStatus']} {state.get('StackStatusReason', '')}".rstrip()]
    for event in client.describe_stack_events(StackName=state["StackId"])["StackEvents"]:
        started = event["ResourceType"] == "AWS::CloudFormation::Stack" and event["ResourceStatus"] in (
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
        )
        if started:
            break  # what is older belongs to an earlier deploy
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            lines.append(f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
    return "\n".join(lines)

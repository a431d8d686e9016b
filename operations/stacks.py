"""A stage's CloudFormation stacks, and the names of what they hold."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.settings import node_urls
from operations.errors import NoStage
from operations.target import Target


def deployed(target: Target, part: str = "") -> dict[str, str]:
    """The outputs of the stage's stack `part` (as in Target.stack), by key. Raises NoStage where there are none."""
    state = describe(target.client("cloudformation"), target.stack(part))
    if state is None:
        raise NoStage(f"stage {target.stage} is not deployed there")
    told = outputs(state)
    if not told:  # one that was rolled back, or is under way for the first time
        raise NoStage(f"stack {target.stack(part)} is {state['StackStatus']}: deploy stage {target.stage} again")
    return told


def worker_environment(target: Target) -> dict[str, str]:
    """What the deployed worker is told. Raises NoStage."""
    worker = deployed(target)["WorkerFunction"]
    configuration = target.client("lambda").get_function_configuration(FunctionName=worker)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return variables


def solana_nodes(target: Target) -> tuple[str, ...]:
    """The URLs of the Solana nodes that the deployed worker asks. Raises NoStage, and botocore's errors."""
    variables = worker_environment(target)
    text = variables.get("SOLANA_RPC_URL")
    if not text:
        secret = variables["SOLANA_RPC_SECRET_ARN"]
        text = target.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return node_urls(text)


def outputs(state: dict[str, Any]) -> dict[str, str]:
    """A described stack's outputs, by key."""
    return {output["OutputKey"]: output["OutputValue"] for output in state.get("Outputs", [])}


def describe(client: Any, name: str) -> dict[str, Any] | None:
    """The stack as CloudFormation describes it, or None if there is none."""
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    # A deleted stack may still be listed.
    state: dict[str, Any] | None = stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None
    return state

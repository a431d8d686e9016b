"""`make redrive`: send dead letters back after an outage, with the names and addresses that the worker itself has."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.deployment.deploy import STAGES, Target, target_for

if TYPE_CHECKING:
    from chalicelib.orders.redrive import Redriven

LIMIT = 1000


def redrive(target: Target) -> "list[Redriven]":
    """Send back what the stage's dead-letter queue holds; returns each dead letter with what became of it.

    Raises botocore's errors.
    """
    described = target.client("cloudformation").describe_stacks(StackName=f"fillrate-{target.stage}")["Stacks"][0]
    names = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    worker_function = names["WorkerFunction"]
    configuration = target.client("lambda").get_function_configuration(FunctionName=worker_function)
    os.environ.update(configuration["Environment"]["Variables"])
    os.environ["AWS_DEFAULT_REGION"] = target.region
    if target.endpoint_url:
        os.environ.update(AWS_ENDPOINT_URL=target.endpoint_url, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")  # noqa: S106
    from chalicelib import composition

    return composition.redrive().run(LIMIT)


def _show(redriven: "list[Redriven]") -> None:
    for one in redriven:
        print(f"{one.dead_order_id or '(no order)'}  {one.outcome}  {one.order_id or ''}".rstrip())
    print(f"{len(redriven)} dead letters, {sum(1 for one in redriven if one.order_id)} sent back or done with")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.redrive", description="Send dead letters back.")
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"))
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"))
    options = parser.parse_args()
    target = target_for(options.stage, options.endpoint_url, options.region)
    try:
        _show(redrive(target))
    except (ClientError, BotoCoreError) as error:
        print(f"redrive: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rules against plain http, as deployed to AWS, refuse a call to an emulator on http that they allowed before."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from chalice.package import YAMLTemplateSerializer

from infra.deployment import artifacts
from infra.project import PROJECT
from operations.target import EmulatorCredentials

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
PLAIN = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.fixture(scope="module")
def root(secured_stack: dict[str, str]) -> Any:
    return _clients(secured_stack, *EmulatorCredentials.of(secured_stack))


@pytest.fixture(scope="module")
def user(secured_stack: dict[str, str], root: Any) -> Any:
    """Clients of a user who may do everything, but is not root, whom no policy binds."""
    iam = root("iam")
    iam.create_user(UserName="tls")
    iam.put_user_policy(UserName="tls", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    key = iam.create_access_key(UserName="tls")["AccessKey"]
    return _clients(secured_stack, key["AccessKeyId"], key["SecretAccessKey"])


def test_a_queue_refuses_http(root: Any, user: Any) -> None:
    url = root("sqs").create_queue(QueueName="tls-only")["QueueUrl"]
    user("sqs").send_message(QueueUrl=url, MessageBody="x")
    template = YAMLTemplateSerializer().load_template((PROJECT / "infra" / "deployment" / "data.yaml").read_text())
    policy = template["Resources"]["TlsOnly"]["Properties"]["PolicyDocument"]
    policy["Statement"][0]["Resource"] = "arn:aws:sqs:us-east-1:000000000000:tls-only"
    root("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    with pytest.raises(ClientError, match="explicit deny"):
        user("sqs").send_message(QueueUrl=url, MessageBody="x")


def test_the_bucket_of_the_code_refuses_http(root: Any, user: Any) -> None:
    artifacts.ensure_bucket(root("s3"), "tls-only", "000000000000", "us-east-1", over_tls=False)
    user("s3").put_object(Bucket="tls-only", Key="x", Body=b"x")
    artifacts.ensure_bucket(root("s3"), "tls-only", "000000000000", "us-east-1", over_tls=True)
    with pytest.raises(ClientError, match="explicit deny"):
        user("s3").put_object(Bucket="tls-only", Key="x", Body=b"x")


def _clients(stack: dict[str, str], key: str, secret: str) -> Any:
    session = boto3.Session(key, secret, region_name="us-east-1")
    return lambda service: session.client(service, endpoint_url=stack["awsEndpoint"], config=PLAIN)

"""What guards the data of the prod stage, deployed to moto as to AWS: encryption, copies, TLS, no slip of the hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from chalice.package import YAMLTemplateSerializer
from moto import mock_aws

from infra.deployment import artifacts, package
from infra.deployment.deploy import deploy_data, worker_role
from infra.project import PROJECT
from operations.target import Target

REGION = "eu-central-1"

Json = dict[str, Any]


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Target("prod", boto3.Session(region_name=REGION), REGION)


@pytest.fixture(scope="module")
def template() -> Json:
    template: Json = YAMLTemplateSerializer().load_template(
        (PROJECT / "infra" / "deployment" / "data.yaml").read_text()
    )
    return template


@pytest.fixture(scope="module")
def tables(template: Json) -> Json:
    resources = template["Resources"].items()
    return {name: it["Properties"] for name, it in resources if it["Type"] == "AWS::DynamoDB::Table"}


def test_every_table_is_encrypted_with_a_key_whose_use_is_seen_and_can_be_put_back_in_time(tables: Json) -> None:
    """(Read from the template: no emulator keeps the two.)"""
    assert len(tables) >= 3
    for table in tables.values():
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_no_table_of_prod_is_deleted_by_a_slip(tables: Json, template: Json) -> None:
    assert template["Conditions"]["IsProd"] == {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
    for table in tables.values():
        assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}


@pytest.mark.parametrize("queue", ["OrdersQueueUrl", "DeadLetterQueueUrl"])
def test_a_queue_is_encrypted(target: Target, queue: str) -> None:
    url = deploy_data(target)[queue]
    attributes = target.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["SqsManagedSseEnabled"])
    assert attributes["Attributes"]["SqsManagedSseEnabled"].lower() == "true"


def test_both_queues_refuse_whoever_comes_without_tls(template: Json) -> None:
    """(moto knows no queue policies; tests/e2e/test_tls_only.py has this one refuse a call.)"""
    policy = template["Resources"]["TlsOnly"]
    queues = {name for name, it in template["Resources"].items() if it["Type"] == "AWS::SQS::Queue"}
    assert {queue["Ref"] for queue in policy["Properties"]["Queues"]} == queues
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert {resource["Fn::GetAtt"][0] for resource in statement["Resource"]} == queues
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert template["Conditions"][policy["Condition"]] == {"Fn::Equals": [{"Ref": "Transport"}, "https"]}
    assert Target("prod", None, REGION).transport == "https"


def test_no_stack_shows_where_the_nodes_are(template: Json) -> None:
    """(moto shows every parameter; tests/e2e/test_roles.py looks at the stacks of an emulator that doesn't.)"""
    assert template["Parameters"]["SolanaRpcUrl"]["NoEcho"] is True


def test_the_wallets_key_signs_for_the_one_role_that_is_named_whole(template: Json) -> None:
    """(Read from the template: the emulator writes a role otherwise than AWS. test_kms_wallet.py tries it.)"""
    policy = template["Resources"]["WalletSigningKey"]["Properties"]["KeyPolicy"]["Statement"]
    (signing,) = [one for one in policy if "kms:Sign" in one["Action"]]
    over_tls, on_aws, _ = signing["Condition"]["ArnEquals"]["Fn::If"]
    assert over_tls == "IsOverTls"
    role = on_aws["aws:PrincipalArn"]["Fn::Sub"]
    assert role == "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${WorkerRole}"
    assert signing["Condition"]["ArnLike"]["Fn::If"][:2] == ["IsOverTls", {"Ref": "AWS::NoValue"}]
    worker = package.build_template("prod")["Resources"]["ExecuteOrderRole"]["Properties"]["RoleName"]
    assert worker == {"Ref": "WorkerRole"}
    names = {worker_role(Target("prod", None, region)) for region in ("eu-central-1", "us-east-1")}
    assert len(names) == 2
    assert not [name for name in names if "*" in name or "?" in name or len(name) > 64]


def test_the_bucket_of_the_code_is_private_encrypted_and_over_tls_alone(target: Target) -> None:
    s3 = target.client("s3")
    for _ in range(2):
        artifacts.ensure_bucket(s3, "code", "123456789012", REGION, over_tls=True)
    public = s3.get_public_access_block(Bucket="code")["PublicAccessBlockConfiguration"]
    assert len(public) == 4
    assert all(public.values())
    (rule,) = s3.get_bucket_encryption(Bucket="code")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket="code")["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["arn:aws:s3:::code", "arn:aws:s3:::code/*"]
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="code")["Rules"]
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1


def test_code_is_not_put_into_a_bucket_of_that_name_that_is_anothers() -> None:
    s3 = boto3.client("s3", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(s3) as answers:
        # what S3 answers where the owner is not the expected one
        answers.add_client_error(
            "head_bucket", "403", expected_params={"Bucket": "code", "ExpectedBucketOwner": "999999999999"}
        )
        with pytest.raises(ClientError, match="403"):
            artifacts.ensure_bucket(s3, "code", "999999999999", REGION, over_tls=True)


def test_on_an_emulator_only_the_present_code_is_kept(target: Target) -> None:
    s3 = target.client("s3")
    artifacts.ensure_bucket(s3, "code", "123456789012", REGION, over_tls=False)
    artifacts.upload(s3, "code", "1.zip", b"one", alone=False)
    artifacts.upload(s3, "code", "2.zip", b"two", alone=False)
    assert _keys(s3) == {"1.zip", "2.zip"}
    artifacts.upload(s3, "code", "3.zip", b"three", alone=True)
    assert _keys(s3) == {"3.zip"}


def _keys(s3: Any) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket="code")["Contents"]}

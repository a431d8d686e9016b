"""The bucket that CloudFormation reads the functions' code from: private, encrypted, over TLS alone."""

import json
from typing import Any

from botocore.exceptions import ClientError

# Whoever can write the bucket can choose what the functions run, so nothing about it is left to an account's defaults.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
_PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
# A zip's name is its hash: none is ever replaced, and the present one must stay, however old it is.
_LIFECYCLE = {
    "Rules": [
        {
            "ID": "abandoned-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
}


def ensure_bucket(s3: Any, bucket: str, account: str, region: str, *, over_tls: bool) -> None:
    """Make the bucket if it is missing, and set what guards it. `over_tls` is False where S3 is an emulator on http.

    Raises ClientError, also where the bucket of that name is another account's: its owner could change the code.
    """
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        # us-east-1 is the one region that S3 doesn't want named.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_PRIVATE)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=_ENCRYPTED)
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=_LIFECYCLE)
    if over_tls:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(s3.meta.partition, bucket)))


def upload(s3: Any, bucket: str, key: str, body: bytes, *, alone: bool) -> None:
    """Store `body` unless it is there. `alone` deletes all others: an emulator keeps them in memory, on AWS a rollback
    wants the former one.
    """
    present = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    if key not in present:
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    if alone:
        for old in present - {key}:
            s3.delete_object(Bucket=bucket, Key=old)


def _tls_only(partition: str, bucket: str) -> dict[str, Any]:
    arn = f"arn:{partition}:s3:::{bucket}"
    statement = {
        "Sid": "NothingWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}

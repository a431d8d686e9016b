"""What is asked of boto3's Secrets Manager client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from chalicelib.aws.errors import translated


class SecretsManager(Protocol):
    def get_secret_value(self, **request: Any) -> Mapping[str, Any]:
        """Raises ClientError with ResourceNotFoundException where there is no such secret, or no such version."""


@translated()
def secret_version(client: SecretsManager, secret_id: str, stage: str) -> str | None:
    """The text of a secret's version, which `stage` names; None where there is none. Raises AwsError."""
    try:
        text: str = client.get_secret_value(SecretId=secret_id, VersionStage=stage)["SecretString"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return text

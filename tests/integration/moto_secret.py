"""AWS::SecretsManager::Secret for moto's CloudFormation, which has none. Importing this is enough: moto finds it."""

from __future__ import annotations

import secrets
from typing import Any

from moto.core.common_models import CloudFormationModel
from moto.secretsmanager.models import secretsmanager_backends


class TemplateSecret(CloudFormationModel):
    """A secret with a value that is given, or generated. Ref and Id are its ARN, as on AWS."""

    def __init__(self, account: str, region: str, name: str, text: str) -> None:
        self._backend = secretsmanager_backends[account][region]
        self._backend.create_secret(
            name=name,
            secret_string=text,
            secret_binary=None,
            description=None,
            tags=None,
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        self._arn = str(self._backend.describe_secret(name).arn)

    @property
    def physical_resource_id(self) -> str:
        return self._arn

    def get_cfn_attribute(self, attribute_name: str) -> str:
        assert attribute_name == "Id"
        return self._arn

    def is_created(self) -> bool:
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Id"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> TemplateSecret:
        properties = cloudformation_json["Properties"]
        text = properties.get("SecretString") or _generated(properties["GenerateSecretString"])
        return cls(account_id, region_name, resource_name, text)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Any:
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str
    ) -> None:
        secretsmanager_backends[account_id][region_name].delete_secret(resource_name, None, True)


def _generated(wish: dict[str, Any]) -> str:
    return secrets.token_hex(int(wish["PasswordLength"]) // 2)

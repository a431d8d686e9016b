"""The functions' policies as functions.yaml says them, with what is deployed in place of its references.

For `chalice deploy`, which knows a policy as a plain document for each function and no parameters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_REFERENCE = re.compile(r"\$\{([\w:]+)\}")
_ABSENT = object()


class UnknownReference(Exception):
    """The template refers to something, or in a way, that is not known here; the text names it."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the references stand for: the template's `parameters` by name, and where it all is."""

    stage: str
    region: str
    account: str
    partition: str
    parameters: Mapping[str, str]

    def log_group(self, function: str) -> str:
        """The ARN of the group that Lambda makes for Chalice's `function`, and of all in it."""
        name = f"/aws/lambda/fillrate-{self.stage}-{function}"
        return f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:{name}:*"


def policies(template: Json, deployed: Deployed) -> dict[str, Json]:
    """The policy of each function, by Chalice's name of it (`execute_order`). Raises UnknownReference."""
    documents = {}
    for name, resource in template["Resources"].items():
        if name.endswith("Role"):
            function = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Role")).lower()
            (policy,) = resource["Properties"]["Policies"]
            documents[function] = _Resolver(template, deployed, function).resolve(policy["PolicyDocument"])
    return documents


@dataclass(frozen=True, slots=True)
class _Resolver:
    template: Json
    deployed: Deployed
    function: str

    def resolve(self, value: Any) -> Any:
        """`value` without CloudFormation's functions."""
        if isinstance(value, list):
            return [it for it in map(self.resolve, value) if it is not _ABSENT]
        if not isinstance(value, dict):
            return value
        match next(iter(value.items()), None), len(value):
            case ("Ref", str(name)), 1:
                return self._reference(name)
            case ("Fn::Sub", str(text)), 1:
                return _REFERENCE.sub(lambda found: self._reference(found[1]), text)
            case ("Fn::GetAtt", [str(name), "Arn"]), 1 if name.endswith("Logs"):
                return self.deployed.log_group(self.function)
            case ("Fn::If", [condition, then, otherwise]), 1:
                return self.resolve(then if self._holds(self.template["Conditions"][condition]) else otherwise)
            case (str(key), _), 1 if key.startswith("Fn::"):
                raise UnknownReference(f"{key} in the policy of {self.function}")
        resolved = {key: self.resolve(it) for key, it in value.items()}
        return {key: it for key, it in resolved.items() if it is not _ABSENT}

    def _reference(self, name: str) -> Any:
        places = {
            "AWS::Partition": self.deployed.partition,
            "AWS::Region": self.deployed.region,
            "AWS::AccountId": self.deployed.account,
            "AWS::NoValue": _ABSENT,
            # Chalice makes it after the roles: all that are served under the stage's name in this account.
            "WebsocketAPI": "*",
        }
        if name in places:
            return places[name]
        default = self.template["Parameters"].get(name, {}).get("Default")
        value = self.deployed.parameters.get(name, default)
        if value is None:
            raise UnknownReference(f"{name} in the policy of {self.function}")
        return value

    def _holds(self, condition: Json) -> bool:
        match condition:
            case {"Fn::Equals": [one, other]}:
                return bool(self.resolve(one) == self.resolve(other))
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
        raise UnknownReference(f"condition {condition} in the policy of {self.function}")

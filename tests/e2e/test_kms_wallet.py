"""A stack whose wallet is a key in KMS, made by its own deploy: it signs a whole order, for the worker's role alone.

The emulator enforces the roles' policies and the key's own, as AWS does, but for conditions on how a key is used.
"""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.kms_wallet import KmsWallet
from chalicelib.solana.wallet import InvalidWallet
from infra.deployment.wallet import WalletError, deployed_wallet
from operations.target import target_of
from testing.chain import Chain
from testing.client import Client
from tests.e2e.test_roles import MAY, Account, is_allowed


@pytest.fixture(scope="module")
def stack(secured_stack: dict[str, str]) -> dict[str, str]:
    return secured_stack


@pytest.fixture(scope="module")
def kms(stack: dict[str, str]) -> Any:
    return target_of(stack, "prod", stack["awsEndpoint"]).client("kms")


@pytest.fixture(scope="module")
def key_id(kms: Any) -> str:
    """The stack's; the one that the deploy tried the emulator with is deleted."""
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    (key,) = (key for key in keys if key["KeyState"] == "Enabled")
    return str(key["KeyId"])


def test_an_order_trades_from_the_keys_address(stack: dict[str, str]) -> None:
    chain, client = Chain(stack["rpcUrl"]), Client(stack["restUrl"], stack["apiKey"])

    order = client.ended(client.execute("SOL", "USDC", "2")["orderId"])

    assert order["status"] == "confirmed", order
    message = chain.transaction(order["txHash"])["transaction"]["message"]
    assert message["accountKeys"][0] == stack["wallet"]
    back = client.ended(client.execute("USDC", "SOL", "50")["orderId"])
    assert back["status"] == "confirmed", back


def test_the_key_is_what_the_template_says_and_only_the_worker_may_sign(
    stack: dict[str, str], kms: Any, key_id: str
) -> None:
    key = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    policy = json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    signing, *others = [each for each in policy["Statement"] if {"kms:Sign", "kms:*", "*"} & {*_listed(each["Action"])}]
    assert (signing["Action"], others) == ("kms:Sign", [])
    worker = Account(stack).role_of("ExecuteOrder")
    # the emulator's own writing of the role: on AWS it is the role's ARN itself, see test_guarded_data.py
    assert signing["Condition"]["ArnLike"] == {
        "aws:PrincipalArn": f"arn:aws:sts::000000000000:assumed-role/{worker.rpartition('/')[2]}/*"
    }


@pytest.mark.parametrize("named", ["fillrate-prod-ExecuteOrderRole-mallory", "{worker}-mallory", "mallory-{worker}"])
def test_a_role_that_is_named_like_the_workers_does_not_sign(stack: dict[str, str], key_id: str, named: str) -> None:
    """It has all the rights on the key that a role's own policy can give it."""
    account = Account(stack)
    iam = account.client(account.root, "iam")
    name = named.format(worker=account.role_of("ExecuteOrder").rpartition("/")[2])
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(rights))
    kms = account.place_of_role(role).client("kms")

    with pytest.raises(ClientError, match="AccessDenied"):
        kms.sign(KeyId=key_id, Message=b"x", MessageType="RAW", SigningAlgorithm="ED25519_SHA_512")


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


@pytest.mark.parametrize("function", list(MAY))
def test_only_the_workers_role_may_sign(stack: dict[str, str], key_id: str, function: str) -> None:
    kms = Account(stack).place_of(function).client("kms")
    request = {"KeyId": key_id, "Message": b"x", "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
    trials = {
        "sign": lambda place: kms.sign(**request),
        "address": lambda place: kms.get_public_key(KeyId=key_id),
        "delete": lambda place: kms.schedule_key_deletion(KeyId="alias/nobodys"),
        "change who may": lambda place: kms.put_key_policy(KeyId="alias/nobodys", Policy="{}"),
        "sign with another": lambda place: kms.sign(**request | {"KeyId": "alias/nobodys"}),
    }
    allowed = {name for name, trial in trials.items() if is_allowed(trial, cast("Any", kms))}
    assert allowed == ({"sign", "address"} if function == "ExecuteOrder" else set())


def test_a_second_deploy_keeps_the_key(stack: dict[str, str], kms: Any, key_id: str) -> None:
    wallet = deployed_wallet(f"kms:{key_id}", "prod", lambda service: kms, {})
    assert wallet.address == stack["wallet"] == str(KmsWallet(kms, key_id).address)
    assert wallet.setting == f"kms:{wallet.key_arn}"


def test_an_alias_is_pinned_to_the_key_that_it_names_now(kms: Any, key_id: str) -> None:
    kms.create_alias(AliasName="alias/wallet", TargetKeyId=key_id)
    assert deployed_wallet("kms:alias/wallet", "prod", lambda service: kms, {}).key_arn.endswith(key_id)


def test_a_key_of_another_kind_or_that_is_disabled_or_not_there_refuses_the_deploy(kms: Any) -> None:
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    with pytest.raises(WalletError, match="ECC_NIST_EDWARDS25519"):
        deployed_wallet(f"kms:{other}", "prod", lambda service: kms, {})
    with pytest.raises(InvalidWallet):
        _ = KmsWallet(kms, other).address
    off = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=off)
    with pytest.raises(WalletError, match="Disabled"):
        deployed_wallet(f"kms:{off}", "prod", lambda service: kms, {})
    with pytest.raises(WalletError, match="nowhere"):
        deployed_wallet("kms:nowhere", "prod", lambda service: kms, {})

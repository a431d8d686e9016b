"""The wallet that a deploy gives the worker: the option `--wallet`, checked, with what the functions' stack must know.

`kms` is a key that the data stack makes, `kms:<key id, ARN or alias>` one that is there already, `secret:<name or ARN>`
a solana-keygen file in Secrets Manager, `file:<path>` one on this machine, which only the local stages take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from solders.signature import Signature

from chalicelib.aws.kms_wallet import KEY_SPEC, SIGNING_ALGORITHM, KmsWallet
from chalicelib.aws.secret_wallet import SecretWallet
from chalicelib.problems import WalletUnavailable
from chalicelib.solana.wallet import InvalidWallet, LocalWallet
from chalicelib.solana.wallet_choice import WalletChoice, WalletKind

# `--wallet` alone for a key that the data stack makes and keeps.
OWN_KEY = "kms"
_PROBE = b"whether this is a signature of Ed25519"


class WalletError(Exception):
    """There is no such wallet, or it isn't for this stage; the text says what to give instead."""


@dataclass(frozen=True, slots=True)
class DeployedWallet:
    """What the functions are told (`setting`), what the worker may use, and the address, unknown where not readable."""

    setting: str
    key_arn: str = ""
    secret_arn: str = ""
    address: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """Of infra/deployment/functions.yaml."""
        return {
            "Wallet": self.setting,
            "WalletAddress": self.address or "",
            "WalletKeyArn": self.key_arn,
            "WalletSecretArn": self.secret_arn,
        }


def check_option(option: str, stage: str) -> str:
    """The option as it is kept, with a file's path absolute. Raises WalletError where the stage can't have it."""
    if option == OWN_KEY:
        return option
    try:
        choice = WalletChoice.parse(option, stage)
    except ValueError as error:
        raise WalletError(f"--wallet {option!r}: {error}" if option else f"no wallet: give --wallet; {error}") from None
    if choice.kind is WalletKind.FILE:
        return str(WalletChoice(choice.kind, str(Path(choice.place).absolute())))
    return option


def check_emulated_kms(kms: Any) -> None:
    """See that an emulator's KMS signs as Solana does, by a key that is made for it and deleted.

    Raises WalletError. AWS's does: there nothing is tried.
    """
    try:
        key = kms.create_key(KeySpec=KEY_SPEC, KeyUsage="SIGN_VERIFY", Description="whether there are Ed25519 keys")
        key_id = key["KeyMetadata"]["KeyId"]
        try:
            address = KmsWallet(kms, key_id).address
            signed = kms.sign(KeyId=key_id, Message=_PROBE, MessageType="RAW", SigningAlgorithm=SIGNING_ALGORITHM)
            if not Signature(signed["Signature"]).verify(address, _PROBE):
                raise ValueError("its signatures are wrong")
        finally:
            kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    except (ClientError, InvalidWallet, WalletUnavailable, ValueError) as error:
        raise WalletError(
            f"--wallet kms: this emulator's KMS has no Ed25519 keys ({error}): give --wallet secret:<name or ARN> or "
            "file:<path>"
        ) from error


def deployed_wallet(
    option: str, stage: str, client: Callable[[str], Any], data_outputs: Mapping[str, str]
) -> DeployedWallet:
    """Look the wallet up where it is kept. `client` makes boto3 clients. Raises WalletError, and boto3's errors."""
    if option == OWN_KEY:
        option = f"{WalletKind.KMS}:{data_outputs['WalletKeyArn']}"
    choice = WalletChoice.parse(option, stage)
    try:
        match choice.kind:
            case WalletKind.KMS:
                return _in_kms(client("kms"), choice.place)
            case WalletKind.SECRET:
                return _in_secrets_manager(client("secretsmanager"), choice.place)
            case WalletKind.FILE:
                return DeployedWallet(str(choice), address=_address_in_file(choice.place, stage))
    except (InvalidWallet, WalletUnavailable, OSError) as error:
        raise WalletError(f"--wallet {choice}: {error}") from error


def _address_in_file(path: str, stage: str) -> str | None:
    """None for LocalStack where there is no such file here: its functions see the files of their container."""
    try:
        return str(LocalWallet.load(Path(path)).address)
    except FileNotFoundError:
        if stage == "localstack":
            return None
        raise


def _in_kms(kms: Any, place: str) -> DeployedWallet:
    """By its ARN from now on: a policy can't allow an alias, and an alias can be pointed to another key."""
    try:
        metadata = kms.describe_key(KeyId=place)["KeyMetadata"]
    except ClientError as error:
        raise WalletError(f"--wallet kms:{place}: {error}") from error
    if not metadata["Enabled"]:
        raise WalletError(f"--wallet kms:{place}: the key is {metadata['KeyState']}; enable it first")
    arn = metadata["Arn"]
    return DeployedWallet(f"{WalletKind.KMS}:{arn}", key_arn=arn, address=str(KmsWallet(kms, arn).address))


def _in_secrets_manager(secrets: Any, place: str) -> DeployedWallet:
    try:
        arn = secrets.describe_secret(SecretId=place)["ARN"]
    except ClientError as error:
        raise WalletError(f"--wallet secret:{place}: {error}") from error
    return DeployedWallet(f"{WalletKind.SECRET}:{arn}", secret_arn=arn, address=_address_in_secret(secrets, arn))


def _address_in_secret(secrets: Any, arn: str) -> str | None:
    """None where whoever deploys may not read the secret, as it should be: the worker alone must."""
    try:
        return str(SecretWallet(secrets, arn).address)
    except WalletUnavailable as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "AccessDeniedException":
            return None
        raise

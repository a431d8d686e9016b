"""A wallet in Secrets Manager: solana-keygen's file as a secret, read once, and never shown."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from chalicelib.aws.secret_wallet import SecretWallet
from chalicelib.problems import WalletUnavailable
from chalicelib.solana.wallet import InvalidWallet, LocalWallet, Wallet
from infra.deployment.wallet import WalletError, check_option, deployed_wallet
from infra.deployment.wallet_secret import keep_wallet
from tests.integration.cloud import Cloud, aws, calls_to
from tests.trades_to_sign import KEYPAIR, WALLET, approved


@pytest.fixture
def secrets(cloud: Cloud) -> Any:
    client: Any = aws().client("secretsmanager")
    client.create_secret(Name="wallet", SecretString=KEYPAIR.to_json())
    return client


def test_it_signs_with_the_key_in_the_secret_which_is_read_once(secrets: Any) -> None:
    reads = calls_to(secrets, "GetSecretValue")
    wallet: Wallet = SecretWallet(secrets, "wallet")
    assert wallet.address == WALLET
    assert wallet.sign(approved()) == KEYPAIR.sign_message(bytes(approved()))
    assert reads == [{"SecretId": "wallet"}]


def test_a_secret_that_can_not_be_read_is_tried_again(secrets: Any) -> None:
    wallet = SecretWallet(secrets, "later")
    with pytest.raises(WalletUnavailable):
        wallet.sign(approved())
    secrets.create_secret(Name="later", SecretString=KEYPAIR.to_json())
    assert wallet.sign(approved()) == KEYPAIR.sign_message(bytes(approved()))


@pytest.mark.parametrize("content", ["", "4242 words", "[1, 2]", json.dumps([1] * 64)])
def test_a_secret_that_is_no_keypair_is_refused_without_quoting_it(secrets: Any, content: str) -> None:
    secrets.put_secret_value(SecretId="wallet", SecretString=content or " ")
    with pytest.raises(InvalidWallet) as refused:
        _ = SecretWallet(secrets, "wallet").address
    assert "4242" not in str(refused.value)


def test_a_binary_secret_is_refused(secrets: Any) -> None:
    secrets.create_secret(Name="binary", SecretBinary=bytes(KEYPAIR))
    with pytest.raises(InvalidWallet, match="binary"):
        _ = SecretWallet(secrets, "binary").address


def test_the_key_shows_in_no_text_and_can_not_be_copied(secrets: Any) -> None:
    wallet = SecretWallet(secrets, "wallet")
    assert "not read yet" in repr(wallet)
    assert str(wallet.address) in repr(wallet)
    assert not hasattr(wallet, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(wallet)


def test_a_deploy_names_the_secret_by_its_arn_and_tells_the_address(secrets: Any) -> None:
    arn = secrets.describe_secret(SecretId="wallet")["ARN"]
    wallet = deployed_wallet("secret:wallet", "prod", lambda service: secrets, {})
    assert (wallet.setting, wallet.secret_arn, wallet.key_arn) == (f"secret:{arn}", arn, "")
    assert wallet.address == str(WALLET)


def test_a_deploy_refuses_a_secret_that_is_not_there_or_holds_no_key(secrets: Any) -> None:
    with pytest.raises(WalletError, match="secret:nowhere"):
        deployed_wallet("secret:nowhere", "prod", lambda service: secrets, {})
    secrets.put_secret_value(SecretId="wallet", SecretString="4242 words")
    with pytest.raises(WalletError, match="not a keypair") as refused:
        deployed_wallet("secret:wallet", "prod", lambda service: secrets, {})
    assert "4242" not in str(refused.value)


def test_a_file_is_kept_by_its_whole_path() -> None:
    assert check_option("file:wallet.json", "local").startswith("file:/")


def test_a_wallets_file_is_kept_as_a_secret_that_a_deploy_can_name(secrets: Any, tmp_path: Path) -> None:
    file = tmp_path / "wallet.json"
    wallet = LocalWallet.create(file)
    arn = keep_wallet(secrets, "of-a-file", file)
    deployed = deployed_wallet("secret:of-a-file", "localstack", lambda service: secrets, {})
    assert (deployed.secret_arn, deployed.address) == (arn, str(wallet.address))
    other = LocalWallet.create(tmp_path / "other.json")
    assert keep_wallet(secrets, "of-a-file", tmp_path / "other.json") == arn
    again = deployed_wallet("secret:of-a-file", "localstack", lambda service: secrets, {})
    assert again.address == str(other.address)


def test_what_is_no_wallet_is_not_kept(secrets: Any, tmp_path: Path) -> None:
    (tmp_path / "wallet.json").write_text("[1, 2]")
    with pytest.raises(InvalidWallet):
        keep_wallet(secrets, "no-wallet", tmp_path / "wallet.json")
    assert not [secret for secret in secrets.list_secrets()["SecretList"] if secret["Name"] == "no-wallet"]

"""Keeps a solana-keygen file as a secret of an emulator, for `--wallet secret:`.

For functions that run in containers of their own, or as other users: they can't read a file that is its owner's alone.

`python -m infra.deployment.wallet_secret --stage localstack --name fillrate-wallet wallet.json`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.solana.wallet import InvalidWallet, LocalWallet
from operations.errors import NoStage
from operations.target import target_of


def keep_wallet(secrets: Any, name: str, file: Path) -> str:
    """Keep the wallet of `file` as the secret `name`; returns its ARN. `secrets` is boto3's client.

    A secret that is there gets the file's wallet. Raises InvalidWallet or OSError for what is no wallet, ClientError.
    """
    LocalWallet.load(file)
    text = file.read_text()
    try:
        return str(secrets.create_secret(Name=name, SecretString=text)["ARN"])
    except secrets.exceptions.ResourceExistsException:
        return str(secrets.put_secret_value(SecretId=name, SecretString=text)["ARN"])


def main(arguments: list[str] | None = None) -> int:
    """The command line; prints the option to deploy with."""
    parser = argparse.ArgumentParser(prog="python -m infra.deployment.wallet_secret", description=__doc__)
    # On AWS a wallet's key has no business on the machine that deploys.
    parser.add_argument("--stage", choices=("local", "localstack"), required=True)
    parser.add_argument("--endpoint-url")
    parser.add_argument("--name", default="fillrate-wallet")
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        target = target_of(None, options.stage, options.endpoint_url)
        keep_wallet(target.client("secretsmanager"), options.name, options.file)
    except (NoStage, InvalidWallet, OSError, ClientError, BotoCoreError) as error:
        print(f"wallet: {error}", file=sys.stderr)
        return 1
    print(f"--wallet secret:{options.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

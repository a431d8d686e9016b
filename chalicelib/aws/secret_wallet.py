"""A wallet whose key lies in AWS Secrets Manager, as `solana-keygen` writes it, and in memory once it is needed."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from solders.pubkey import Pubkey
from solders.signature import Signature

from chalicelib.aws.secrets_manager import SecretsManager
from chalicelib.log import logger
from chalicelib.problems import WalletUnavailable
from chalicelib.solana.signing_policy import ApprovedMessage
from chalicelib.solana.wallet import InvalidWallet, LocalWallet


class SecretWallet:
    """Signs with the keypair in a secret. `secret_id` is its name or ARN; it is read once, when first needed.

    A changed secret is another wallet: processes that have read the former one go on with that until they end.
    """

    __slots__ = ("_loaded", "_secret_id", "_secrets")

    def __init__(self, secrets: SecretsManager, secret_id: str) -> None:
        self._secrets = secrets
        self._secret_id = secret_id
        self._loaded: LocalWallet | None = None

    @property
    def address(self) -> Pubkey:
        """Raises WalletUnavailable, and InvalidWallet where the secret holds no keypair."""
        return self._wallet().address

    def sign(self, approved: ApprovedMessage) -> Signature:
        """As Wallet.sign."""
        return self._wallet().sign(approved)

    def _wallet(self) -> LocalWallet:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> LocalWallet:
        try:
            text = self._secrets.get_secret_value(SecretId=self._secret_id).get("SecretString")
        except (ClientError, BotoCoreError) as error:
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            logger.error("Secrets Manager did not serve", reason=code or type(error).__name__)
            raise WalletUnavailable("the wallet's key can't be read now; nothing was signed") from error
        if text is None:
            raise InvalidWallet("the wallet's secret is binary; it must be solana-keygen's JSON, as text")
        return LocalWallet.from_json(text)

    def __repr__(self) -> str:
        return f"SecretWallet({self._loaded.address if self._loaded else 'not read yet'})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a wallet is not to be copied or stored: read its secret")

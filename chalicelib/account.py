"""Whose request it is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from chalicelib.problems import Unauthorized
from chalicelib.settings import Settings

LOCAL_ACCOUNT = "local"
OPERATOR_ACCOUNT = "operator"


def account_of(headers: Mapping[str, str], settings: Settings) -> str:
    """The account that the API key stands for; the `local` stage needs no key.

    Raises Unauthorized.
    """
    key = headers.get("x-api-key")
    if settings.stage == "local" and not key:
        return LOCAL_ACCOUNT
    if key and settings.api_key_sha256 and _matches(key, settings.api_key_sha256):
        return OPERATOR_ACCOUNT
    raise Unauthorized("send a valid API key in the x-api-key header")


def _matches(key: str, sha256_hex: str) -> bool:
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()  # whatever was sent, it is only a wrong key
    return hmac.compare_digest(digest, sha256_hex)

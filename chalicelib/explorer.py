"""Where people look a transaction up: an explorer's address with `{txHash}` in the place of a signature. Pure."""

from __future__ import annotations

_TX_HASH = "{txHash}"


def checked_template(text: str) -> str:
    """The address as it is given. Raises ValueError where no transaction's address comes of it."""
    if not text.startswith(("http://", "https://")) or _TX_HASH not in text:
        raise ValueError(f"an explorer's address is an http(s) URL with {_TX_HASH} in it, and not {text!r}")
    return text


def transaction_url(template: str | None, tx_hash: str | None) -> str | None:
    """The transaction's address; None without a transaction, or where the cluster has no explorer."""
    return None if template is None or tx_hash is None else template.replace(_TX_HASH, tx_hash)

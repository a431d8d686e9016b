"""Clusters to take accounts from: by the names that Solana's own tools have for them, or by address."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.pacing import OwnPace
from chalicelib.solana.rpc import SolanaRpc

# solana-cli's names and their first letters: https://solana.com/docs/references/clusters, agave's clap-utils.
_MAINNET, _DEVNET, _TESTNET, _LOCAL = (
    "https://api.mainnet-beta.solana.com",
    "https://api.devnet.solana.com",
    "https://api.testnet.solana.com",
    "http://localhost:8899",
)
NAMES = {
    **dict.fromkeys(("mainnet-beta", "mainnet", "m"), _MAINNET),
    **dict.fromkeys(("devnet", "d"), _DEVNET),
    **dict.fromkeys(("testnet", "t"), _TESTNET),
    **dict.fromkeys(("localhost", "l"), _LOCAL),
}
# The public nodes take 40 calls of one method in ten seconds from one address.
_CALLS_IN_TEN_SECONDS = 36
# How long one call waits where a node says that it is asked too often.
_LONGEST_WAIT_SECONDS = 120.0


class UnknownCluster(ValueError):
    """Neither a cluster's name nor an address."""


def url_of(text: str) -> str:
    """The address of a cluster that is named or addressed. Raises UnknownCluster."""
    if text.lower() in NAMES:
        return NAMES[text.lower()]
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnknownCluster(f"{text!r} is no cluster: give an address such as https://…, or one of {', '.join(NAMES)}")
    return text


def label(url: str) -> str:
    """What may be shown of a cluster's address, which may hold a key."""
    parts = urlsplit(url)
    return parts.hostname or "" if parts.port is None else f"{parts.hostname}:{parts.port}"


def client(
    url: str,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    sleep: Callable[[float], None] = time.sleep,
) -> FailoverRpc:
    """A client that keeps to what public nodes take, and waits where one asks it to (HTTP 429, Retry-After).

    Raises ValueError where the proxy that the environment names for it is none that can be used.
    """
    node = SolanaRpc(url, http=_connections(url), connect_timeout=10.0, read_timeout=60.0)
    return FailoverRpc(
        [node], now_ms, paces=[OwnPace(_CALLS_IN_TEN_SECONDS)], longest_wait=_LONGEST_WAIT_SECONDS, sleep=sleep
    )


def _connections(url: str) -> urllib3.PoolManager | None:
    """Through the proxy that the environment names for the address, if it names one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    host = parts.hostname or ""
    if not proxy or host == "localhost" or host.startswith("127.") or proxy_bypass(host):
        return None
    try:
        return urllib3.ProxyManager(proxy, maxsize=4)
    except urllib3.exceptions.HTTPError as error:
        raise ValueError(f"the proxy {proxy.rsplit('@', 1)[-1]} can't be used: {error}") from error

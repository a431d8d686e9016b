"""What both clients need of httpx2 and websockets: how a request is made up, and what their errors mean here."""

from __future__ import annotations

import ipaddress
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import httpx2
from websockets.exceptions import WebSocketException

from fillrate.configuration import Configuration
from fillrate.conversation import HttpRequest, HttpResponse, SocketFailed
from fillrate.errors import ConfigurationError, NoAnswer, Unreachable
from fillrate.version import __version__

USER_AGENT = f"fillrate-python/{__version__} python/{platform.python_version()}"
# API Gateway answers within 29 s, if need be with 504.
TIMEOUT = httpx2.Timeout(35.0, connect=5.0)
SOCKET_OPEN_SECONDS = 10.0


def headers_for(configuration: Configuration) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    return headers if configuration.api_key is None else headers | {"x-api-key": configuration.api_key}


def url_of(configuration: Configuration, request: HttpRequest) -> str:
    return configuration.url + request.path


def trusts_environment(url: str) -> bool:
    """Whether the environment's proxies are meant for `url`: none lies between a service on this machine and here."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def socket_proxy(url: str) -> Literal[True] | None:
    """What websockets' `connect` is told of proxies: to take the environment's, or none."""
    return True if trusts_environment(url) else None


@contextmanager
def environment_errors() -> Iterator[None]:
    """What keeps httpx2 from making a client, as ours: it is in the environment, and is told before any request."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            "the environment names a SOCKS proxy, which needs one more package: `pip install 'httpx2[socks]'`, "
            "or name the service's host in NO_PROXY"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names no proxy: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"SSL_CERT_FILE or SSL_CERT_DIR can't be read: {error}") from error


def to_response(response: httpx2.Response) -> HttpResponse:
    return HttpResponse(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


@contextmanager
def http_errors(configuration: Configuration) -> Iterator[None]:
    """httpx2's errors as ours: was the request sent, or not? Neither text has the request in it."""
    try:
        yield
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise ConfigurationError(f"{configuration.url!r} is no URL of a service: {error}") from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
        raise Unreachable(f"{configuration.url} can't be reached: {error or type(error).__name__}") from error
    except httpx2.TimeoutException as error:
        raise NoAnswer(f"{configuration.url} took longer than {TIMEOUT.read:g} s to answer") from error
    except httpx2.HTTPError as error:
        raise NoAnswer(f"{configuration.url} broke off: {error or type(error).__name__}") from error


@contextmanager
def socket_errors() -> Iterator[None]:
    """Whatever goes wrong with a socket is SocketFailed: the answer to all of it is another socket, or none."""
    try:
        yield
    except (OSError, TimeoutError, EOFError, ImportError, WebSocketException) as error:
        raise SocketFailed(type(error).__name__) from error

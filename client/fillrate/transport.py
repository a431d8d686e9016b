"""What both clients need of httpx2 and websockets: how a request is made up, and what their errors mean here."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

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
    except (OSError, TimeoutError, EOFError, WebSocketException) as error:
        raise SocketFailed(type(error).__name__) from error

"""Proxies and certificates in the environment: nothing to a service on this machine, elsewhere a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from fillrate import ConfigurationError

from tests.client.either_client import CLIENTS, Asynchronous, Synchronous
from tests.client.sample_answers import ORDER_ID, life, order
from tests.client.scripted_service import Answer, ScriptedService

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> type[Synchronous] | type[Asynchronous]:
    return CLIENTS[request.param]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://127.0.0.1:1", "nonsense://proxy"])
def test_a_service_on_this_machine_is_reached_past_every_proxy(
    service: ScriptedService,
    kind: type[Synchronous] | type[Asynchronous],
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    service.script("GET", f"/orders/{ORDER_ID}", Answer(200, order(life())))
    client = kind(service.url)
    assert client.call("order", ORDER_ID).order_id == ORDER_ID
    client.close()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:1"}, "SOCKS proxy.*httpx2.socks.*NO_PROXY"),
        ({"HTTPS_PROXY": "nonsense://user:hidden@proxy"}, "HTTPS_PROXY"),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE"),
    ],
    ids=["socks", "no proxy", "no certificates"],
)
def test_what_it_cannot_use_for_a_service_elsewhere_is_named_with_the_remedy(
    kind: type[Synchronous] | type[Asynchronous],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    told: str,
) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=told) as refused:
        kind("https://fillrate.example/api")
    assert "hidden" not in str(refused.value)


def test_a_directory_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.delenv("FILLRATE_URL", raising=False)
    place.rmdir()
    with pytest.raises(ConfigurationError, match="current directory is gone"):
        Synchronous("")


def test_a_url_that_cannot_be_read_is_named(kind: type[Synchronous] | type[Asynchronous]) -> None:
    with pytest.raises(ConfigurationError, match="is not a URL"):
        kind("http://[")

"""Pages of others in a real browser: they try all that they can, on every port of the stack, and nothing happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Frame, Page

from testing.chain import Chain
from testing.client import Client
from testing.emulator import root_session
from testing.localnet import Localnet
from tests.browser.conftest import NewDesk

Json = dict[str, Any]
# Every way in which a page can have a browser ask; what it gets to read comes back.
ATTACK = (Path(__file__).parent / "foreign_page.js").read_text()


@contextmanager
def served() -> Iterator[str]:
    """A page of another program of this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>Somebody's page</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def all_there_is(site: dict[str, str]) -> Json:
    session: Any = root_session(site)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=site["awsEndpoint"])

    pages = client("dynamodb").get_paginator("scan").paginate(TableName=site["ordersTable"], ConsistentRead=True)
    return {
        "orders": {item["orderId"]["S"] for page in pages for item in page["Items"] if item["item"]["S"] == "order"},
        "functions": sorted(one["FunctionName"] for one in client("lambda").list_functions()["Functions"]),
        "secrets": sorted(one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]),
        "users": [one["UserName"] for one in client("iam").list_users()["Users"]],
        "faults": Chain(site["rpcUrl"]).call("localnet_getFaults"),
    }


def attacked_from(page: Page | Frame, site: dict[str, str]) -> list[str]:
    """What the page got to read."""
    chain = urlsplit(site["rpcUrl"])
    fault = {"jsonrpc": "2.0", "id": 1, "method": "localnet_setFaults", "params": [{"dropRate": 1}]}
    ticket = Client(site["restUrl"]).call("POST", "/ws-tickets", {}).body["wsUrl"]
    read: list[str] = page.evaluate(
        ATTACK,
        {
            "rest": site["restUrl"],
            "ws": ticket,
            "aws": site["awsEndpoint"],
            "rpc": site["rpcUrl"],
            "rpcWs": f"ws://127.0.0.1:{(chain.port or 0) + 1}",
            "order": json.dumps({"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.1"}),
            "faults": json.dumps(fault),
        },
    )
    return read


def place_of(kind: str, page: Page, address: str, directory: Path) -> Page | Frame:
    """Where the attack is made from."""
    match kind:
        case "a file":
            (directory / "page.html").write_text("<!doctype html><title>A file</title><body></body>")
            page.goto((directory / "page.html").as_uri())
        case "a frame without an origin":
            page.goto(address)
            page.set_content('<iframe sandbox="allow-scripts allow-forms" srcdoc="<body></body>"></iframe>')
            return page.frames[-1]
        case _:
            page.goto(address)
    return page


@pytest.mark.parametrize("kind", ["another port", "a file", "a frame without an origin"])
def test_a_page_of_others_reads_and_changes_nothing(
    browser: Browser, site: dict[str, str], tmp_path: Path, kind: str
) -> None:
    before = all_there_is(site)
    context = browser.new_context()
    with served() as address:
        assert attacked_from(place_of(kind, context.new_page(), address, tmp_path), site) == []
    context.close()
    assert all_there_is(site) == before


def test_the_stages_own_page_is_answered_and_trades(browser: Browser, site: dict[str, str], new_desk: NewDesk) -> None:
    """The attacks are ones that a browser makes: from here those on the API, its files and its WebSocket succeed."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site["uiUrl"])
    read = attacked_from(page, site)
    context.close()
    assert any(line.startswith("orders: 200") for line in read)
    assert any(line.endswith("open") for line in read)
    assert "icon: shown" in read
    beside = [
        line for line in read if line.startswith(("secrets", "health", "function", "user", "reset", "chain", "faults"))
    ]
    assert all(": 403 Refused" in line for line in beside)

    desk = new_desk()
    desk.open()
    desk.fill_ticket("0.2")
    desk.place()
    desk.expect_status("confirmed")


def test_a_page_that_was_named_trades_on_the_chain_and_controls_nothing(browser: Browser) -> None:
    context = browser.new_context()
    with served() as address, Localnet("--no-traders", "--allow-origin", address.rstrip("/")) as chain:
        page = context.new_page()
        page.goto(address)
        answers = page.evaluate(
            """async url => {
                const call = async method => (await fetch(url, {method: "POST", body: JSON.stringify(
                    {jsonrpc: "2.0", id: 1, method}), headers: {"Content-Type": "application/json"}})).json()
                return [await call("getHealth"), await call("localnet_pause")]
            }""",
            chain.url,
        )
    context.close()
    assert answers[0]["result"] == "ok"
    assert answers[1]["error"]["message"] == "Method not found"

"""Debian's Chromium on a stack of its own. No request may leave this machine, and no error may pass in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Route, sync_playwright

from infra.local_stack.stack import Layout, stop
from testing.chain import Chain
from testing.client import Client
from testing.ports import free_port
from testing.stacks import start
from tests.browser.desk import Desk

SLOT_MS = 100
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}

NewDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The description of a running stack. Its own: these tests hold up its chain and fill its table."""
    directory: Path = tmp_path_factory.mktemp("site")
    layout = Layout(
        directory,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        # nobody else trades: how far a price moves, and when, is for the test to say
        localnet_arguments=("--slot-ms", str(SLOT_MS), "--no-traders"),
        orders_per_minute=10_000,
    )
    try:
        yield start(layout, print)
    finally:
        stop(layout)


@pytest.fixture(scope="module")
def browser(chromium: str, site: dict[str, str]) -> Iterator[Browser]:
    """Ends before the site does, which would wait for its connections; and with its module, because Playwright's event
    loop counts as running until then, and the process's next tests may want one of their own."""
    with sync_playwright() as playwright:
        playwright.selectors.set_test_id_attribute("data-test")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def client(site: dict[str, str]) -> Client:
    return Client(site["restUrl"])


@pytest.fixture
def chain(site: dict[str, str]) -> Iterator[Chain]:
    """The chain, for faults; they end with the test."""
    chain = Chain(site["rpcUrl"])
    yield chain
    chain.call("localnet_setFaults", {})


@pytest.fixture
def new_desk(browser: Browser, site: dict[str, str]) -> Iterator[NewDesk]:
    """Opens browsers' tabs, each with storage of its own; looks over their shoulders until the end."""
    with ExitStack() as contexts:
        watches: list[Watch] = []

        def new_desk(**options: Any) -> Desk:
            context = browser.new_context(**{"viewport": DESKTOP, **options})
            contexts.callback(context.close)
            watches.append(Watch(context, urlsplit(site["restUrl"]).netloc))
            return Desk(context.new_page(), site["uiUrl"])

        yield new_desk
        for watch in watches:
            assert watch.strangers == [], "the page asked another host"
            assert watch.errors == []


@pytest.fixture
def desk(new_desk: NewDesk) -> Desk:
    desk = new_desk()
    desk.open()
    return desk


class Watch:
    """What a browser asked of whom, and what its pages complained of."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.strangers: list[str] = []
        self.errors: list[str] = []
        self._host = host
        context.route("**/*", self._admit)
        context.on("weberror", lambda problem: self.errors.append(str(problem.error)))
        context.on("console", self._listen)

    def _admit(self, route: Route) -> None:
        if urlsplit(route.request.url).netloc == self._host:
            route.continue_()
        else:
            self.strangers.append(route.request.url)
            route.abort()

    def _listen(self, message: ConsoleMessage) -> None:
        # Chromium itself logs every answer of 400 and above, and every connection that failed.
        if message.type == "error" and not message.text.startswith(("Failed to load resource", "WebSocket connection")):
            self.errors.append(message.text)

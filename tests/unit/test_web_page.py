"""The page's files: what is served, how it may be kept, and what a browser may do with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chalicelib import problems
from chalicelib.http import web_page
from chalicelib.http.web_page import serve
from chalicelib.problems import FillrateError, NotFound

WEBSOCKET_URL = "wss://abc123.execute-api.us-east-1.amazonaws.com/api"
WEB = Path(web_page.__file__).parents[1] / "web"
ERROR_TEXTS = Path(__file__).parents[2] / "web" / "src" / "error_texts.json"
NAMES = sorted(path.name for path in WEB.iterdir())


def policy_of(name: str) -> dict[str, str]:
    header = serve(name, None, {}, WEBSOCKET_URL).headers["Content-Security-Policy"]
    return dict(part.split(" ", 1) for part in header.split("; "))


@pytest.mark.parametrize("name", NAMES)
def test_every_built_file_is_served_whole_with_its_type(name: str) -> None:
    answer = serve(name, None, {}, WEBSOCKET_URL)
    assert answer.status == 200
    assert answer.body.encode() == (WEB / name).read_bytes()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kinds = {
        ".html": "text/html",
        ".js": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        ".txt": "text/",
    }
    assert answer.headers["Content-Type"].startswith(kinds[Path(name).suffix])


@pytest.mark.parametrize(
    "name", ["", "nope.js", "../web_page.py", "..%2Fweb_page.py", "/etc/passwd", "APP.JS", "app.js/"]
)
def test_nothing_else_is(name: str) -> None:
    with pytest.raises(NotFound):
        serve(name, None, {}, WEBSOCKET_URL)


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_that_has_a_file_is_not_sent_it_again(name: str) -> None:
    etag = serve(name, None, {}, WEBSOCKET_URL).headers["ETag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        again = serve(name, None, {"if-none-match": known}, WEBSOCKET_URL)
        assert (again.status, again.body, again.headers["ETag"]) == (304, "", etag)
    assert serve(name, None, {"if-none-match": '"other"'}, WEBSOCKET_URL).status == 200


def test_the_page_names_its_assets_by_their_content_so_they_may_be_kept_for_ever_and_it_may_not() -> None:
    page = serve("index.html", None, {}, WEBSOCKET_URL)
    assert page.headers["Cache-Control"] == "no-cache"
    assets = re.findall(r'"assets/([^"?]+)\?v=([0-9a-f]+)"', page.body)
    assert {name for name, _ in assets} == {"app.js", "app.css", "icon.svg"}
    for name, version in assets:
        assert "immutable" in serve(name, version, {}, WEBSOCKET_URL).headers["Cache-Control"]
        assert serve(name, "0" * 16, {}, WEBSOCKET_URL).headers["Cache-Control"] == "no-cache"


def test_the_page_may_load_from_nowhere_else_and_talk_to_its_own_api_alone() -> None:
    policy = policy_of("index.html")
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://abc123.execute-api.us-east-1.amazonaws.com"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


def test_the_page_has_no_inline_script_or_style_and_no_address_of_another_host() -> None:
    page = (WEB / "index.html").read_text()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=|//", page)
    for name in ("app.js", "app.css"):
        hosts = set(re.findall(r"https?://([\w.]+)", (WEB / name).read_text()))
        assert hosts <= {"www.w3.org"}, f"{name}: only XML's names of itself"


def test_the_whole_page_stays_light() -> None:
    assert sum((WEB / name).stat().st_size for name in ("index.html", "app.js", "app.css", "icon.svg")) < 200_000


def test_every_library_in_the_page_comes_with_its_licence() -> None:
    licences = (WEB / "licences.txt").read_text()
    for library in ("preact", "@preact/signals", "@preact/signals-core", "uplot"):
        assert re.search(rf"^{library} [\d.]+ \(MIT\)$", licences, re.MULTILINE), library
    assert licences.count("Permission is hereby granted") == 4


def codes(root: type[FillrateError]) -> set[str]:
    return {root.code}.union(*(codes(child) for child in root.__subclasses__()))


def test_every_error_code_has_plain_words_and_a_way_on() -> None:
    texts = json.loads(ERROR_TEXTS.read_text())
    known = {code for code in codes(problems.FillrateError) if code == code.upper()}
    assert known <= texts.keys()
    for code, text in texts.items():
        assert set(text) == {"what", "todo"}, code
        assert all(words.endswith(".") for words in text.values()), code

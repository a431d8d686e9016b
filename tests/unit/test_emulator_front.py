"""What stands before the emulator: whom it lets in to what, told by the request alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra.local_stack.emulator import ministack
from infra.local_stack.emulator.credentials import ensure_credentials
from infra.local_stack.emulator.front import Front
from operations.target import EmulatorCredentials

OURS = EmulatorCredentials("LOCALABCDEFGHIJKLMN", "secret")
HOST = "127.0.0.1:4566"
OWN_PAGE = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
API = "/_aws/execute-api/a1b2c3d4/api/orders/execute"
CONNECTIONS = "/_aws/execute-api/a1b2c3d4/api/@connections/abc"
Json = dict[str, Any]


def signed_by(key_id: str) -> dict[str, str]:
    scope = f"{key_id}/20261129/us-east-1/dynamodb/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


async def emulator(scope: Any, receive: Any, send: Any) -> None:
    """Answers everybody, and lets every page read it, as MiniStack does."""
    prefix = "http.response" if scope["type"] == "http" else "websocket.http.response"
    headers = [(b"Access-Control-Allow-Origin", b"*"), (b"content-type", b"text/plain")]
    await send({"type": f"{prefix}.start", "status": 200, "headers": headers})
    await send({"type": f"{prefix}.body", "body": b"answered"})


def answer(
    path: str = "/",
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    kind: str = "http",
    query: str = "",
    verifies_signatures: bool = False,
) -> Json:
    """Status, headers and body of what comes back."""
    sent: list[Json] = []

    async def receive() -> Json:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: Json) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in ({"host": HOST} | (headers or {})).items()],
    }
    front = Front(emulator, OURS, verifies_signatures=verifies_signatures)
    asyncio.run(front(scope, receive, send))
    start, body = sent
    return {"status": start["status"], "headers": dict(start["headers"]), "body": body["body"].decode()}


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "LOCALHOST:4566", "[::1]:4566", "127.0.0.1"])
def test_this_machine_may_be_called_by_its_own_names(host: str) -> None:
    assert answer(API, {"host": host})["status"] == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example:4566",
        "127.0.0.1.attacker.example",
        "localhost.attacker.example:4566",
        "[::1].attacker.example",
        "a1b2c3d4.execute-api.localhost:4566",
        "192.168.1.2:4566",
        "169.254.169.254",
        "2130706433",
        "",
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_by_any_other_name_nobody_gets_in_not_even_signed(host: str, kind: str) -> None:
    for path in (API, "/_ministack/health", "/"):
        refused = answer(path, {"host": host, **signed_by(OURS.access_key_id)}, kind=kind)
        assert (refused["status"], "Host" in refused["body"]) == (403, True)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_the_stages_own_page_reaches_its_api(kind: str) -> None:
    assert answer(API, OWN_PAGE, kind=kind)["status"] == 200
    assert answer(API, {"sec-fetch-site": "none"}, kind=kind)["status"] == 200, "a person has typed the address"


@pytest.mark.parametrize("path", ["/", "/_ministack/health", "/bucket/object", "/2015-03-31/functions", CONNECTIONS])
def test_the_stages_own_page_reaches_nothing_else_however_it_signs(path: str) -> None:
    refused = answer(path, OWN_PAGE | signed_by(OURS.access_key_id), method="GET")
    assert (refused["status"], refused["body"].startswith("Refused: a page gets")) == (403, True)


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "http://attacker.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        {"origin": "http://localhost:4566", "sec-fetch-site": "cross-site"},
        {"origin": "https://127.0.0.1:4566"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_of_another_origin_reaches_nothing_however_it_signs(page: dict[str, str], kind: str) -> None:
    for path in (API, "/", "/_ministack/reset"):
        for method in ("GET", "POST", "OPTIONS"):
            refused = answer(path, page | signed_by(OURS.access_key_id), method=method, kind=kind)
            assert (refused["status"], refused["body"].startswith("Refused: a page of another origin")) == (403, True)
            assert not [name for name in refused["headers"] if name.lower().startswith(b"access-control")]


def test_no_answer_lets_a_page_of_another_origin_read_it() -> None:
    assert answer(API)["headers"].keys() == {b"content-type"}


def test_a_program_reaches_the_api_and_the_emulators_state_without_credentials() -> None:
    assert answer(API)["status"] == answer(API, kind="websocket")["status"] == 200
    assert answer(API + "/a\nb")["status"] == 200, "whatever the path, the API answers it"
    for path in ("/_ministack/ready", "/_ministack/health"):
        assert answer(path, method="GET")["status"] == 200
        assert answer(path, method="POST")["status"] == 403


WITHIN = ["/", "/2015-03-31/functions", "/bucket/object", "/_ministack/reset", "/_ministack/config", CONNECTIONS]
WITHIN += ["/_aws/execute-api", "/_aws/sqs/messages", "/_ministack/lambda-code/000000000000/us-east-1/name"]


@pytest.mark.parametrize("path", WITHIN)
def test_a_program_reaches_the_rest_with_the_emulators_credentials_alone(path: str) -> None:
    assert answer(path, signed_by(OURS.access_key_id))["status"] == 200
    assert answer(path, query=f"X-Amz-Credential={OURS.access_key_id}%2F20261129%2Fus-east-1%2Fs3")["status"] == 200
    for headers in ({}, signed_by("test"), signed_by("000000000000"), signed_by(""), {"authorization": "Basic QQ=="}):
        assert answer(path, headers)["status"] == 403
    ours = f"X-Amz-Credential={OURS.access_key_id}/"
    for query in (
        "X-Amz-Credential=test%2F20261129",
        f"X-Amz-Credential=test/&{ours}",
        f"x-amz-credential=test/&{ours}",
    ):
        assert answer(path, query=query)["status"] == 403
    assert answer(path, kind="websocket")["status"] == 403


def test_where_the_emulator_checks_signatures_its_own_pages_still_need_the_roots() -> None:
    """MiniStack asks nobody for a signature there, AUTH=true or not."""
    role = signed_by("ASIAEXAMPLE")
    assert answer("/", role, verifies_signatures=True)["status"] == 200
    assert answer(CONNECTIONS, role, verifies_signatures=True)["status"] == 200
    assert answer("/", verifies_signatures=True)["status"] == 403
    for also_root in ("test", "000000000000", "123456789012"):
        assert answer("/", signed_by(also_root), verifies_signatures=True)["status"] == 403
    for odd in (
        "AWS4-ECDSA-P256-SHA256 Credential=ASIAEXAMPLE/x",
        "AWS4-HMAC-SHA256 Credential=, Credential=ASIAEXAMPLE/x",
    ):
        assert answer("/", {"authorization": odd}, verifies_signatures=True)["status"] == 403
    for path in ("/_ministack/reset", "/_ministack/config", "/_aws/sqs/messages"):
        assert answer(path, role, verifies_signatures=True)["status"] == 403
        assert answer(path, signed_by(OURS.access_key_id), verifies_signatures=True)["status"] == 200


def test_a_refusal_says_where_the_credentials_are_in_the_services_own_protocol() -> None:
    json_service = answer("/", {"x-amz-target": "DynamoDB_20120810.ListTables"})
    assert '"__type": "UnrecognizedClientException"' in json_service["body"]
    assert "awsAccessKeyId" in json_service["body"]
    xml_service = answer("/", {"content-type": "application/x-www-form-urlencoded"})
    assert "<Code>UnrecognizedClientException</Code>" in xml_service["body"]


def test_credentials_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "aws-credentials"
    made = ensure_credentials(file)
    assert ensure_credentials(file) == made
    assert file.stat().st_mode & 0o077 == 0
    assert made != ensure_credentials(tmp_path / "other")
    assert made.access_key_id not in ("test", "")
    assert not made.access_key_id.isdigit()
    file.write_text("nonsense")
    assert ensure_credentials(file) != made


class TestWhatIsCorrectedIsPinned:
    def test_the_installed_emulator_is_the_one_that_is_corrected(self) -> None:
        ministack.check()
        assert ministack.PINNED.keys() == ministack.sources().keys()

    def test_another_version_is_refused_in_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ministack, "VERSION", "1.5.34")
        with pytest.raises(ministack.UnknownEmulatorError, match=r"1\.5\.33 is installed, and Fillrate corrects .*34"):
            ministack.check()

    @pytest.mark.parametrize("name", ministack.PINNED)
    def test_another_text_of_what_is_corrected_is_refused_by_name(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(ministack.PINNED, name, "another")
        with pytest.raises(ministack.UnknownEmulatorError, match=f" {name}: install it again"):
            ministack.check()

"""A page that a developer visits while the local stack runs reaches nothing of it.

The attacks are made as browsers send them, and some with more than a browser would.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from infra.project import PROJECT
from operations.target import EmulatorCredentials
from testing.chain import Chain
from testing.client import Client
from testing.emulator import root_session

Json = dict[str, Any]
ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.1"}
# As Chromium describes them: a page elsewhere, one of another port of this machine, and one without an origin (a file).
PAGES = [
    {"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
]
A_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def ask(url: str, method: str = "POST", body: object = None, headers: dict[str, str] | None = None) -> Answer:
    """What comes back; without other headers it is what a form sends, for which a browser asks nobody's leave."""
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc, timeout=60)
    raw = body if isinstance(body, str) or body is None else json.dumps(body)
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    connection.request(method, path, raw, ({"Content-Type": A_FORM} if raw else {}) | (headers or {}))
    response = connection.getresponse()
    names = {name.lower(): value for name, value in response.getheaders()}
    answer = Answer(response.status, names, response.read().decode(errors="replace"))
    connection.close()
    return answer


@pytest.fixture(scope="module")
def aws(stack: dict[str, str]) -> Callable[[str], Any]:
    session: Any = root_session(stack)
    return lambda service: session.client(service, endpoint_url=stack["awsEndpoint"])


@pytest.fixture
def nothing_changes(stack: dict[str, str], aws: Callable[[str], Any]) -> Iterator[None]:
    """Orders, secrets, functions, users and the chain's faults are afterwards what they were."""
    with unchanged(stack, aws):
        yield


@contextmanager
def unchanged(stack: dict[str, str], aws: Callable[[str], Any]) -> Iterator[None]:
    before = _all_there_is(stack, aws)
    yield
    assert _all_there_is(stack, aws) == before


def _all_there_is(stack: dict[str, str], aws: Callable[[str], Any]) -> Json:
    pages = aws("dynamodb").get_paginator("scan").paginate(TableName=stack["ordersTable"], ConsistentRead=True)
    orders = {item["orderId"]["S"] for page in pages for item in page["Items"] if item["item"]["S"] == "order"}
    return {
        "orders": orders,
        "functions": sorted(one["FunctionName"] for one in aws("lambda").list_functions()["Functions"]),
        "secrets": sorted(one["Name"] for one in aws("secretsmanager").list_secrets()["SecretList"]),
        "users": [one["UserName"] for one in aws("iam").list_users()["Users"]],
        "buckets": sorted(one["Name"] for one in aws("s3").list_buckets()["Buckets"]),
        "faults": Chain(stack["rpcUrl"]).call("localnet_getFaults"),
    }


def assert_refused(answer: Answer) -> None:
    assert answer.status == 403
    assert answer.body.startswith("Refused: ")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["Origin"])
class TestAPageOfAnotherOrigin:
    def test_places_and_cancels_no_order(self, stack: dict[str, str], page: dict[str, str]) -> None:
        for content_type in (A_FORM, "text/plain", "application/json"):
            typed = page | {"Content-Type": content_type}
            assert_refused(ask(f"{stack['restUrl']}/orders/execute", "POST", ORDER, typed))
        assert_refused(ask(f"{stack['restUrl']}/orders/any", "DELETE", None, page))
        assert_refused(ask(f"{stack['restUrl']}/orders", "OPTIONS", None, page))

    def test_reads_nothing(self, stack: dict[str, str], page: dict[str, str]) -> None:
        for path in ("/", "/orders", "/openapi.json", "/health"):
            assert_refused(ask(stack["restUrl"] + path, "GET", None, page))
            unnamed = {"Sec-Fetch-Site": page["Sec-Fetch-Site"], "Sec-Fetch-Mode": "no-cors"}
            assert_refused(ask(stack["restUrl"] + path, "GET", None, unnamed))

    def test_reads_no_secret(self, stack: dict[str, str], page: dict[str, str], aws: Callable[[str], Any]) -> None:
        (secret, *_) = aws("secretsmanager").list_secrets()["SecretList"]
        asked = page | {"X-Amz-Target": "secretsmanager.GetSecretValue"} | signed("secretsmanager")
        preflight = page | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-amz-target,authorization",
            "Access-Control-Request-Private-Network": "true",
        }
        assert_refused(ask(stack["awsEndpoint"], "OPTIONS", None, preflight))
        assert_refused(ask(stack["awsEndpoint"], "POST", {"SecretId": secret["ARN"]}, asked))

    def test_makes_and_calls_no_function(
        self, stack: dict[str, str], page: dict[str, str], aws: Callable[[str], Any]
    ) -> None:
        role = aws("iam").list_roles()["Roles"][0]["Arn"]
        made = {"FunctionName": "theirs", "Runtime": "python3.11", "Handler": "a.b", "Role": role}
        made |= {"Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}
        functions = f"{stack['awsEndpoint']}/2015-03-31/functions"
        assert_refused(ask(functions, "POST", made, page | signed("lambda")))
        assert_refused(ask(f"{functions}/{stack['workerFunction']}/invocations", "POST", {}, page | signed("lambda")))

    def test_makes_nobody_by_a_form(self, stack: dict[str, str], page: dict[str, str]) -> None:
        form = "Action=CreateUser&UserName=theirs&Version=2010-05-08"
        assert_refused(ask(stack["awsEndpoint"], "POST", form, page))
        assert_refused(ask(f"{stack['awsEndpoint']}/?{form}", "GET", None, page))

    def test_resets_and_configures_nothing(self, stack: dict[str, str], page: dict[str, str]) -> None:
        assert_refused(ask(f"{stack['awsEndpoint']}/_ministack/reset", "POST", None, page))
        assert_refused(ask(f"{stack['awsEndpoint']}/_ministack/config", "POST", {}, page))
        assert_refused(ask(f"{stack['awsEndpoint']}/_ministack/health", "GET", None, page))

    def test_watches_nothing(self, stack: dict[str, str], page: dict[str, str]) -> None:
        theirs = Client(stack["restUrl"], stack["apiKey"])
        refused_connection(theirs.call("POST", "/ws-tickets", {}).body["wsUrl"], page)

    def test_does_nothing_on_the_chain(self, stack: dict[str, str], page: dict[str, str]) -> None:
        for method, params in (("getHealth", []), ("localnet_setFaults", [{"dropRate": 1}])):
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            assert ask(stack["rpcUrl"], "POST", call, page).status == 403
        assert ask(stack["rpcUrl"], "OPTIONS", None, page).status == 403
        refused_connection(websocket_of(stack["rpcUrl"], 1), page)


@pytest.mark.usefixtures("nothing_changes")
class TestANameThatLeadsHere:
    """DNS rebinding: to the browser it is the attacker's own origin, and only Host tells."""

    def test_reaches_nothing_of_the_emulator(self, stack: dict[str, str]) -> None:
        port = urlsplit(stack["awsEndpoint"]).port
        for page in ({}, {"Origin": f"http://attacker.example:{port}"}, {"Sec-Fetch-Site": "same-origin"}):
            theirs = page | {"Host": f"attacker.example:{port}"}
            assert_refused(ask(f"{stack['restUrl']}/orders/execute", "POST", ORDER, theirs))
            assert_refused(ask(f"{stack['restUrl']}/orders", "GET", None, theirs))
            assert_refused(ask(f"{stack['awsEndpoint']}/_ministack/reset", "POST", None, theirs | signed("s3", stack)))

    def test_reaches_nothing_of_the_chain(self, stack: dict[str, str]) -> None:
        call = {"jsonrpc": "2.0", "id": 1, "method": "localnet_setFaults", "params": [{"dropRate": 1}]}
        for port in range(2):
            url = websocket_of(stack["rpcUrl"], port).replace("ws://", "http://")
            assert ask(url, "POST", call, {"Host": "attacker.example:8899"}).status == 403


@pytest.mark.usefixtures("nothing_changes")
class TestTheStagesOwnPage:
    def test_trades_and_watches(self, stack: dict[str, str], own_page: dict[str, str]) -> None:
        """A dry run, so that nothing changes."""
        assert ask(stack["uiUrl"], "GET", None, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}).status == 200
        json_order = own_page | {"Content-Type": "application/json"}
        tried = ask(f"{stack['restUrl']}/orders/execute", "POST", ORDER | {"dryRun": True}, json_order)
        assert (tried.status, json.loads(tried.body)["wouldAccept"]) == (200, True)
        ticket = json.loads(ask(f"{stack['restUrl']}/ws-tickets", "POST", {}, json_order).body)
        with connect(ticket["wsUrl"], additional_headers=own_page) as websocket:
            websocket.send(json.dumps({"action": "ping"}))
            assert json.loads(websocket.recv(timeout=60)) == {"type": "pong"}

    def test_reaches_nothing_beside_its_api(self, stack: dict[str, str], own_page: dict[str, str]) -> None:
        tables = own_page | {"X-Amz-Target": "DynamoDB_20120810.ListTables"} | signed("dynamodb", stack)
        assert_refused(ask(stack["awsEndpoint"], "POST", {}, tables))
        assert_refused(ask(f"{stack['awsEndpoint']}/_ministack/reset", "POST", None, own_page))
        websocket_api = stack["wsUrl"].replace("ws://", "http://")
        assert_refused(ask(f"{websocket_api}/@connections/any", "POST", "hello", own_page))

    @pytest.fixture
    def own_page(self, stack: dict[str, str]) -> dict[str, str]:
        return {"Origin": stack["awsEndpoint"], "Sec-Fetch-Site": "same-origin"}


@pytest.mark.usefixtures("nothing_changes")
class TestAProgram:
    def test_without_the_emulators_credentials_gets_the_api_alone(self, stack: dict[str, str]) -> None:
        assert ask(f"{stack['restUrl']}/health", "GET").status == 200
        strangers: list[dict[str, str]] = [{}, signed("dynamodb")]
        for headers in strangers:
            listed = ask(stack["awsEndpoint"], "POST", {}, {"X-Amz-Target": "DynamoDB_20120810.ListTables"} | headers)
            assert (listed.status, "stack.json" in listed.body) == (403, True)
            assert ask(f"{stack['awsEndpoint']}/_ministack/reset", "POST", None, headers).status == 403

    @pytest.mark.parametrize(
        ("query", "headers"),
        [
            ("", {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}),
            ("?Action=ListUsers&Version=2010-05-08", {"Content-Type": A_FORM}),
        ],
        ids=["by a header", "by the query"],
    )
    def test_reaches_no_other_service_by_the_apis_address(
        self, stack: dict[str, str], query: str, headers: dict[str, str]
    ) -> None:
        """The front tells by the address what is asked for, and the emulator must not tell otherwise."""
        own_page = {"Origin": stack["awsEndpoint"], "Sec-Fetch-Site": "same-origin"}
        for sender in ({}, own_page):
            for path in ("/orders/execute", "/nothing", "/../../../"):
                answer = ask(f"{stack['restUrl']}{path}{query}", "POST", {}, {**sender, **headers})
                assert answer.status in (400, 401, 403, 404, 415)
                assert stack["ordersTable"] not in answer.body
                assert "ListUsersResult" not in answer.body

    def test_is_led_there_by_the_documented_variables(self, stack: dict[str, str]) -> None:
        document = (PROJECT / "docs" / "emulator.md").read_text()
        exported = dict(re.findall(r"\b(AWS_\w+)=(\S+)", document.split("```sh\n")[1].split("```")[0]))
        assert exported.keys() == {"AWS_SHARED_CREDENTIALS_FILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"}
        file = exported["AWS_SHARED_CREDENTIALS_FILE"].replace("$PWD/.local", stack["directory"])
        region, endpoint = exported["AWS_DEFAULT_REGION"], stack["awsEndpoint"]
        variables = {"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_DEFAULT_REGION": region, "AWS_ENDPOINT_URL": endpoint}
        program = "import boto3; print(*boto3.client('dynamodb').list_tables()['TableNames'])"
        command = [sys.executable, "-c", program]
        environment = {"PATH": os.environ["PATH"]} | variables
        listed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        assert stack["ordersTable"] in listed.stdout.split()

    def test_with_them_gets_all_of_aws(self, stack: dict[str, str], aws: Callable[[str], Any]) -> None:
        assert stack["ordersTable"] in aws("dynamodb").list_tables()["TableNames"]
        guessed = stack | {"awsAccessKeyId": "000000000000", "awsSecretAccessKey": "test"}
        with pytest.raises(ClientError, match=r"UnrecognizedClient|security token|does not match"):
            root_session(guessed).client("dynamodb", endpoint_url=stack["awsEndpoint"]).list_tables()


def signed(service: str, stack: dict[str, str] | None = None) -> dict[str, str]:
    """As signed by whoever takes the credentials that emulators have by default, or this stack's."""
    key_id = EmulatorCredentials.of(stack).access_key_id if stack else "test"
    scope = f"{key_id}/20261129/us-east-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


def websocket_of(rpc_url: str, further: int) -> str:
    place = urlsplit(rpc_url)
    return f"ws://{place.hostname}:{(place.port or 0) + further}"


def refused_connection(url: str, page: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=page):
        pass
    assert refused.value.response.status_code == 403

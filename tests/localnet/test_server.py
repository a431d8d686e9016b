"""The server as clients meet it: HTTP, WebSocket, ports, signals."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from infra.localnet.market.genesis import genesis_market
from infra.localnet.server import PortInUseError, open_ports
from testing.localnet import Localnet, LocalnetError

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
PROJECT = Path(__file__).resolve().parents[2]


def connection(localnet: Localnet) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(localnet.url).netloc, timeout=30)


def rpc_body(method: str, *params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


class TestHttp:
    def test_health_can_be_asked_for_plainly(self, localnet: Localnet) -> None:
        client = connection(localnet)
        client.request("GET", "/health")
        assert client.getresponse().read() == b"ok"

    def test_other_methods_are_refused(self, localnet: Localnet) -> None:
        client = connection(localnet)
        client.request("PUT", "/", rpc_body("getHealth"))
        assert client.getresponse().status == 405

    def test_a_request_of_more_than_50_kilobytes_is_refused(self, localnet: Localnet) -> None:
        client = connection(localnet)
        client.request("POST", "/", rpc_body("getHealth", "x" * 60_000))
        assert client.getresponse().status == 413

    def test_twenty_clients_at_once_each_get_their_own_answer(self, localnet: Localnet) -> None:
        def ask(client_number: int) -> list[int]:
            client = connection(localnet)
            answers = []
            for call in range(25):
                identity = client_number * 1_000 + call
                body = {"jsonrpc": "2.0", "id": identity, "method": "getMultipleAccounts", "params": [[USDC] * 50]}
                client.request("POST", "/", json.dumps(body))
                answers.append(json.loads(client.getresponse().read())["id"])
            return answers

        with ThreadPoolExecutor(20) as pool:
            answered = list(pool.map(ask, range(20)))
        assert answered == [[number * 1_000 + call for call in range(25)] for number in range(20)]

    def test_an_error_fault_is_http_503_or_an_unhealthy_node(self, localnet: Localnet) -> None:
        localnet.call("localnet_setFaults", {"rpcErrorRate": 1, "seed": 1})
        try:
            codes = set()
            for _ in range(20):
                with pytest.raises(LocalnetError) as struck:
                    localnet.call("getSlot")
                codes.add(struck.value.code)
        finally:
            localnet.call("localnet_setFaults", {})
        assert codes == {503, -32005}


OWN_PAGE = "http://localhost:3000"
BROWSERS = [
    {"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost:3000.attacker.example"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-origin"},
]
FAULTS = {"dropRate": 1}


@pytest.fixture(scope="module")
def hosting() -> Iterator[Localnet]:
    """Pages of one origin may ask it, and it has another name."""
    arguments = ("--allow-origin", OWN_PAGE, "--allow-host", "localnet")
    with Localnet("--slot-ms", "20", "--no-traders", *arguments) as chain:
        yield chain


class TestBrowsers:
    """The pages that a developer visits: one was named when the localnet was started, and the others were not."""

    def ask(
        self,
        localnet: Localnet,
        headers: dict[str, str],
        method: str = "POST",
        body: bytes | None = None,
        port: int = 0,
    ) -> http.client.HTTPResponse:
        place = urlsplit(localnet.url)
        client = http.client.HTTPConnection(str(place.hostname), (place.port or 0) + port, timeout=30)
        client.request(method, "/", body, {"Content-Type": "text/plain", **headers})
        return client.getresponse()

    @pytest.mark.parametrize("page", BROWSERS, ids=str)
    def test_a_page_that_was_not_named_reaches_nothing(self, hosting: Localnet, page: dict[str, str]) -> None:
        for port in (0, 1):
            for method, body in (("POST", rpc_body("getHealth")), ("OPTIONS", None), ("GET", None)):
                answer = self.ask(hosting, page, method, body, port)
                assert (answer.status, b"--allow-origin" in answer.read()) == (403, True)
                assert answer.getheader("access-control-allow-origin") is None
        url = hosting.ws_url.rpartition(":")
        for address in (hosting.ws_url, f"{url[0]}:{int(url[2]) - 1}"):
            with pytest.raises(InvalidStatus, match="403"), connect(address, additional_headers=page):
                pass

    def test_a_page_that_was_named_reads_and_trades(self, hosting: Localnet) -> None:
        page = {"Origin": OWN_PAGE, "Sec-Fetch-Site": "cross-site"}
        preflight = self.ask(hosting, page, "OPTIONS")
        assert (preflight.status, preflight.getheader("access-control-allow-origin")) == (204, OWN_PAGE)
        assert preflight.getheader("access-control-allow-headers") == "*"
        answer = self.ask(hosting, page, "POST", rpc_body("getHealth"))
        assert (answer.status, answer.getheader("access-control-allow-origin")) == (200, OWN_PAGE)
        assert answer.getheader("vary") == "Origin"
        with connect(hosting.ws_url, additional_headers=page) as client:
            client.send(rpc_body("slotSubscribe").decode())
            assert isinstance(json.loads(client.recv(timeout=20))["result"], int)

    @pytest.mark.parametrize("batched", [False, True])
    def test_no_page_whatever_gets_the_localnets_own_methods(self, hosting: Localnet, batched: bool) -> None:
        call = rpc_body("localnet_setFaults", FAULTS)
        body = b"[" + rpc_body("getHealth") + b"," + call + b"]" if batched else call
        answer = json.loads(self.ask(hosting, {"Origin": OWN_PAGE}, "POST", body).read())
        assert (answer[1] if batched else answer)["error"]["code"] == -32601
        assert hosting.call("localnet_getFaults")["dropRate"] == 0

    @pytest.mark.parametrize("host", ["attacker.example", "localhost.attacker.example:8899", "192.168.0.7:8899", ""])
    def test_a_name_that_leads_here_is_not_answered(self, hosting: Localnet, host: str) -> None:
        for port in (0, 1):
            answer = self.ask(hosting, {"Host": host}, "POST", rpc_body("localnet_setFaults", FAULTS), port)
            assert answer.status in (400, 403)
        assert hosting.call("localnet_getFaults")["dropRate"] == 0

    @pytest.mark.parametrize(
        "host", ["LocalHost:8899", "127.0.0.1", "host.docker.internal:8899", "[::1]:8899", "localnet:8899"]
    )
    def test_programs_may_call_it_by_its_names(self, hosting: Localnet, host: str) -> None:
        assert self.ask(hosting, {"Host": host}, "POST", rpc_body("getHealth")).status == 200

    def test_a_person_who_types_the_address_is_answered(self, hosting: Localnet) -> None:
        assert self.ask(hosting, {"Sec-Fetch-Site": "none"}, "GET").status == 405

    @pytest.mark.parametrize("origin", ["localhost:3000", "http://localhost:3000/", "*", "http://", "file://"])
    def test_what_is_no_origin_is_not_taken_for_one(self, origin: str) -> None:
        with pytest.raises(LocalnetError, match="is no origin"):
            Localnet("--allow-origin", origin).start()


class TestSlots:
    def test_pass_by_themselves(self, localnet: Localnet) -> None:
        before = localnet.call("getSlot")
        while localnet.call("getSlot") <= before + 3:
            pass

    def test_stand_still_while_paused_and_jump_when_told_to(self, localnet: Localnet) -> None:
        localnet.call("localnet_pause")
        try:
            slot = localnet.call("getSlot", {"commitment": "processed"})
            assert localnet.call("localnet_advanceSlots", {"slots": 151}) == slot + 151
            assert localnet.call("getSlot", {"commitment": "processed"}) == slot + 151
        finally:
            localnet.call("localnet_resume")


class TestWebSocket:
    def receive(self, client: Any) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(client.recv(timeout=20))
        return message

    def paid(self, localnet: Localnet) -> Transaction:
        payer = Keypair()
        localnet.call("localnet_fund", {"address": str(payer.pubkey()), "amount": 10**9})
        latest = localnet.call("getLatestBlockhash", {"commitment": "processed"})["value"]["blockhash"]
        instruction = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=Pubkey([5] * 32), lamports=10**7))
        blockhash = Hash.from_string(latest)
        return Transaction([payer], Message.new_with_blockhash([instruction], payer.pubkey(), blockhash), blockhash)

    def test_tells_once_when_a_signature_is_confirmed(self, localnet: Localnet) -> None:
        transaction = self.paid(localnet)
        signature = str(transaction.signatures[0])
        with connect(localnet.ws_url) as client:
            client.send(rpc_body("signatureSubscribe", signature, {"commitment": "confirmed"}).decode())
            subscription = self.receive(client)["result"]
            wire = base64.b64encode(bytes(transaction)).decode()
            options = {"encoding": "base64", "preflightCommitment": "processed"}
            assert localnet.call("sendTransaction", wire, options) == signature
            told = self.receive(client)
        assert told["method"] == "signatureNotification"
        assert told["params"]["subscription"] == subscription
        assert told["params"]["result"]["value"] == {"err": None}
        (status,) = localnet.call("getSignatureStatuses", [signature])["value"]
        assert status["confirmationStatus"] in ("confirmed", "finalized")

    def test_tells_each_slot(self, localnet: Localnet) -> None:
        with connect(localnet.ws_url) as client:
            client.send(rpc_body("slotSubscribe").decode())
            subscription = self.receive(client)["result"]
            slots = [self.receive(client)["params"]["result"]["slot"] for _ in range(3)]
            client.send(rpc_body("slotUnsubscribe", subscription).decode())
        assert slots == sorted(set(slots))

    def test_holds_a_refusal_back_and_nothing_else(self, localnet: Localnet) -> None:
        """A client that asks again at once, as web3.js does, is then no storm."""
        with connect(localnet.ws_url) as client:
            for method in ("dreamSubscribe", "accountSubscribe", "slotSubscribe", "ping"):
                client.send(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": []}))
            answers: list[str] = []
            while len(answers) < 4:
                message = self.receive(client)
                answers += [message["id"]] if "id" in message else []
        assert answers == ["slotSubscribe", "ping", "dreamSubscribe", "accountSubscribe"]

    def test_refuses_what_it_does_not_know(self, localnet: Localnet) -> None:
        with connect(localnet.ws_url) as client:
            client.send(rpc_body("dreamSubscribe").decode())
            assert self.receive(client)["error"]["code"] == -32601
            client.send("{")
            assert self.receive(client)["error"]["code"] == -32700
            client.send(rpc_body("signatureUnsubscribe", 99).decode())
            assert self.receive(client)["error"]["code"] == -32602


class TestTheCommand:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infra.localnet", *arguments]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)

    def test_a_taken_port_is_one_clear_line_that_names_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = self.run("--rpc-port", str(port))
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"localnet: port {port} on 127.0.0.1 is not free")
        assert ended.stderr.count("\n") == 1

    def test_a_taken_websocket_port_is_named_too(self) -> None:
        listeners = open_ports("127.0.0.1", 0)
        rpc, websocket = (listener.getsockname()[1] for listener in listeners)
        listeners[0].close()
        with listeners[1], pytest.raises(PortInUseError, match=f"port {websocket} "):
            open_ports("127.0.0.1", rpc)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--bpf-program", "nonsense", "x.so"], "nonsense is no address"),
            (["--bpf-program", USDC, "missing.so"], "missing.so can't be read"),
            (["--bpf-program", USDC, "pyproject.toml"], "no valid program"),
            (["--fork", "http://127.0.0.1:9"], "--fork needs"),
            (["--clone", USDC], "need --fork CLUSTER"),
        ],
    )
    def test_options_that_cannot_be_followed_are_explained(self, arguments: list[str], message: str) -> None:
        ended = self.run("--rpc-port", "0", *arguments)
        assert ended.returncode == 1
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_sigterm_ends_it_cleanly(self) -> None:
        localnet = Localnet("--no-traders")
        localnet.start()
        assert localnet.call("getHealth") == "ok"
        assert localnet.stop() == 0

    def test_writes_the_registry_of_its_pools(self, tmp_path: Path) -> None:
        registry = tmp_path / "deep" / "pools.json"
        with Localnet("--no-traders", "--pool-registry-out", str(registry)) as localnet:
            entries = json.loads(registry.read_text())
            assert len(entries) == len(genesis_market(0).pools)
            for entry in entries:
                owner = localnet.call("getAccountInfo", entry["address"], {"encoding": "base64"})["value"]["owner"]
                assert owner == entry["program"]

    def test_funds_a_wallet_file_and_an_address(self, tmp_path: Path) -> None:
        wallet, other = Keypair(), Keypair().pubkey()
        file = tmp_path / "wallet.json"
        file.write_text(json.dumps(list(bytes(wallet))))
        with Localnet("--no-traders", "--fund", str(file), "--fund", str(other)) as localnet:
            for owner in (wallet.pubkey(), other):
                assert localnet.call("getBalance", str(owner))["value"] == 1_000 * 10**9
                held = localnet.call("getTokenAccountsByOwner", str(owner), {"mint": USDC}, {"encoding": "base64"})
                assert len(held["value"]) == 1

    def test_loads_account_dumps(self, tmp_path: Path) -> None:
        address = str(Keypair().pubkey())
        dump = {
            "pubkey": address,
            "account": {
                "lamports": 1_234_567,
                "data": ["aGVsbG8=", "base64"],
                "owner": USDC,
                "executable": False,
                "rentEpoch": 18446744073709551615,
            },
        }
        (tmp_path / "account.json").write_text(json.dumps(dump))
        with Localnet("--no-traders", "--account-dir", str(tmp_path)) as localnet:
            loaded = localnet.call("getAccountInfo", address, {"encoding": "base64"})["value"]
            assert loaded == {**dump["account"], "space": 5}  # type: ignore[dict-item]
        (tmp_path / "broken.json").write_text("{}")
        with pytest.raises(LocalnetError, match="is no account dump"):
            Localnet("--account-dir", str(tmp_path)).start()

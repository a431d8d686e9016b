"""What `--fork` means: never a saved chain in its place, at the pace that the cluster takes, whatever it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from chalicelib.venues.supported import VENUES
from infra.localnet import clusters, startup
from infra.localnet.commitment import Commitment
from infra.localnet.startup import Options, StartupError
from testing.limited_node import LimitedNode
from testing.localnet import Localnet

NATIVE_LOADER = Pubkey.from_string("NativeLoader1111111111111111111111111111111")
TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "pools.json"


@pytest.fixture(scope="module")
def origin(registry: Path) -> Iterator[Localnet]:
    with Localnet("--no-traders", "--pool-registry-out", str(registry)) as cluster:
        yield cluster


@pytest.fixture
def forking(origin: Localnet, registry: Path, tmp_path: Path) -> Options:
    """A fork of one pool, into a ledger."""
    pool = Pubkey.from_string(json.loads(registry.read_text())[0]["address"])
    return Options(fork_url=origin.url, fork_pools=(pool,), ledger_directory=tmp_path / "ledger", with_traders=False)


def test_a_saved_chain_is_not_taken_for_a_fork_and_is_kept_until_it_is_discarded(forking: Options) -> None:
    plain = replace(forking, fork_url=None, fork_pools=())
    genesis = startup.build(plain)
    assert genesis.origin == "a new chain from genesis"
    genesis.save()
    with pytest.raises(StartupError, match=r"the genesis market's, and --fork 127\.0\.0\.1:\d+ can't .*--reset"):
        startup.build(forking)
    kept = startup.build(plain)
    assert kept.node.ledger.genesis_hash == genesis.node.ledger.genesis_hash
    kept.save()

    fork = startup.build(replace(forking, reset=True))
    assert fork.origin.startswith("a new chain, forked from 127.0.0.1:")
    assert [address for address, _ in fork.pools] == list(forking.fork_pools)


def test_a_fork_that_was_saved_goes_on_and_says_so(forking: Options, registry: Path) -> None:
    fork = startup.build(forking)
    fork.save()
    again = startup.build(forking)
    assert again.node.ledger.genesis_hash == fork.node.ledger.genesis_hash
    assert again.origin.startswith("the chain that was stopped, a fork of 127.0.0.1:")
    assert again.origin.endswith("--reset takes the accounts anew")
    again.save()
    without = startup.build(replace(forking, fork_url=None, fork_pools=()))
    assert without.origin.endswith("goes on")
    without.save()
    others = tuple(Pubkey.from_string(entry["address"]) for entry in json.loads(registry.read_text())[:2])
    with pytest.raises(StartupError, match=r"a fork of .* with other accounts"):
        startup.build(replace(forking, fork_pools=others))


def bytecode_of(runtime: LiteSVM, program: Pubkey) -> bytes:
    """Of a program of the upgradeable loader: behind the header of the account that the program's own names."""
    account = runtime.get_account(program)
    assert account is not None
    data = runtime.get_account(Pubkey.from_bytes(account.data[4:36]))
    assert data is not None
    return data.data[45:]


def test_a_chain_that_goes_on_still_runs_the_bytecode_that_it_was_given(tmp_path: Path) -> None:
    """Whichever program it is: here the token program's own, at a venue's address."""
    venue = VENUES[0].program_id
    file = tmp_path / "program.so"
    file.write_bytes(bytecode_of(LiteSVM(), TOKEN_PROGRAM))
    options = Options(bpf_programs=((venue, file),), ledger_directory=tmp_path / "ledger", with_traders=False)
    startup.build(options).save()
    again = startup.build(replace(options, bpf_programs=()))
    assert again.programs[venue] == file.read_bytes()
    ledger = again.node.ledger
    stand_in = ledger.account(venue, ledger.bank(Commitment.PROCESSED))
    assert stand_in is None or stand_in.owner != NATIVE_LOADER, "an emulation stands in for it"


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.ms = 1_760_000_000_000
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ms += int(seconds * 1000) + 1


def test_a_cluster_is_asked_no_more_often_than_public_nodes_take(origin: Localnet) -> None:
    clock = Clock()
    client = clusters.client(origin.url, clock.now_ms, clock.sleep)
    asked: list[int] = []
    for _ in range(120):
        client.get_slot()
        asked.append(clock.ms)
    assert max(sum(start <= at < start + 10_000 for at in asked) for start in asked) <= 40
    assert max(sum(start <= at < start + 1_000 for at in asked) for start in asked) <= 10


class Touchy(LimitedNode):
    """Refuses the first few calls, whatever their pace."""

    refusals = 3

    def _must_wait(self, methods: list[str]) -> float | None:
        self.refused += 1
        return 6.0 if self.refused <= self.refusals else None


def test_a_cluster_that_wants_to_be_asked_less_often_is_left_alone_for_so_long(origin: Localnet) -> None:
    clock = Clock()
    with Touchy(origin.url, limit=1) as touchy:
        assert clusters.client(touchy.url, clock.now_ms, clock.sleep).get_slot() > 0
    assert touchy.refused == Touchy.refusals + 1
    assert sum(clock.slept) >= 6.0 * Touchy.refusals


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("mainnet-beta", "https://api.mainnet-beta.solana.com"),
        ("m", "https://api.mainnet-beta.solana.com"),
        ("Devnet", "https://api.devnet.solana.com"),
        ("testnet", "https://api.testnet.solana.com"),
        ("localhost", "http://localhost:8899"),
        ("https://node.example/a-key", "https://node.example/a-key"),
    ],
)
def test_a_cluster_is_named_or_addressed(text: str, url: str) -> None:
    assert clusters.url_of(text) == url


@pytest.mark.parametrize("text", ["mainet", "", "node.example", "ftp://node.example", "https://"])
def test_what_is_no_cluster_is_answered_with_the_names_of_those_there_are(text: str) -> None:
    with pytest.raises(clusters.UnknownCluster, match="mainnet-beta"):
        clusters.url_of(text)


def test_a_clusters_key_is_not_shown() -> None:
    assert clusters.label("https://user:secret@node.example:8443/a-key?b=c") == "node.example:8443"


def test_the_clusters_way_out_is_the_proxy_that_the_environment_names_but_not_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    outward = clusters._connections("https://node.example")
    assert outward is not None
    assert str(getattr(outward, "proxy", None)) == "http://proxy.example:3128"
    assert clusters._connections("http://127.0.0.1:8899") is None
    monkeypatch.setenv("https_proxy", "socks5://user:secret@proxy.example:1")
    with pytest.raises(ValueError, match="proxy") as error:
        clusters.client("https://node.example")
    assert "secret" not in str(error.value)

"""`fillrate pools discover` in words and as JSON, and what it ends with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fillrate.cli.main import run

from chalicelib.venues import supported
from operations import discovery
from operations.commands import discover
from operations.discovery import PoolDiscovery
from operations.pools import PoolAdministration
from tests.integration.cloud import Cloud
from tests.integration.discovery_cluster import Answer, Cluster, PacedNode, key, made_up_cluster


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return made_up_cluster()


class Desk:
    """The command, where the stage's node is the cluster's."""

    def __init__(
        self, cluster: Cluster, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._capsys = capsys
        self.instead: Answer = lambda call: None

        def of_stage(target: object, rpc_url: object, calls_per_second: object) -> PoolDiscovery:
            chain = PacedNode(cluster, self.instead).rpc
            return PoolDiscovery(PoolAdministration(cloud.dynamodb, cloud.outputs["PoolsTable"], chain), chain)

        monkeypatch.setattr(discover, "find_target", lambda *named: None)
        monkeypatch.setattr(discovery, "discovery", of_stage)

    def says(self, *words: str, expect: int = 0) -> tuple[str, str]:
        assert run(["pools", "discover", *words]) == expect
        said = self._capsys.readouterr()
        return said.out, said.err

    def json(self, *words: str, expect: int = 0) -> dict[str, Any]:
        out, _ = self.says(*words, "--json", expect=expect)
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def desk(cluster: Cluster, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(cluster, cloud, monkeypatch, capsys)


def test_each_pool_is_shown_with_what_it_pays_its_fee_depth_age_and_remarks(desk: Desk, cluster: Cluster) -> None:
    out, err = desk.says("SOL/USDC", "--limit", "3")
    head, best, *_ = out.splitlines()
    assert head.split() == ["pool", "program", "pair", "sells", "gets", "fee", "depth", "age", "remarks"]
    assert best.split()[0] in set(map(str, cluster.genuine))
    assert best.split()[3] == "10"
    assert len(out.splitlines()) == 4
    assert f"{len(cluster.genuine) - 3} more" in err
    assert "can't be traded" in err


def test_as_json_everything_is_told_and_what_was_added(desk: Desk, cluster: Cluster) -> None:
    told = desk.json("SOL/USDC", "--size", "2.5", "--add", "2")
    assert {pool["address"] for pool in told["pools"]} == set(map(str, cluster.genuine))
    assert {unfit["address"] for unfit in told["unfit"]} == set(map(str, cluster.hostile))
    assert {pool["amountIn"] for pool in told["pools"]} == {"2.5"}
    assert told["added"] == [pool["address"] for pool in told["pools"][:2]]
    assert {venue.program for venue in supported.VENUES} == {pool["program"] for pool in told["pools"]}


def test_a_node_that_lists_nothing_is_quoted_and_adding_ends_with_a_refusal(desk: Desk) -> None:
    def refused(call: dict[str, Any]) -> dict[str, Any] | None:
        error = {"error": {"code": -32601, "message": "Method not found"}}
        return error if call["method"] == "getProgramAccounts" else None

    desk.instead = refused
    _, err = desk.says("SOL/USDC")
    assert "raydium-cpmm was not searched: the Solana node doesn't offer getProgramAccounts: Method not found" in err
    _, err = desk.says("SOL/USDC", "--add", "1", expect=3)
    assert "nothing was added, for the best can't be told" in err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "name a pair, as in SOL/USDC, or a token with --mint"),
        (("SOL/USDC", "--mint", "SOL"), 2, "name a pair, as in SOL/USDC, or a token with --mint"),
        (("SOL",), 2, "'SOL' is no pair: name two tokens by symbol or mint, as in SOL/USDC"),
        (("SOL/SOL",), 2, "SOL and SOL are one token: a pair has two"),
        (("SOL/NOSUCH",), 3, "'NOSUCH' is no token that is known here: give its mint's address"),
        (("--mint", str(key("nowhere"))), 3, f"there is no account {key('nowhere')} on this chain"),
        (("SOL/USDC", "--size", "0"), 3, "--size: must be greater than zero"),
        (("SOL/USDC", "--size", "many"), 3, '--size: must be a decimal number, such as "10.5"'),
    ],
)
def test_bad_input_gets_a_sentence(desk: Desk, words: tuple[str, ...], code: int, sentence: str) -> None:
    out, err = desk.says(*words, expect=code)
    assert (out, sentence in err) == ("", True), err

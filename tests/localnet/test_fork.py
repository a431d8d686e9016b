"""A fork takes pools from a running cluster and goes on from there. Here the cluster is another localnet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chalicelib.venues import supported
from testing.localnet import Localnet, LocalnetError

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"


def first_pools(origin: Localnet, registry: Path) -> list[dict[str, str]]:
    """One pool of each venue that trades SOL for USDC."""
    found: dict[str, dict[str, str]] = {}
    for entry in json.loads(registry.read_text()):
        trade = {"pool": entry["address"], "mintIn": SOL, "amount": 1_000_000}
        try:
            answer = origin.call("localnet_trade", trade)
        except LocalnetError:
            continue
        if answer["mintOut"] == USDC:
            found.setdefault(entry["program"], entry)
    return list(found.values())


def test_a_forked_pool_pays_what_the_original_pays(tmp_path: Path) -> None:
    registry, chosen, forked_registry = tmp_path / "all.json", tmp_path / "chosen.json", tmp_path / "forked.json"
    with Localnet("--no-traders", "--pool-registry-out", str(registry)) as origin:
        pools = first_pools(origin, registry)
        assert {pool["program"] for pool in pools} == {str(venue.program_id) for venue in supported.VENUES}
        chosen.write_text(json.dumps(pools))
        origin.call("localnet_pause")
        origin.call("localnet_advanceSlots", {"slots": 40})
        arguments = ["--fork", origin.url, "--fork-pools", str(chosen), "--pool-registry-out", str(forked_registry)]
        with Localnet(*arguments) as fork:
            assert json.loads(forked_registry.read_text()) == pools
            for pool in pools:
                # Enough to leave the first bins.
                trade = {"pool": pool["address"], "mintIn": SOL, "amount": 500 * 10**9}
                ours, theirs = fork.call("localnet_trade", trade), origin.call("localnet_trade", trade)
                assert ours["err"] is None
                assert ours["amountOut"] == theirs["amountOut"]
            assert fork.call("getSlot", {"commitment": "processed"}) >= origin.call("getSlot")


@pytest.mark.parametrize("address", [USDC, "11111111111111111111111111111112"])
def test_what_is_no_pool_there_is_named(tmp_path: Path, address: str) -> None:
    registry = tmp_path / "pools.json"
    registry.write_text(json.dumps([{"address": address, "program": SOL}]))
    with (
        Localnet("--no-traders") as origin,
        pytest.raises(LocalnetError, match=address),
    ):
        Localnet("--fork", origin.url, "--fork-pools", str(registry)).start()

"""`pools discover`: the right pools are found on a cluster full of others, within the node's pace, and added as any."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.aws.dynamodb.table import Table
from chalicelib.discovery import search
from chalicelib.discovery.search import TooManyPools
from chalicelib.problems import ExecutionError, InvalidRequest
from chalicelib.routing.quote import quote_pool
from chalicelib.solana.mint_risks import MintRisk
from chalicelib.solana.tokens import ExtensionType
from chalicelib.venues import supported
from chalicelib.venues.pool_reader import read_pool
from operations.discovery import PoolDiscovery
from operations.errors import UnfitOption, UnfitSearch
from operations.pools import PoolAdministration
from operations.record import OperatorsRecord
from tests.integration.chain_trading import MINTS
from tests.integration.cloud import Cloud
from tests.integration.discovery_cluster import CALLS_IN_WINDOW, Answer, Cluster, PacedNode, key, made_up_cluster
from tests.localnet.token_2022 import ISSUER, with_extension

TEN_SOL = 10 * 10**9


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return made_up_cluster()


class Office:
    """An operator's desk at a stage whose node is the cluster's."""

    def __init__(self, cluster: Cluster, cloud: Cloud, instead: Answer = lambda call: None) -> None:
        self.cluster, self.table = cluster, PoolTable(cloud.dynamodb, cloud.outputs["PoolsTable"])
        self.paced = PacedNode(cluster, instead)
        audit = Table(cloud.dynamodb, cloud.outputs["AuditTable"])
        self.record = OperatorsRecord(
            audit, lambda: "operator@desk", self.paced.clock, iter(map(str, range(99))).__next__
        )
        pools = PoolAdministration(cloud.dynamodb, cloud.outputs["PoolsTable"], self.paced.rpc, self.record)
        self.discovery = PoolDiscovery(pools, self.paced.rpc)

    def registered(self) -> set[str]:
        return {entry.address for entry in self.table.entries()}

    def best_by_themselves(self) -> list[tuple[int, Pubkey]]:
        """What each genuine pool pays for ten SOL, each read and asked alone."""
        owners = self.paced.rpc.get_multiple_accounts(sorted(self.cluster.genuine, key=bytes)).accounts
        paid = []
        clock = self.cluster.chain.chain.node.ledger.clock
        for address, account in owners.items():
            assert account is not None
            venue = next(venue for venue in supported.VENUES if venue.program_id == account.owner)
            pool = read_pool(self.paced.rpc.get_multiple_accounts, venue, address)
            try:
                paid.append((quote_pool(pool, MINTS["SOL"].address, TEN_SOL, clock).amount_out, address))
            except ExecutionError:
                paid.append((0, address))
        return sorted(paid, key=lambda one: (-one[0], bytes(one[1])))


@pytest.fixture
def office(cluster: Cluster, cloud: Cloud) -> Office:
    return Office(cluster, cloud)


def refuses_lists(code: int, message: str) -> Answer:
    def instead(call: dict[str, Any]) -> dict[str, Any] | None:
        return {"error": {"code": code, "message": message}} if call["method"] == "getProgramAccounts" else None

    return instead


def test_the_pairs_pools_are_found_among_two_thousand_and_no_hostile_account_is_one(office: Office) -> None:
    assert office.cluster.pools >= 2_000
    found = office.discovery.of_pair("SOL/USDC")
    assert {one.ranked.candidate.address for one in found.pools} == office.cluster.genuine
    assert {one.candidate.address for one in found.unfit} == office.cluster.hostile
    assert {one.ranked.candidate.venue.program for one in found.pools} == {venue.program for venue in supported.VENUES}
    assert found.unsearched == ()


def test_a_search_keeps_to_the_nodes_pace_and_lists_each_program_once_or_twice(office: Office) -> None:
    office.discovery.of_pair("SOL/USDC")
    lists = [method for _, method in office.paced.node.calls if method == "getProgramAccounts"]
    in_order = sum(venue.pool_account.mints_in_order for venue in supported.VENUES)
    assert len(lists) == 2 * len(supported.VENUES) - in_order
    assert office.paced.node.most_in_a_window() <= CALLS_IN_WINDOW
    assert len(office.paced.node.calls) < 2 * CALLS_IN_WINDOW


def test_they_are_ranked_by_what_each_pays_alone(office: Office) -> None:
    found = office.discovery.of_pair("SOL/USDC")
    ranked = [(one.ranked.amount_out or 0, one.ranked.candidate.address) for one in found.pools]
    paying = [one for one in office.best_by_themselves() if one[0]]
    assert ranked[: len(paying)] == paying


def test_the_best_are_added_as_pools_add_does_with_an_entry_in_the_record_each(office: Office) -> None:
    found = office.discovery.of_pair("USDC/SOL", Decimal("250.5"))
    best = [str(one.ranked.candidate.address) for one in found.pools[:3]]
    added = office.discovery.add_best(found, 3)
    assert [one.entry.address for one in added.pools] == best
    assert office.registered() == set(best)
    assert [(entry.action, entry.subject) for entry in office.record.entries(kinds=["pools"])] == [
        ("add", address) for address in best
    ]
    again = office.discovery.of_pair("USDC/SOL")
    assert {str(one.ranked.candidate.address) for one in again.pools if one.registered} == set(best)
    more = office.discovery.add_best(again, 1)
    assert not {one.entry.address for one in more.pools} & set(best)


def test_all_pairs_of_a_token_are_found_and_ranked_pair_by_pair(office: Office) -> None:
    found = office.discovery.of_mint("JUP")
    others = [one.ranked.bought.address for one in found.pools]
    assert len(set(others)) == len(MINTS) - 1
    assert others == sorted(others, key=list(dict.fromkeys(others)).index)
    assert all(one.ranked.sold.address == MINTS["JUP"].address for one in found.pools)


def test_a_pool_of_a_token_over_which_somebody_has_a_power_is_added_only_where_that_is_accepted(office: Office) -> None:
    mint = MINTS["LEVY"].address
    account = office.cluster.chain.chain.node.ledger.current(mint)
    assert account is not None
    try:
        office.cluster.write({mint: with_extension(ExtensionType.PERMANENT_DELEGATE, ISSUER, 1)(account)})
        found = office.discovery.of_pair(f"{mint}/USDC")
        refused = office.discovery.add_best(found, 1)
        assert (refused.pools, office.registered()) == ((), set())
        assert refused.refusals[0].endswith("--accept-risk permanent-delegate")
        (added,) = office.discovery.add_best(found, 1, [MintRisk.PERMANENT_DELEGATE]).pools
        assert office.registered() == {added.entry.address}
    finally:
        office.cluster.write({mint: account})


@pytest.mark.parametrize("pair", ["SOL", "SOL/", "/USDC", "SOL/USDC/JUP", ""])
def test_what_is_no_pair_is_said_to_be_none(office: Office, pair: str) -> None:
    with pytest.raises(UnfitOption, match="is no pair: name two tokens"):
        office.discovery.of_pair(pair)


def test_a_pair_of_one_token_is_refused(office: Office) -> None:
    with pytest.raises(UnfitOption, match="are one token"):
        office.discovery.of_pair(f"SOL/{MINTS['SOL'].address}")


def test_what_is_no_mint_and_what_nobody_knows_is_refused_in_words(office: Office) -> None:
    pool = min(office.cluster.genuine, key=bytes)
    for token, words in (
        (str(pool), "is no mint"),
        (str(key("nowhere")), "there is no account"),
        ("NOSUCH", "no token that is known here"),
    ):
        with pytest.raises(UnfitSearch, match=words):
            office.discovery.of_pair(f"SOL/{token}")
    with pytest.raises(InvalidRequest, match="--size"):
        office.discovery.of_pair("SOL/USDC", Decimal("0.0000000001"))
    assert office.registered() == set()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32601, "Method not found"),
        (-32010, "excluded from account secondary indexes"),
        (-32600, "getProgramAccounts is not available on your plan"),
        (-32602, "Invalid params: too many accounts"),
    ],
)
def test_a_node_that_lists_no_programs_is_quoted_and_nothing_is_added(
    cluster: Cluster, cloud: Cloud, code: int, message: str
) -> None:
    office = Office(cluster, cloud, refuses_lists(code, message))
    found = office.discovery.of_pair("SOL/USDC")
    assert {one.program for one in found.unsearched} == {venue.program for venue in supported.VENUES}
    assert [one.reason for one in found.unsearched if message not in one.reason] == []
    with pytest.raises(UnfitSearch, match=r"nothing was added.*--rpc-url"):
        office.discovery.add_best(found, 1)
    assert office.registered() == set()


def test_pools_at_derived_addresses_are_shown_where_the_node_lists_none(cluster: Cluster, cloud: Cloud) -> None:
    found = Office(cluster, cloud, refuses_lists(-32601, "Method not found")).discovery.of_pair("SOL/USDC")
    shown = {one.ranked.candidate.address for one in found.pools}
    assert shown < cluster.genuine
    assert {"raydium-cpmm", "raydium-clmm"} <= {one.ranked.candidate.venue.program for one in found.pools}


def test_a_node_that_leaves_the_filters_out_makes_no_other_pair_a_pool_of_this_one(
    cluster: Cluster, cloud: Cloud
) -> None:
    def instead(call: dict[str, Any]) -> dict[str, Any] | None:
        if call["method"] != "getProgramAccounts":
            return None
        program, config = call["params"]
        return {"result": cluster.chain.call("getProgramAccounts", program, {**config, "filters": []})}

    found = Office(cluster, cloud, instead).discovery.of_pair("SOL/USDC")
    assert {one.ranked.candidate.address for one in found.pools} == cluster.genuine


def test_more_pools_than_a_search_looks_at_are_refused_before_they_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_POOLS", 500)
    with pytest.raises(TooManyPools, match="name a pair"):
        office.discovery.of_mint("SOL")
    assert [method for _, method in office.paced.node.calls if method == "getMultipleAccounts"] == [
        "getMultipleAccounts"
    ]  # of the token itself


def test_a_list_longer_than_an_answer_may_be_is_a_program_that_was_not_searched(cluster: Cluster, cloud: Cloud) -> None:
    """Of 100,000 pools, as they would be of a token that every pool trades."""
    entry = {"account": {"owner": str(key("o")), "lamports": 1, "data": ["A" * 88, "base64"], "executable": False}}
    hundred_thousand = [{"pubkey": str(key(0)), **entry}] * 100_000

    def instead(call: dict[str, Any]) -> dict[str, Any] | None:
        return {"result": hundred_thousand} if call["method"] == "getProgramAccounts" else None

    office = Office(cluster, cloud, instead)
    found = office.discovery.of_mint("SOL")
    assert {one.program for one in found.unsearched} == {venue.program for venue in supported.VENUES}
    assert all("too long" in one.reason for one in found.unsearched)
    with pytest.raises(UnfitSearch, match="nothing was added"):
        office.discovery.add_best(found, 1)

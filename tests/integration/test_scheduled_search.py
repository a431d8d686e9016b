"""The hourly search: what it finds is proposed, and trades only where an operator or the operators' policy lets it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import count

import pytest
from solders.pubkey import Pubkey

from chalicelib import composition
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.function_record import FunctionRecord
from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.aws.dynamodb.proposal_table import RECORD_KIND, ProposalTable
from chalicelib.aws.dynamodb.table import Table
from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.discovery.proposals import MOST_PROPOSED, PoolProposal, ProposalState
from chalicelib.discovery.scheduled import ScheduledSearch
from chalicelib.risk.limits import defaults_for
from chalicelib.venues import supported
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as CPMM
from chalicelib.venues.registry import PoolRegistry
from infra.localnet.market.genesis import genesis_market
from operations.discovery_schedule import AutoAdd, DiscoverySchedule
from operations.errors import UnfitOption
from operations.pools import PoolAdministration
from operations.record import OperatorsRecord
from tests.integration.chain_trading import MINTS
from tests.integration.cloud import Cloud
from tests.integration.discovery_cluster import NOW, Answer, Cluster, PacedNode, made_up_cluster

HOUR_MS = 3_600_000
USDC, SOL = MINTS["USDC"].address, MINTS["SOL"].address
REGISTERED = next(
    str(pool.address)
    for pool in genesis_market(seed=0).pools
    if pool.program == CPMM and {pool.base.symbol, pool.quote.symbol} == {"SOL", "USDC"}
)
DEEP = Decimal(50_000)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return made_up_cluster()


class Stage:
    """A stage with one registered pool of SOL and USDC, its operators, and the search that runs every hour."""

    def __init__(self, cluster: Cluster, cloud: Cloud, instead: Answer = lambda call: None) -> None:
        outputs, dynamodb = cloud.outputs, cloud.dynamodb
        self.node = PacedNode(cluster, instead)
        self.clock = self.node.clock
        audit, entry_ids = Table(dynamodb, outputs["AuditTable"]), count()
        operators = OperatorsRecord(audit, lambda: "operator@desk", self.clock, lambda: str(next(entry_ids)))
        self.record = operators
        controls = ControlTable(dynamodb, outputs["ControlTable"], defaults_for("local"), operators)
        function = FunctionRecord(audit, "discover_pools", self.clock, lambda length: str(next(entry_ids)))
        self.proposals = ProposalTable(dynamodb, outputs["ProposalsTable"], function)
        self.operators = DiscoverySchedule(controls, self.proposals, reference_decimals=6)
        self.pools = PoolAdministration(dynamodb, outputs["PoolsTable"], self.node.rpc, operators)
        self.pools.add(REGISTERED)
        table = PoolTable(dynamodb, outputs["PoolsTable"])
        read = self.node.rpc.get_multiple_accounts
        registry = PoolRegistry(
            table.entries, lambda addresses: read(addresses).accounts, supported.VENUES, self.clock, max_age_ms=-1
        )
        self.search = ScheduledSearch(
            self.node.rpc,
            supported.VENUES,
            registry.pools,
            self.proposals,
            controls.discovery_policy,
            USDC,
            self.clock,
            longest_run_ms=HOUR_MS,
        )

    def run(self) -> int:
        self.clock.now_ms += HOUR_MS
        return self.search.run()

    def states(self) -> dict[str, ProposalState]:
        return {one.address: one.state for one in self.operators.proposals()}

    def recorded(self) -> list[tuple[str, str, str]]:
        entries = self.record.entries(kinds=[RECORD_KIND])
        return [(entry.action, entry.subject, entry.who) for entry in entries]


@pytest.fixture
def stage(cluster: Cluster, cloud: Cloud) -> Stage:
    return Stage(cluster, cloud)


def test_without_an_operators_word_nothing_is_searched_for(stage: Stage) -> None:
    asked = len(stage.node.node.calls)
    assert stage.run() == 0
    assert len(stage.node.node.calls) == asked
    assert stage.states() == {}


def test_the_best_of_the_registered_pairs_are_proposed_with_an_entry_each_and_once(stage: Stage) -> None:
    stage.operators.turn_on()
    assert stage.run() == 1
    proposed = stage.states()
    assert set(proposed.values()) == {ProposalState.PROPOSED}
    assert len(proposed) == MOST_PROPOSED
    assert REGISTERED not in proposed
    assert sorted(stage.recorded()) == sorted(("proposed", address, "function discover_pools") for address in proposed)
    stage.run()
    assert len(stage.recorded()) == MOST_PROPOSED, "what is proposed already is no change"


def test_a_proposal_that_an_operator_adds_is_withdrawn(stage: Stage) -> None:
    stage.operators.turn_on()
    stage.run()
    first = min(stage.states())
    stage.pools.add(first)
    stage.run()
    assert first not in stage.states()
    assert ("withdraw", first, "function discover_pools") in stage.recorded()


def test_only_a_pool_that_is_deep_and_old_enough_is_let_in(stage: Stage) -> None:
    stage.operators.turn_on(AutoAdd(DEEP, 2 * HOUR_MS))
    stage.run()
    assert set(stage.states().values()) == {ProposalState.PROPOSED}, "nobody knows yet how old they are"
    stage.run()
    stage.run()
    let_in = {address for address, state in stage.states().items() if state is ProposalState.TRADED}
    assert let_in
    assert let_in <= set(map(str, stage.node.cluster.genuine))
    stage.operators.turn_on(AutoAdd(Decimal(10**12), 2 * HOUR_MS))
    stage.run()
    assert set(stage.states().values()) == {ProposalState.PROPOSED}, "none is that deep"


def test_a_registered_pool_that_died_is_proposed_for_removal_until_it_comes_back(stage: Stage) -> None:
    stage.operators.turn_on()
    pool = Pubkey.from_string(REGISTERED)
    alive = stage.node.cluster.chain.chain.node.ledger.current(pool)
    assert alive is not None
    closed = bytearray(alive.data)
    closed[329] = 0b100  # PoolState.status: swaps disabled
    try:
        stage.run()
        stage.node.cluster.write({pool: type(alive)(alive.owner, alive.lamports, bytes(closed))})
        stage.run()
        assert stage.states()[REGISTERED] is ProposalState.REMOVAL
        assert [entry.address for entry in stage.pools.list()] == [REGISTERED], "an operator removes it, nobody else"
    finally:
        stage.node.cluster.write({pool: alive})
    stage.run()
    assert REGISTERED not in stage.states()


def test_where_a_program_cannot_be_listed_nothing_is_proposed_and_nothing_withdrawn(
    cluster: Cluster, cloud: Cloud
) -> None:
    refuses: list[bool] = []

    def instead(call: dict[str, object]) -> dict[str, object] | None:
        refused = bool(refuses) and call["method"] == "getProgramAccounts"
        return {"error": {"code": -32601, "message": "Method not found"}} if refused else None

    stage = Stage(cluster, cloud, instead)
    stage.operators.turn_on()
    stage.run()
    before = stage.states()
    refuses.append(True)
    assert stage.run() == 0
    assert stage.states() == before


@pytest.mark.parametrize("age", [0, -1])
def test_auto_add_takes_a_least_age_and_a_least_depth(stage: Stage, age: int) -> None:
    with pytest.raises(UnfitOption, match="--least-age"):
        stage.operators.turn_on(AutoAdd(DEEP, age))
    assert stage.operators.policy() == DiscoveryPolicy()


@pytest.fixture
def traded(environment: Callable[..., None]) -> Callable[[], dict[str, bool]]:
    def pools() -> dict[str, bool]:
        """What the deployed functions trade on now, and whether each counts for prices."""
        environment()
        return {str(pool.address): pool.counts for pool in composition.pool_registry().pools()}

    return pools


def test_what_a_search_let_in_is_traded_while_the_policy_stands_and_never_counts(
    traded: Callable[[], dict[str, bool]], cloud: Cloud
) -> None:
    registered = traded()
    assert set(registered.values()) == {True}
    found, *_ = registered
    cloud.dynamodb.delete_item(TableName=cloud.outputs["PoolsTable"], Key={"address": {"S": found}})
    proposals = ProposalTable(cloud.dynamodb, cloud.outputs["ProposalsTable"])
    controls = ControlTable(cloud.dynamodb, cloud.outputs["ControlTable"], defaults_for("local"))
    stage = DiscoverySchedule(controls, proposals, reference_decimals=6)
    program = next(
        str(pool.venue.program_id) for pool in composition.pool_registry().pools() if str(pool.address) == found
    )
    for state in ProposalState:
        proposals.change(found, proposal_of(found, program, state))
        for policy in (stage.turn_off, stage.turn_on):
            policy()
            assert found not in traded()
        stage.turn_on(AutoAdd(DEEP, HOUR_MS))
        assert traded().get(found) is (False if state is ProposalState.TRADED else None)


def proposal_of(address: str, program: str, state: ProposalState) -> PoolProposal:
    return PoolProposal(address, program, (str(SOL), str(USDC)), state, NOW, "as the test has it")

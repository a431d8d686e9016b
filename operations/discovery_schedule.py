"""What the operators let a stage's scheduled search for pools do, and what it proposes to them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from chalicelib.amounts import to_base_units
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.proposal_table import ProposalTable
from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.discovery.proposals import PoolProposal
from operations.control import control_table
from operations.errors import UnfitOption
from operations.stacks import deployed
from operations.target import Target


@dataclass(frozen=True, slots=True)
class AutoAdd:
    """Which pools a search may let in: `least_depth` in whole tokens of the reference currency."""

    least_depth: Decimal
    least_age_ms: int


class DiscoverySchedule:
    """`reference_decimals` are those of the token that the stage values orders in."""

    def __init__(self, controls: ControlTable, proposals: ProposalTable, reference_decimals: int) -> None:
        self._controls = controls
        self._proposals = proposals
        self._reference_decimals = reference_decimals

    def policy(self) -> DiscoveryPolicy:
        return self._controls.discovery_policy()

    def proposals(self) -> list[PoolProposal]:
        """What the search proposes now, by address."""
        return self._proposals.all()

    def turn_on(self, auto_add: AutoAdd | None = None) -> DiscoveryPolicy:
        """Search every hour. Without `auto_add` nothing that is found trades. Raises UnfitOption, InvalidRequest."""
        policy = DiscoveryPolicy(on=True)
        if auto_add is not None:
            if auto_add.least_age_ms <= 0:
                raise UnfitOption("--least-age must be more than nothing: a pool may be a minute old")
            depth = to_base_units(auto_add.least_depth, self._reference_decimals, "--least-depth")
            policy = DiscoveryPolicy(True, True, depth, auto_add.least_age_ms)
        self._controls.set_discovery_policy(policy)
        return policy

    def turn_off(self) -> DiscoveryPolicy:
        """Search no more. What a search let in is traded for half a minute more at most."""
        self._controls.set_discovery_policy(DiscoveryPolicy())
        return DiscoveryPolicy()


def schedule(target: Target, reference_decimals: int) -> DiscoverySchedule:
    """The stage's own. Raises NoStage."""
    data = deployed(target, "data")
    proposals = ProposalTable(target.client("dynamodb"), data["ProposalsTable"])
    return DiscoverySchedule(control_table(target), proposals, reference_decimals)

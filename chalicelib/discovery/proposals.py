"""What a scheduled search proposes to the operators: pools to add, and registered ones to remove. Pure.

    not there ── found ──► proposed ── the operators' policy lets it in ──► traded
        ▲                     │ ▲                                             │
        └── gone, registered ─┘ └──── too shallow, too risky, policy off ─────┘

A proposed pool isn't traded. A traded one is as long as the policy is on: the registry asks for that each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from solders.pubkey import Pubkey

from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.discovery.ranking import RankedPool, Ranking
from chalicelib.venues.registry import PoolEntry

# Of each pair the best so many that aren't registered are proposed.
MOST_PROPOSED = 5
_SECOND_MS = 1_000


class ProposalState(StrEnum):
    PROPOSED = "proposed"  # an operator may add it
    TRADED = "traded"  # the operators' policy lets it in
    REMOVAL = "removal"  # it is registered, and can't be traded any more


@dataclass(frozen=True, slots=True)
class PoolProposal:
    """A pool as an operator is asked about it, addresses in base58: `reason` says why, `since_ms` since when."""

    address: str
    program: str
    mints: tuple[str, str]
    state: ProposalState
    since_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class SearchedPair:
    """What a whole search of a pair came to; `registered` are its pools that are, with their programs (base58)."""

    mints: frozenset[str]
    ranking: Ranking
    registered: Mapping[str, str]


def proposals_after(
    searched: SearchedPair, known: Iterable[PoolProposal], policy: DiscoveryPolicy, reference: Pubkey, now_ms: int
) -> dict[str, PoolProposal | None]:
    """What of the pair's proposals changes, by address: as it is from now on, None where it is withdrawn."""
    before = {one.address: one for one in known if frozenset(one.mints) == searched.mints}
    after = _to_add(searched, before, policy, reference, now_ms) | _to_remove(searched, before, now_ms)
    changes: dict[str, PoolProposal | None] = dict.fromkeys(before.keys() - after.keys())
    for address, proposal in after.items():
        old = before.get(address)
        # how deep it was is told as of when it was proposed: no change is made for that alone
        if old is None or old.state is not proposal.state:
            changes[address] = proposal
    return changes


def let_in(proposals: Iterable[PoolProposal], registered: Iterable[PoolEntry]) -> list[PoolEntry]:
    """The pools that a search let in and no operator registered: they are traded, and count for no price or value."""
    theirs = {entry.address for entry in registered}
    traded = (one for one in proposals if one.state is ProposalState.TRADED and one.address not in theirs)
    return [PoolEntry(one.address, one.program, counts=False) for one in traded]


def _is_admitted(pool: RankedPool, policy: DiscoveryPolicy, reference: Pubkey, since_ms: int, now_ms: int) -> bool:
    """Whether the pool may be traded without an operator's word."""
    if not policy.on or not policy.auto_add or pool.amount_out is None or any(pool.powers.values()):
        return False
    seen_ms = min([since_ms, *([] if pool.existed_at is None else [pool.existed_at * _SECOND_MS])])
    is_deep = pool.sold.address == reference and pool.depth >= policy.least_depth
    return is_deep and now_ms - seen_ms >= policy.least_age_ms


def _to_add(
    searched: SearchedPair, before: Mapping[str, PoolProposal], policy: DiscoveryPolicy, reference: Pubkey, now_ms: int
) -> dict[str, PoolProposal]:
    found = [one for one in searched.ranking.pools if str(one.candidate.address) not in searched.registered]
    proposals = {}
    for rank, pool in enumerate(found):
        address = str(pool.candidate.address)
        old = before.get(address)
        if pool.amount_out is None or (rank >= MOST_PROPOSED and old is None):
            continue
        since_ms = now_ms if old is None else old.since_ms
        admitted = _is_admitted(pool, policy, reference, since_ms, now_ms)
        first, second = map(str, pool.candidate.mints)
        proposals[address] = PoolProposal(
            address,
            str(pool.candidate.venue.program_id),
            (first, second),
            ProposalState.TRADED if admitted else ProposalState.PROPOSED,
            since_ms,
            f"number {rank + 1} of the pair's pools that aren't registered; {pool.depth} base units of "
            f"{pool.sold.address} deep",
        )
    return proposals


def _to_remove(searched: SearchedPair, before: Mapping[str, PoolProposal], now_ms: int) -> dict[str, PoolProposal]:
    alive = {str(one.candidate.address) for one in searched.ranking.pools}
    reasons = {str(one.candidate.address): one.reason for one in searched.ranking.unfit}
    proposals = {}
    for address, program in searched.registered.items():
        if address in alive:
            continue
        old = before.get(address)
        first, second = sorted(searched.mints)
        proposal = PoolProposal(
            address,
            program,
            (first, second),
            ProposalState.REMOVAL,
            now_ms,
            reasons.get(address, "there is no such pool on the chain any more"),
        )
        kept = old is not None and old.state is ProposalState.REMOVAL
        proposals[address] = replace(proposal, since_ms=old.since_ms) if kept and old is not None else proposal
    return proposals

"""The scheduled search: looks for pools of the pairs that are registered, and writes what it proposes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.discovery.policy import DiscoveryPolicy
from chalicelib.discovery.proposals import PoolProposal, SearchedPair, proposals_after
from chalicelib.discovery.ranking import rank
from chalicelib.discovery.search import AccountsOnChain, TooManyPools, pools_of_pair
from chalicelib.log import logger
from chalicelib.solana.tokens import NATIVE_MINT
from chalicelib.venues.registry import RegisteredPool
from chalicelib.venues.venue import Venue

_HOUR_MS = 3_600_000


class Proposals(Protocol):
    def all(self) -> Sequence[PoolProposal]: ...

    def change(self, address: str, proposal: PoolProposal | None) -> None:
        """Write the proposal, or withdraw it, with its entry in the operators' record."""


class ScheduledSearch:
    """One run searches pair after pair until its time is over; the next run, an hour later, begins where that may be.

    `registered` gives the pools that operators registered, `policy` what they let a search do.
    """

    def __init__(
        self,
        chain: AccountsOnChain,
        venues: Iterable[Venue],
        registered: Callable[[], Iterable[RegisteredPool]],
        proposals: Proposals,
        policy: Callable[[], DiscoveryPolicy],
        reference: Pubkey,
        now_ms: Callable[[], int],
        longest_run_ms: int,
    ) -> None:
        self._chain = chain
        self._venues = tuple(venues)
        self._registered = registered
        self._proposals = proposals
        self._policy = policy
        self._reference = reference
        self._now_ms = now_ms
        self._longest_run_ms = longest_run_ms

    def run(self) -> int:
        """How many pairs were searched whole. Raises AwsError, and what the node answers to reading accounts."""
        policy = self._policy()
        if not policy.on:
            return 0
        began_ms = self._now_ms()
        by_pair: dict[frozenset[Pubkey], list[RegisteredPool]] = {}
        for pool in self._registered():
            by_pair.setdefault(frozenset(pool.mints), []).append(pool)
        known = self._proposals.all()
        searched = 0
        for pair in _in_turn(sorted(by_pair, key=lambda pair: sorted(map(bytes, pair))), began_ms // _HOUR_MS):
            if self._now_ms() - began_ms >= self._longest_run_ms:
                break
            searched += self._search(pair, by_pair[pair], known, policy)
        logger.info("pools searched", pairs=searched, of=len(by_pair))
        return searched

    def _search(
        self,
        pair: frozenset[Pubkey],
        pools: Sequence[RegisteredPool],
        known: Sequence[PoolProposal],
        policy: DiscoveryPolicy,
    ) -> bool:
        """False, and nothing is written, where a program could not be searched: what wasn't found may be there."""
        first, second = sorted(pair, key=bytes)
        names = f"{first}/{second}"
        try:
            candidates = pools_of_pair(self._chain, self._venues, first, second)
        except TooManyPools as error:
            logger.warning("pair not searched", pair=names, why=str(error))
            return False
        if candidates.unsearched:
            reasons = [f"{one.program}: {one.reason}" for one in candidates.unsearched]
            logger.warning("pair not searched", pair=names, why=reasons)
            return False
        ranking = rank(self._chain, candidates.pools, self._sold_of(pair))
        registered = {str(pool.address): str(pool.venue.program_id) for pool in pools}
        whole = SearchedPair(frozenset(map(str, pair)), ranking, registered)
        changes = proposals_after(whole, known, policy, self._reference, self._now_ms())
        for address, proposal in changes.items():
            self._proposals.change(address, proposal)
            logger.info("proposal changed", pool=address, state="withdrawn" if proposal is None else proposal.state)
        return True

    def _sold_of(self, pair: frozenset[Pubkey]) -> Pubkey:
        """What depth is counted in: the reference currency or SOL, where the pair has one."""
        return next((mint for mint in (self._reference, NATIVE_MINT) if mint in pair), min(pair, key=bytes))


def _in_turn(pairs: Sequence[frozenset[Pubkey]], run: int) -> list[frozenset[Pubkey]]:
    """Each run begins with another pair, so that all come to be searched where a run doesn't get through them."""
    start = run % len(pairs) if pairs else 0
    return [*pairs[start:], *pairs[:start]]

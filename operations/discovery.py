"""Finding a pair's pools on a stage's chain, and adding the best of them to its registry as `pools add` does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from solders.pubkey import Pubkey

from chalicelib.amounts import to_base_units
from chalicelib.aws.dynamodb.api_pace import ApiPace
from chalicelib.discovery.pace import PartOfPace
from chalicelib.discovery.ranking import RankedPool, UnfitCandidate, rank
from chalicelib.discovery.search import AccountsOnChain, Candidates, Unsearched, pools_of_mint, pools_of_pair
from chalicelib.solana.circuit_breaker import BreakerPolicy
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.mint_risks import MEANINGS, MintRisk
from chalicelib.solana.pacing import OwnPace, Pace, shares_of
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.tokens import InvalidTokenData, Mint
from chalicelib.venues import supported
from operations.clock import now_ms
from operations.errors import UnfitOption, UnfitPool, UnfitSearch
from operations.pools import CheckedPool, PoolAdministration
from operations.record import record_of
from operations.stacks import deployed, solana_nodes, worker_environment
from operations.target import Target

# Calls a second to a node whose pace nobody told: what Solana's public ones take from one address.
USUAL_PACE = Decimal(10)
_WINDOW_SECONDS = 10
# A list of a large program's accounts takes a node many seconds.
_READ_TIMEOUT = 60.0
_LONGEST_SEARCH_SECONDS = 900.0
# The node's refusals are the search's to tell: not even many of them are an outage.
_PATIENT = BreakerPolicy(failures_to_open=100)


@dataclass(frozen=True, slots=True)
class FoundPool:
    """A pool that a search found; `registered` where the stage has it already."""

    ranked: RankedPool
    registered: bool


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a search came to: the best pool first; `unix_timestamp` is the chain's.

    The pools of `unsearched` programs are not all there.
    """

    pools: tuple[FoundPool, ...]
    unfit: tuple[UnfitCandidate, ...]
    unsearched: tuple[Unsearched, ...]
    unix_timestamp: int


@dataclass(frozen=True, slots=True)
class Added:
    """The pools that were added, and why others that were better than the last of them were not."""

    pools: tuple[CheckedPool, ...]
    refusals: tuple[str, ...]


class PoolDiscovery:
    def __init__(self, pools: PoolAdministration, chain: AccountsOnChain) -> None:
        self._pools = pools
        self._chain = chain

    def of_pair(self, pair: str, size: Decimal | None = None) -> Discovered:
        """The pools of a pair, written as in `SOL/USDC`, by what they pay for `size` whole tokens of its first.

        Raises UnfitOption where it isn't two tokens, UnfitSearch where one is no token, InvalidRequest for the size,
        TooManyPools, and what the node answers.
        """
        first, slash, second = (part.strip() for part in pair.partition("/"))
        if not first or not slash or not second or "/" in second:
            raise UnfitOption(f"{pair!r} is no pair: name two tokens by symbol or mint, as in SOL/USDC")
        mints = self._mints([first, second])
        if mints[0].address == mints[1].address:
            raise UnfitOption(f"{first} and {second} are one token: a pair has two")
        amount = _base_units(size, mints[0])
        found = pools_of_pair(self._chain, supported.VENUES, mints[0].address, mints[1].address)
        return self._ranked(found, mints[0], amount)

    def of_mint(self, token: str, size: Decimal | None = None) -> Discovered:
        """The pools of a token with any other, by what they pay for `size` whole tokens of it. Raises as `of_pair`."""
        (mint,) = self._mints([token])
        amount = _base_units(size, mint)
        return self._ranked(pools_of_mint(self._chain, supported.VENUES, mint.address), mint, amount)

    def add_best(self, found: Discovered, number: int, accepted: Collection[MintRisk] = ()) -> Added:
        """Add the best `number` of the found pools that aren't registered, each checked and recorded as by `pools add`.

        Raises UnfitSearch, and nothing is added, where some programs could not be searched.
        """
        if found.unsearched:
            programs = ", ".join(one.program for one in found.unsearched)
            raise UnfitSearch(
                f"nothing was added, for the best can't be told: the pools of {programs} could not all be listed; "
                "ask another node with --rpc-url, or add single pools with `fillrate pools add`"
            )
        added: list[CheckedPool] = []
        refusals: list[str] = []
        for one in found.pools:
            if len(added) == number:
                break
            if one.registered or one.ranked.amount_out is None:
                continue
            address = str(one.ranked.candidate.address)
            refusal = _unaccepted(one.ranked, accepted)
            if refusal is None:
                try:
                    added.append(self._pools.add(address, accepted))
                except UnfitPool as error:
                    refusal = str(error)
            if refusal is not None and refusal not in refusals:
                refusals.append(refusal)
        return Added(tuple(added), tuple(refusals))

    def _ranked(self, found: Candidates, sold: Mint, amount: int | None) -> Discovered:
        ranking = rank(self._chain, found.pools, sold.address, amount)
        registered = {entry.address for entry in self._pools.list()}
        pools = tuple(FoundPool(one, str(one.candidate.address) in registered) for one in ranking.pools)
        return Discovered(pools, ranking.unfit, found.unsearched, ranking.unix_timestamp)

    def _mints(self, tokens: Sequence[str]) -> list[Mint]:
        """The tokens by symbol or address. Raises UnfitSearch where one isn't known, is no mint, or can't be traded."""
        addresses = [self._address_of(token) for token in tokens]
        accounts = self._chain.get_multiple_accounts(addresses).accounts
        mints = []
        for address in addresses:
            account = accounts.get(address)
            if account is None:
                raise UnfitSearch(f"there is no account {address} on this chain")
            try:
                mint = Mint.decode(address, account)
            except InvalidTokenData as error:
                raise UnfitSearch(f"{error}: name a token by the address of its mint") from None
            if mint.unsupported_extensions:
                raise UnfitSearch(f"{address} can't be traded: its mint has {', '.join(mint.unsupported_extensions)}")
            mints.append(mint)
        return mints

    def _address_of(self, token: str) -> Pubkey:
        try:
            return Pubkey.from_string(token)
        except ValueError:
            pass
        known = [mint for mint, symbol in self._pools.symbols().items() if symbol.upper() == token.upper()]
        if not known:
            raise UnfitSearch(f"{token!r} is no token that is known here: give its mint's address")
        if len(known) > 1:
            raise UnfitSearch(f"{token} is what {' and '.join(sorted(known))} call themselves: give the mint's address")
        return Pubkey.from_string(known[0])


def _base_units(size: Decimal | None, sold: Mint) -> int | None:
    return None if size is None else to_base_units(size, sold.decimals, "--size")


def _unaccepted(pool: RankedPool, accepted: Collection[MintRisk]) -> str | None:
    """Why the pool's tokens keep it from being added; None where nothing does."""
    for mint, powers in pool.powers.items():
        for risk in powers:
            if risk not in accepted:
                return f"{mint}: {MEANINGS[risk]}; to trade it nevertheless give --accept-risk {risk}"
    return None


def discovery(target: Target, rpc_url: str | None, calls_per_second: Decimal | None) -> PoolDiscovery:
    """The stage's own, on the Solana node at `rpc_url`, or else on those that the deployed worker asks.

    At most so many calls a second are made to each node. Where that isn't said: of the stage's own nodes half of what
    its pace leaves to the API, of others, and where the stage has no pace, USUAL_PACE.
    Raises NoStage, UnfitOption.
    """
    if calls_per_second is not None and not Decimal("0.1") <= calls_per_second <= 1000:
        raise UnfitOption("--requests-per-second: a number from 0.1 to 1000")
    data = deployed(target, "data")
    dynamodb = target.client("dynamodb")
    urls = solana_nodes(target) if rpc_url is None else (rpc_url,)
    own = calls_per_second or USUAL_PACE
    paces: list[Pace] = [OwnPace(int(own * _WINDOW_SECONDS)) for _ in urls]
    if rpc_url is None:
        variables = worker_environment(target)
        if stage_pace := variables.get("RPC_REQUESTS_PER_SECOND"):
            share = shares_of(Decimal(stage_pace), int(variables["ORDERS_AT_ONCE"])).api
            most = max(1, share // 2) if calls_per_second is None else int(own * _WINDOW_SECONDS)
            paces = [
                PartOfPace(ApiPace(dynamodb, data["ControlTable"], number, share), most)
                for number in range(1, len(urls) + 1)
            ]
    chain = FailoverRpc([SolanaRpc(url, read_timeout=_READ_TIMEOUT) for url in urls], now_ms, _PATIENT, paces=paces)
    chain.start_waiting(_LONGEST_SEARCH_SECONDS)
    administration = PoolAdministration(dynamodb, data["PoolsTable"], chain, record_of(target, data))
    return PoolDiscovery(administration, chain)

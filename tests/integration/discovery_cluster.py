"""A made-up cluster of 2,000 pools, hostile ones among them, on a localnet in this process, and its node at a pace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.pacing import OwnPace
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues import supported
from infra.localnet.market.genesis import genesis_market
from infra.localnet.programs import raydium_cpmm_pool
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.token_accounts import mint_account, token_account
from infra.localnet.startup import Options
from tests.http_answers import answered
from tests.integration.chain_trading import MINTS, InProcessChain
from tests.localnet.token_2022 import frozen

NOW = 1_760_000_000_000
CALLS_IN_WINDOW = 40
WINDOW_MS = 10_000
_CONFIRMED_AFTER = 3
_OTHERS = 1_700
_OF_THE_PAIR = range(100, 150)
_PAIR = MINTS["SOL"], MINTS["USDC"]

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


@dataclass
class Clock:
    """Milliseconds that pass only while somebody sleeps."""

    now_ms: int = NOW

    def __call__(self) -> int:
        return self.now_ms

    def sleep(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@dataclass
class Cluster:
    """`genuine`: the pair's pools that can be traded, by address. `hostile`: what only looks like one."""

    chain: InProcessChain
    genuine: frozenset[Pubkey]
    hostile: frozenset[Pubkey]
    pools: int

    def write(self, accounts: Mapping[Pubkey, Account | None]) -> None:
        """Put the accounts on the chain, confirmed."""
        for address, account in accounts.items():
            self.chain.chain.node.ledger.set_account(address, account)
        for _ in range(_CONFIRMED_AFTER):
            self.chain.wait(0)


class NodeOfCluster(urllib3.PoolManager):
    """A node of the cluster's. `instead` answers a call in its place; each call's time is noted."""

    def __init__(self, cluster: Cluster, clock: Clock, instead: Answer = lambda call: None) -> None:
        super().__init__()
        self._cluster, self._clock, self._instead = cluster, clock, instead
        self.calls: list[tuple[int, str]] = []

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        asked = json.loads(options["body"])
        calls = asked if isinstance(asked, list) else [asked]
        self.calls += [(self._clock.now_ms, call["method"]) for call in calls]
        instead = self._instead(calls[0])
        if instead is not None:
            body = {"jsonrpc": "2.0", "id": calls[0]["id"], **instead}
            return answered(json.dumps([body] if isinstance(asked, list) else body).encode(), options)
        return answered(self._cluster.chain.answer(options["body"]), options)

    def most_in_a_window(self) -> int:
        times = [at for at, _ in self.calls]
        return max(sum(start <= at < start + WINDOW_MS for at in times) for start in times)


@dataclass
class PacedNode:
    """The cluster's node as a search asks it, at its pace."""

    cluster: Cluster
    instead: Answer = lambda call: None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.node = NodeOfCluster(self.cluster, self.clock, self.instead)
        rpc = SolanaRpc("http://node.example", http=self.node)
        paces = [OwnPace(CALLS_IN_WINDOW)]
        self.rpc = FailoverRpc([rpc], self.clock, paces=paces, sleep=self.clock.sleep, longest_wait=600)


def made_up_cluster() -> Cluster:
    chain = InProcessChain(Options(with_traders=False, funded=(Keypair().pubkey(),)), NOW // 1000)
    ledger = chain.chain.node.ledger
    pair = {mint.address for mint in _PAIR}
    market = [
        pool for pool in genesis_market(seed=0).pools if {pool.base.mint.address, pool.quote.mint.address} == pair
    ]
    genuine = {pool.address for pool in market}
    written = _pools_of_others()
    for index in _OF_THE_PAIR:
        pool = _pool(_PAIR, index, (index * 10**9, index * 150 * 10**6))
        genuine.add(pool.address)
        written |= pool.accounts
    hostile = dict(_hostile({pool.address: ledger.current(pool.address) for pool in market}))
    hostile_pools = frozenset(address for address, account in hostile.items() if _looks_like_a_pool(account))
    pools = len(genesis_market(seed=0).pools) + _OTHERS + len(_OF_THE_PAIR) + len(hostile_pools)
    cluster = Cluster(chain, frozenset(genuine), hostile_pools, pools)
    cluster.write(written | hostile)
    return cluster


_FORMS = {venue.program_id: venue.pool_account for venue in supported.VENUES}


def _looks_like_a_pool(account: Account) -> bool:
    form = _FORMS.get(account.owner)
    return form is not None and form.length in (None, len(account.data))


def key(*of: object) -> Pubkey:
    return Pubkey(hashlib.sha256(repr(of).encode()).digest())


def _pool(mints: tuple[Mint, Mint], config_index: int, reserves: tuple[int, int], **more: Any) -> GenesisPool:
    spec = raydium_cpmm_pool.CpmmPoolSpec(mints=mints, reserves=reserves, config_index=config_index, **more)
    return raydium_cpmm_pool.genesis_pool(spec)


def _pools_of_others() -> dict[Pubkey, Account]:
    """Pools of tokens that nobody asked for, half of them against SOL."""
    accounts: dict[Pubkey, Account] = {}
    tokens = [Mint(key("token", number), TOKEN_PROGRAM, 6) for number in range(_OTHERS // 2 + 1)]
    for mint in tokens:
        accounts[mint.address] = mint_account(mint, supply=10**15, authority=None)
    for number in range(_OTHERS):
        other = _PAIR[0] if number % 2 else tokens[number // 2 + 1]
        accounts |= _pool((tokens[number // 2], other), 0, (10**12, 10**12)).accounts
    return accounts


def _hostile(genuine: dict[Pubkey, Account | None]) -> Iterator[tuple[Pubkey, Account]]:
    """Accounts of the right size and with the pair's mints in the right place, none of which can be traded."""
    for copy in range(20):
        # a real pool's bytes at another address: its vaults are not its own
        for address, account in genuine.items():
            assert account is not None
            if account.owner in _TELLS_COPIES:
                yield key("copy", copy, address), account
    for venue in supported.VENUES:
        form = venue.pool_account
        for number in range(10):
            mints = b"".join(sorted(bytes(mint.address) for mint in _PAIR))
            size = form.length or 1_387
            noise = bytearray(hashlib.shake_256(f"{venue.program}{number}".encode()).digest(size))
            noise[: len(form.discriminator)] = form.discriminator
            noise[form.mints_offset : form.mints_offset + 64] = mints
            yield key("noise", venue.program, number), Account(venue.program_id, 10**9, bytes(noise))
    for index in range(200, 210):
        empty = _pool(_PAIR, index, (0, 0))
        yield from empty.accounts.items()
        cold = _pool(_PAIR, index + 10, (10**12, 10**12))
        for address, account in cold.accounts.items():
            is_vault = account.owner == TOKEN_PROGRAM and len(account.data) == 165
            yield address, frozen(account) if is_vault else account
        # says of itself that it holds the moon, and its vaults are somebody else's
        boast = _pool(_PAIR, index + 20, (10**17, 10**17))
        for address, account in boast.accounts.items():
            if account.owner == TOKEN_PROGRAM and len(account.data) == 165:
                mint = next(mint for mint in _PAIR if bytes(mint.address) == account.data[:32])
                account = token_account(mint, key("thief"), 10**17)
            yield address, account


_TELLS_COPIES = {venue.program_id for venue in supported.VENUES if venue.program != "raydium-amm-v4"}

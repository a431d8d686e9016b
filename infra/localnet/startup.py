"""From options to a node that is ready to serve: runtime, accounts, ledger, wallets, traders."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import NATIVE_MINT, Mint
from chalicelib.venues import supported
from chalicelib.venues.venue import Venue
from infra.localnet import account_dumps, clusters, fork, snapshot
from infra.localnet.consensus import ALPENGLOW, ConsensusRules
from infra.localnet.lane.block_engine import BlockEngine
from infra.localnet.lane.lane import SendLane
from infra.localnet.lane.tips import tip_accounts
from infra.localnet.ledger import Ledger
from infra.localnet.market.desk import TradingDesk
from infra.localnet.market.endowment import endowed
from infra.localnet.market.faucet import LAMPORTS as FAUCET_LAMPORTS
from infra.localnet.market.faucet import Faucet
from infra.localnet.market.genesis import (
    LAMPORTS_PER_SOL,
    GenesisMarket,
    endow_market_maker,
    endow_wallet,
    genesis_market,
    pay,
)
from infra.localnet.market.sandwicher import Sandwicher
from infra.localnet.market.traders import Traders
from infra.localnet.market.wallet import HouseWallet, derived_keypair
from infra.localnet.node import Node
from infra.localnet.programs import emulated
from infra.localnet.programs.program import EmulatedProgram
from infra.localnet.programs.refusing_pools import RefusingPools
from infra.localnet.runtime import SLOTS_PER_EPOCH, Runtime
from infra.localnet.snapshot import ForkOrigin, SavedChain, Snapshot

_log = logging.getLogger(__name__)
# A slot number that goes on growing from one start to the next, though each begins from genesis: what a client
# remembers of an earlier chain is then past, not future. As many since this moment as if no slot had taken longer than
# 200 ms, so that it grows from one kind of chain to the other too.
_SLOT_AT_ORIGIN = 432_000_000
_ORIGIN = 1_760_000_000
_SLOTS_A_SECOND = 5
_NATIVE_LOADER = Pubkey.from_string("NativeLoader1111111111111111111111111111111")

_WALLET_SOL = 1_000
_WALLET_DOLLARS = 1_000_000
_WALLET_WHOLE_TOKENS = 1_000_000
_FAUCET_DOLLARS = 100_000_000
_TRADER_DOLLARS = 50_000_000
_ARBITRAGEURS = 2


class StartupError(Exception):
    """The options can't be followed."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `bpf_programs` are addresses with bytecode files."""

    seed: int = 0
    consensus: ConsensusRules = ALPENGLOW
    with_traders: bool = True
    bpf_programs: tuple[tuple[Pubkey, Path], ...] = ()
    account_directories: tuple[Path, ...] = ()
    funded: tuple[Pubkey, ...] = ()
    fork_url: str | None = None
    fork_pools: tuple[Pubkey, ...] = ()
    cloned: tuple[Pubkey, ...] = ()
    # Where a chain that was stopped is kept, and whether to begin anew nevertheless.
    ledger_directory: Path | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """A node with what goes on around it. `pools` are addresses with programs."""

    node: Node
    pools: tuple[tuple[Pubkey, Pubkey], ...]
    traders: Traders | None
    options: Options
    is_genesis_market: bool
    is_resumed: bool
    fork: ForkOrigin | None
    # Those that run bytecode of their own.
    programs: Mapping[Pubkey, bytes]

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        whose = "" if self.fork is None else f", a fork of {self.fork.cluster},"
        if not self.is_resumed:
            return "a new chain from genesis" if self.fork is None else f"a new chain, forked from {self.fork.cluster}"
        again = "; --reset takes the accounts anew" if self.options.fork_url is not None else ""
        return f"the chain that was stopped{whose} goes on{again}"

    def begin_slot(self) -> None:
        """To be called in each new slot."""
        if self.traders is not None:
            self.traders.trade_a_slot()

    def save(self) -> None:
        """Keep the chain for the next start, where the options name a directory for it. Raises OSError."""
        if self.options.ledger_directory is not None:
            saved = SavedChain(
                self.node.ledger.snapshot(),
                self.options.seed,
                self.pools,
                self.is_genesis_market,
                self.fork,
                self.programs,
            )
            snapshot.save(self.options.ledger_directory, saved)

    @property
    def pool_registry(self) -> list[dict[str, str]]:
        """Lines of the pool registry."""
        return [{"address": str(address), "program": str(program)} for address, program in self.pools]


@dataclass(slots=True)
class _World:
    """What the ledger starts with."""

    clock: ChainClock
    accounts: dict[Pubkey, Account] = field(default_factory=dict)
    programs: dict[Pubkey, bytes] = field(default_factory=dict)
    pools: tuple[tuple[Pubkey, Pubkey], ...] = ()
    market: GenesisMarket | None = None
    resumed: Snapshot | None = None
    fork: ForkOrigin | None = None


def build(options: Options, unix_time: Callable[[], float] = time.time) -> Chain:
    """Raises StartupError, and of a fork RpcUnavailable or RpcRefused."""
    venues = supported.VENUES
    keys = _house_keys(options.seed)
    world = _world(options, venues, keys, unix_time())
    for directory in options.account_directories:
        try:
            world.accounts.update(account_dumps.read_directory(directory))
        except (account_dumps.InvalidDumpError, OSError) as error:
            raise StartupError(str(error)) from None
    runtime = Runtime()
    runtime.set_clock(world.clock, world.clock.unix_timestamp)
    _deploy(runtime, world, options)
    refusing_pools = RefusingPools()
    programs = {
        program.program_id: refusing_pools.watched(program)
        for program in emulated.PROGRAMS
        if program.program_id not in world.programs
    }
    world.accounts.update(_stand_ins(programs))
    world.accounts = {**tip_accounts(runtime.rent_exempt_minimum(0)), **world.accounts}
    if world.resumed is not None:
        ledger = Ledger.resumed(runtime, programs, world.accounts, world.resumed, options.consensus)
    else:
        ledger = Ledger(
            runtime,
            programs,
            world.accounts,
            genesis_hash=_genesis_hash(options.seed, unix_time()),
            first_slot=world.clock.slot,
            unix_timestamp=world.clock.unix_timestamp,
            consensus=options.consensus,
        )
    return _chain(ledger, refusing_pools, venues, keys, world, options, unix_time)


def _chain(
    ledger: Ledger,
    refusing_pools: RefusingPools,
    venues: tuple[Venue, ...],
    keys: Mapping[str, Keypair],
    world: _World,
    options: Options,
    unix_time: Callable[[], float],
) -> Chain:
    desk = TradingDesk(ledger, venues, HouseWallet(ledger, keys["trader"]))
    faucet = Faucet(ledger, HouseWallet(ledger, keys["faucet"]))
    traders = None
    if options.with_traders and world.market is not None:
        arbitrageurs = [HouseWallet(ledger, key) for role, key in keys.items() if role.startswith("arbitrageur")]
        traders = Traders(desk, world.market.pools, arbitrageurs, Random(options.seed))  # noqa: S311
    lane = SendLane(BlockEngine(ledger))
    pools = [address for address, _ in world.pools]
    sandwicher = Sandwicher(ledger, desk, lane.block_engine, HouseWallet(ledger, keys["sandwicher"]), pools)
    identity = derived_keypair(options.seed, "validator").pubkey()
    return Chain(
        node=Node(ledger, faucet, desk, unix_time, lane, sandwicher, identity, refusing_pools=refusing_pools),
        pools=world.pools,
        traders=traders,
        options=options,
        is_genesis_market=world.market is not None,
        is_resumed=world.resumed is not None,
        fork=world.fork,
        programs=world.programs,
    )


def _world(options: Options, venues: tuple[Venue, ...], keys: Mapping[str, Keypair], now: float) -> _World:
    saved = _saved(options)
    if saved is not None:
        return _resumed_world(options, saved)
    if options.fork_url is not None:
        return _forked_world(options, options.fork_url, venues, keys)
    slot = _SLOT_AT_ORIGIN + max(0, int((now - _ORIGIN) * _SLOTS_A_SECOND))
    market = genesis_market(options.seed)
    world = _World(
        ChainClock(slot, slot // SLOTS_PER_EPOCH, int(now)),
        accounts=dict(market.accounts),
        pools=tuple((pool.address, pool.program) for pool in market.pools),
        market=market,
    )
    for role, key in keys.items():
        endow_market_maker(world.accounts, key.pubkey(), _FAUCET_DOLLARS if role == "faucet" else _TRADER_DOLLARS)
    pay(world.accounts, keys["faucet"].pubkey(), FAUCET_LAMPORTS)
    for owner in options.funded:
        endow_wallet(world.accounts, owner, _WALLET_SOL * LAMPORTS_PER_SOL, _WALLET_DOLLARS)
    return world


def _saved(options: Options) -> SavedChain | None:
    if options.ledger_directory is None:
        return None
    try:
        if options.reset:
            snapshot.discard(options.ledger_directory)
        saved = snapshot.take(options.ledger_directory)
    except (snapshot.InvalidSnapshotError, OSError) as error:
        raise StartupError(str(error)) from None
    if saved is not None and saved.seed != options.seed:
        snapshot.save(options.ledger_directory, saved)
        raise StartupError(f"the chain in {options.ledger_directory} is of --seed {saved.seed}; --reset discards it")
    wanted = _fork_origin(options)
    if saved is not None and wanted is not None and saved.fork != wanted:
        snapshot.save(options.ledger_directory, saved)
        other = "the genesis market's" if saved.fork is None else f"a fork of {saved.fork.cluster} with other accounts"
        raise StartupError(
            f"the chain in {options.ledger_directory} is {other}, and --fork {wanted.cluster} can't be taken into it: "
            "--reset discards it, or another --ledger keeps both"
        )
    return saved


def _fork_origin(options: Options) -> ForkOrigin | None:
    if options.fork_url is None:
        return None
    taken = "\n".join([options.fork_url, *map(str, sorted({*options.fork_pools, *options.cloned}, key=bytes))])
    return ForkOrigin(clusters.label(options.fork_url), hashlib.sha256(taken.encode()).hexdigest())


def _resumed_world(options: Options, saved: SavedChain) -> _World:
    """The chain as it was stopped; wallets that are new to it are funded."""
    was = saved.snapshot
    world = _World(
        ChainClock(was.slot, was.slot // SLOTS_PER_EPOCH, was.unix_timestamp),
        accounts={address: account for address, account in was.accounts.items() if account.owner != _NATIVE_LOADER},
        pools=saved.pools,
        market=genesis_market(options.seed) if saved.is_genesis_market else None,
        programs=dict(saved.programs),
        resumed=was,
        fork=saved.fork,
    )
    for owner in options.funded:
        if owner not in world.accounts and saved.is_genesis_market:
            endow_wallet(world.accounts, owner, _WALLET_SOL * LAMPORTS_PER_SOL, _WALLET_DOLLARS)
    return world


def _forked_world(options: Options, url: str, venues: tuple[Venue, ...], keys: Mapping[str, Keypair]) -> _World:
    try:
        taken = fork.take(clusters.client(url), venues, options.fork_pools, options.cloned)
    except (fork.ForkError, ValueError) as error:
        raise StartupError(str(error)) from None
    world = _World(taken.clock, taken.accounts, taken.programs, taken.pools, fork=_fork_origin(options))
    pay(world.accounts, keys["faucet"].pubkey(), FAUCET_LAMPORTS)
    mints = taken.mints(venues)
    for owner in (*(key.pubkey() for key in keys.values()), *options.funded):
        pay(world.accounts, owner, _WALLET_SOL * LAMPORTS_PER_SOL)
        for mint in mints - {NATIVE_MINT}:
            decimals = Mint.decode(mint, world.accounts[mint]).decimals
            amount = _WALLET_WHOLE_TOKENS * int(10**decimals)
            world.accounts.update(endowed(world.accounts.get, owner, mint, amount))
    return world


def _deploy(runtime: Runtime, world: _World, options: Options) -> None:
    """Bytecode from files comes before bytecode of a fork."""
    for address, file in options.bpf_programs:
        try:
            world.programs[address] = file.read_bytes()
        except OSError as error:
            raise StartupError(f"{file} can't be read: {error.strerror}") from None
    for address, bytecode in world.programs.items():
        try:
            runtime.add_program(address, bytecode)
        except Exception as error:  # noqa: BLE001 - LiteSVM has no class of its own for this
            raise StartupError(f"the bytecode for {address} is no valid program: {error}") from None
        _log.info("program %s runs its own bytecode", address)


def _stand_ins(programs: Mapping[Pubkey, EmulatedProgram]) -> dict[Pubkey, Account]:
    """Accounts that show that a program is there; like the node's own programs they name no bytecode."""
    return {
        address: Account(_NATIVE_LOADER, 1, type(program).__name__.encode(), executable=True)
        for address, program in programs.items()
    }


def _house_keys(seed: int) -> dict[str, Keypair]:
    roles = ["faucet", "trader", "sandwicher", *(f"arbitrageur {number}" for number in range(_ARBITRAGEURS))]
    return {role: derived_keypair(seed, role) for role in roles}


def _genesis_hash(seed: int, now: float) -> Hash:
    """Another one at each start: no transaction of an earlier chain can land on this one."""
    return Hash(hashlib.sha256(f"fillrate localnet {seed} {now!r}".encode()).digest())


def read_pool_registry(file: Path) -> tuple[Pubkey, ...]:
    """The addresses in a registry `[{"address", "program"}]`. Raises StartupError."""
    try:
        return tuple(Pubkey.from_string(entry["address"]) for entry in json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartupError(f"{file} is no pool registry: {error!r}") from None

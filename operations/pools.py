"""Adding pools to a stage's registry and taking them out, each looked at on the chain before it is added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.aws.dynamodb.recorder import Recorder, no_record
from chalicelib.aws.dynamodb.table import Table
from chalicelib.discovery.token_powers import powers_over
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS
from chalicelib.problems import FillrateError
from chalicelib.solana.accounts import Account
from chalicelib.solana.look_alikes import skeleton
from chalicelib.solana.mint_risks import MEANINGS, MintRisk
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.token_symbol import written_symbol
from chalicelib.venues import supported
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from chalicelib.venues.venue import Pool, Venue
from operations.errors import UnfitPool
from operations.pool_registry import OPERATOR
from operations.record import record_of
from operations.stacks import deployed, solana_nodes
from operations.target import Target


@dataclass(frozen=True, slots=True)
class CheckedPool:
    """A pool that the product's own code could decode.

    `risks`: what somebody may still do to the holders of its tokens, by mint. `warnings`: what to look at twice.
    """

    entry: PoolEntry
    venue: str
    mints: tuple[str, str]
    risks: Mapping[str, tuple[MintRisk, ...]]
    warnings: tuple[str, ...] = ()


class PoolAdministration:
    """What is changed is written with what `record` adds, in one transaction."""

    def __init__(self, dynamodb: Any, table: str, rpc: SolanaRpc, record: Recorder = no_record) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._rpc = rpc
        self._record = record

    def list(self) -> list[PoolEntry]:
        """Every registered pool, by program and address."""
        entries = PoolTable(self._dynamodb, self._table).entries()
        return sorted(entries, key=lambda entry: (entry.program, entry.address))

    def check(self, address: str) -> CheckedPool:
        """The pool at `address` as its program's venue decodes it, with what is to be known of its tokens.

        Raises UnfitPool.
        """
        venue, decoded = self.decoded(address)
        mints = [side.mint for side in decoded.sides]
        accounts = self._present(mints)
        risks = {str(mint): powers_over(mint, account) for mint, account in accounts.items()}
        first, second = map(str, mints)
        symbols = self.symbols()
        warnings = tuple(text for mint, account in accounts.items() for text in _look_alikes(mint, account, symbols))
        return CheckedPool(PoolEntry(address, str(venue.program_id)), venue.dex, (first, second), risks, warnings)

    def decoded(self, address: str) -> tuple[Venue, Pool]:
        """The venue of the program that has the pool, and the pool with every account of it read. Raises UnfitPool."""
        try:
            pool = Pubkey.from_string(address)
        except ValueError:
            raise UnfitPool(f"{address} is no Solana address") from None
        try:
            account = self._rpc.get_multiple_accounts([pool]).accounts.get(pool)
            if account is None:
                raise UnfitPool(f"there is no account {address} on this chain")
            venue = next((venue for venue in supported.VENUES if venue.program_id == account.owner), None)
            if venue is None:
                *others, last = (venue.program for venue in supported.VENUES)
                known = f"{', '.join(others)} and {last}"
                raise UnfitPool(f"{address} belongs to the program {account.owner}; pools of {known} can be traded")
            return venue, read_pool(self._rpc.get_multiple_accounts, venue, pool)
        except FillrateError as error:
            raise UnfitPool(f"{address} can't be traded: {error}") from error

    def add(self, address: str, accepted: Collection[MintRisk] = ()) -> CheckedPool:
        """Register a pool after a check; it is traded within half a minute.

        Raises UnfitPool where it is none, and where somebody holds a power over its tokens that is not among those
        that are `accepted`.
        """
        checked = self.check(address)
        for mint, risks in checked.risks.items():
            for risk in risks:
                if risk not in accepted:
                    raise UnfitPool(f"{mint}: {MEANINGS[risk]}; to trade it nevertheless give --accept-risk {risk}")
        item = {"program": checked.entry.program, "addedBy": OPERATOR}
        self._change(address, "add", item)
        return checked

    def symbols(self) -> dict[str, str]:
        """What the tokens are called that are well known, or that a registered pool trades, by mint."""
        read = self._rpc.get_multiple_accounts
        registry = PoolRegistry(self.list, lambda wanted: read(wanted).accounts, supported.VENUES, lambda: 0)
        accounts = self._present(sorted(registry.mints(), key=bytes))
        written = {str(mint): written_symbol(account) for mint, account in accounts.items()}
        return {**{mint: symbol for mint, symbol in written.items() if symbol}, **WELL_KNOWN_SYMBOLS}

    def _present(self, addresses: Sequence[Pubkey]) -> dict[Pubkey, Account]:
        """Those of the accounts that there are."""
        found = self._rpc.get_multiple_accounts(addresses).accounts if addresses else {}
        return {address: account for address, account in found.items() if account is not None}

    def remove(self, address: str) -> None:
        """Take a pool out; orders under way may still trade on it. Raises UnfitPool where it is not registered."""
        if self._change(address, "remove", None) is None:
            raise UnfitPool(f"{address} is not registered")

    def _change(self, address: str, action: str, item: Item | None) -> Item | None:
        """What was registered of the pool before."""
        table, beside = Table(self._dynamodb, self._table), partial(self._record, "pools", action, address)
        return table.change({"address": address}, lambda before: item, beside)[0]


def unfit_pools(pools: PoolAdministration) -> Iterator[str]:
    """Why each registered pool that can't be traded can't, as far as the chain tells."""
    for entry in pools.list():
        try:
            venue, _ = pools.decoded(entry.address)
        except UnfitPool as unfit:
            yield str(unfit)
        else:
            if str(venue.program_id) != entry.program:
                yield f"{entry.address} is registered as a pool of {entry.program} and belongs to {venue.program_id}"


def _look_alikes(mint: Pubkey, account: Account, symbols: Mapping[str, str]) -> Iterator[str]:
    """A warning for each known token whose symbol a reader may take for this one's. `symbols` is by mint."""
    symbol = WELL_KNOWN_SYMBOLS.get(str(mint)) or written_symbol(account)
    if symbol is None:
        return
    for other, known in symbols.items():
        if other != str(mint) and skeleton(known) == skeleton(symbol):
            yield f"{mint} calls itself {symbol}, which looks like {known}, {other}: is it the one that you mean?"


def dex_of(program: str) -> str:
    """The house that a program belongs to; the program itself where none of ours is."""
    return next((venue.dex for venue in supported.VENUES if str(venue.program_id) == program), program)


def administration(target: Target, rpc_url: str | None) -> PoolAdministration:
    """The stage's own, with the Solana node at `rpc_url`, or else the first that the deployed worker asks.

    Raises NoStage.
    """
    data = deployed(target, "data")
    if rpc_url is None:
        rpc_url = solana_nodes(target)[0]
    return PoolAdministration(
        target.client("dynamodb"), data["PoolsTable"], SolanaRpc(rpc_url), record_of(target, data)
    )

"""Adding pools to a stage's registry and taking them out, each looked at on the chain before it is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.problems import FillrateError
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.venues import supported
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.registry import PoolEntry
from operations.errors import UnfitPool
from operations.pool_registry import OPERATOR
from operations.stacks import deployed, worker_environment
from operations.target import Target


@dataclass(frozen=True, slots=True)
class CheckedPool:
    """A pool that the product's own code could decode."""

    entry: PoolEntry
    venue: str
    mints: tuple[str, str]


class PoolAdministration:
    def __init__(self, dynamodb: Any, table: str, rpc: SolanaRpc) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._rpc = rpc

    def list(self) -> list[PoolEntry]:
        """Every registered pool, by program and address."""
        entries = PoolTable(self._dynamodb, self._table).entries()
        return sorted(entries, key=lambda entry: (entry.program, entry.address))

    def check(self, address: str) -> CheckedPool:
        """The pool at `address` as its program's venue decodes it, every account of it read. Raises UnfitPool."""
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
                known = " and ".join(venue.program for venue in supported.VENUES)
                raise UnfitPool(f"{address} belongs to the program {account.owner}; pools of {known} can be traded")
            decoded = read_pool(self._rpc.get_multiple_accounts, venue, pool)
        except FillrateError as error:
            raise UnfitPool(f"{address} can't be traded: {error}") from error
        first, second = (str(side.mint) for side in decoded.sides)
        return CheckedPool(PoolEntry(address, str(venue.program_id)), venue.dex, (first, second))

    def add(self, address: str) -> CheckedPool:
        """Register a pool after a check; it is traded within half a minute. Raises UnfitPool."""
        checked = self.check(address)
        item = {"address": checked.entry.address, "program": checked.entry.program, "addedBy": OPERATOR}
        self._dynamodb.put_item(TableName=self._table, Item={name: {"S": value} for name, value in item.items()})
        return checked

    def remove(self, address: str) -> None:
        """Take a pool out; orders under way may still trade on it. Raises UnfitPool where it is not registered."""
        key = {"address": {"S": address}}
        removed = self._dynamodb.delete_item(TableName=self._table, Key=key, ReturnValues="ALL_OLD")
        if not removed.get("Attributes"):
            raise UnfitPool(f"{address} is not registered")


def dex_of(program: str) -> str:
    """The house that a program belongs to; the program itself where none of ours is."""
    return next((venue.dex for venue in supported.VENUES if str(venue.program_id) == program), program)


def administration(target: Target, rpc_url: str | None) -> PoolAdministration:
    """The stage's own, with the Solana node at `rpc_url`, or else the first that the deployed worker asks.

    Raises NoStage.
    """
    table = deployed(target, "data")["PoolsTable"]
    if rpc_url is None:
        rpc_url = worker_environment(target)["SOLANA_RPC_URL"].split(",")[0].strip()
    return PoolAdministration(target.client("dynamodb"), table, SolanaRpc(rpc_url))

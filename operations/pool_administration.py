"""Adding pools to a stage's registry and taking them out, each looked at on the chain before it is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.problems import FillrateError
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.venues.registry import PoolEntry
from chalicelib.venues.venue import Pool, Venue
from infra.deployment.deploy import Target
from infra.deployment.pool_registry import OPERATOR, VENUES

# A pool names its accounts at most so deep: the pool, what it names, what these name.
_MOST_READS = 6


class UnfitPool(ValueError):
    """The address is no pool that can be traded; the text says why."""


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
            venue = next((venue for venue in VENUES if venue.program_id == account.owner), None)
            if venue is None:
                known = " and ".join(venue.name for venue in VENUES)
                raise UnfitPool(f"{address} belongs to the program {account.owner}; pools of {known} can be traded")
            decoded = self._decode(venue, pool)
        except FillrateError as error:
            raise UnfitPool(f"{address} can't be traded: {error}") from error
        first, second = (str(side.mint) for side in decoded.sides)
        return CheckedPool(PoolEntry(address, str(venue.program_id)), venue.name, (first, second))

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

    def _decode(self, venue: Venue, pool: Pubkey) -> Pool:
        accounts: AccountMap = {}
        for _ in range(_MOST_READS):
            needed = venue.accounts_needed(pool, accounts)
            if needed <= accounts.keys():
                break
            accounts = self._rpc.get_multiple_accounts(sorted(needed, key=bytes)).accounts
        return venue.decode(pool, accounts)


def administration(target: Target, rpc_url: str | None) -> PoolAdministration:
    """The stage's own, with the Solana node at `rpc_url`, or else the first that the deployed worker asks.

    Raises botocore's errors.
    """
    names = _outputs(target, f"fillrate-{target.stage}-data")
    if rpc_url is None:
        worker = _outputs(target, f"fillrate-{target.stage}")["WorkerFunction"]
        configuration = target.client("lambda").get_function_configuration(FunctionName=worker)
        rpc_url = str(configuration["Environment"]["Variables"]["SOLANA_RPC_URL"]).split(",")[0].strip()
    return PoolAdministration(target.client("dynamodb"), names["PoolsTable"], SolanaRpc(rpc_url))


def _outputs(target: Target, stack: str) -> dict[str, str]:
    described = target.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

"""The RPC methods of a genesis market without its sockets, and the transactions that its tests send."""

from __future__ import annotations

import base64
import json
from typing import Any

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from infra.localnet.consensus import ALPENGLOW, ConsensusRules
from infra.localnet.rpc.dispatcher import Dispatcher
from infra.localnet.startup import Chain, Options, build

NOW = 1_795_000_000
PAYER = Keypair.from_seed(bytes([21] * 32))
SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
PROCESSED = {"commitment": "processed"}
# What a message of version 1 must ask for: it has nothing that it doesn't ask for.
ENOUGH = TransactionConfig(compute_unit_limit=200_000, loaded_accounts_data_size_limit=64 * 1024 * 1024)


class RpcError(Exception):
    """The answer was an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.data: Any = error.get("data")


class RpcClient:
    """One chain whose slots pass only by `advance`."""

    def __init__(self, options: Options | None = None, *, consensus: ConsensusRules = ALPENGLOW) -> None:
        self.now = float(NOW)
        usual = Options(with_traders=False, funded=(PAYER.pubkey(),), consensus=consensus)
        self.chain: Chain = build(options or usual, lambda: self.now)
        self.dispatcher = Dispatcher.of_node(self.chain.node)
        self.lane_dispatcher = Dispatcher.of_lane(self.chain.node)

    def send(self, body: bytes, *, local: bool = True) -> Any:
        return json.loads(self.dispatcher.answer(body, local_client=local))

    def call(self, method: str, *params: Any, local: bool = True) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self.send(json.dumps(request).encode(), local=local)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def advance(self, slots: int) -> None:
        self.chain.node.advance(slots)

    def v1_transaction(
        self, *instructions: Instruction, signer: Keypair = PAYER, config: TransactionConfig = ENOUGH
    ) -> VersionedTransaction:
        blockhash = Hash.from_string(self.call("getLatestBlockhash", PROCESSED)["value"]["blockhash"])
        message = MessageV1.try_compile(signer.pubkey(), list(instructions), blockhash, config)
        return VersionedTransaction(message, [signer])

    def transaction(
        self, *instructions: Instruction, signer: Keypair = PAYER, commitment: str = "processed"
    ) -> VersionedTransaction:
        latest = self.call("getLatestBlockhash", {"commitment": commitment})["value"]
        blockhash = Hash.from_string(latest["blockhash"])
        return VersionedTransaction(MessageV0.try_compile(signer.pubkey(), list(instructions), [], blockhash), [signer])

    def submit(self, transaction: VersionedTransaction, **config: Any) -> str:
        options = {"encoding": "base64", "preflightCommitment": "processed", **config}
        signature: str = self.call("sendTransaction", encoded(transaction), options)
        return signature

    def status(self, signature: str, *, search: bool = False) -> dict[str, Any] | None:
        result = self.call("getSignatureStatuses", [signature], {"searchTransactionHistory": search})
        status: dict[str, Any] | None = result["value"][0]
        return status

    def pool_of(self, *mints: str) -> Pubkey:
        """The first pool that trades these two."""
        wanted = {Pubkey.from_string(mint) for mint in mints}
        desk = self.chain.node.desk
        return next(one for one, _ in self.chain.pools if {side.mint for side in desk.pool(one).sides} == wanted)

    def balance(self, owner: Pubkey, commitment: str = "processed") -> int:
        lamports: int = self.call("getBalance", str(owner), {"commitment": commitment})["value"]
        return lamports


def encoded(transaction: VersionedTransaction) -> str:
    return base64.b64encode(bytes(transaction)).decode()


def payment(to: Pubkey, lamports: int = 10**9, sender: Keypair = PAYER) -> Instruction:
    return transfer(TransferParams(from_pubkey=sender.pubkey(), to_pubkey=to, lamports=lamports))

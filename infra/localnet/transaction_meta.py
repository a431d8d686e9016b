"""A landed transaction's `meta`, as getTransaction gives it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from solders.pubkey import Pubkey

from infra.localnet import base58
from infra.localnet.execution import ExecutionResult
from infra.localnet.message import ReadAccount, ResolvedMessage
from infra.localnet.runtime import InnerInstruction, ReturnData
from infra.localnet.token_state import token_balances

_MEMO_PROGRAMS = frozenset(
    map(
        Pubkey.from_string,
        ("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr", "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVddwQDxFMNo"),
    )
)


def transaction_meta(message: ResolvedMessage, execution: ExecutionResult, read: ReadAccount) -> dict[str, Any]:
    """`read` gives the accounts as they were before `execution`."""

    def read_after(address: Pubkey) -> Any:
        return execution.writes[address] if address in execution.writes else read(address)

    error = None if execution.error is None else execution.error.to_json
    meta: dict[str, Any] = {
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "fee": execution.fee,
        "preBalances": _balances(message, read),
        "postBalances": _balances(message, read_after),
        "preTokenBalances": token_balances(message.keys, read, read_after),
        "postTokenBalances": token_balances(message.keys, read_after, read_after),
        "innerInstructions": inner_instructions(execution.inner),
        "logMessages": list(execution.logs),
        "loadedAddresses": {
            "writable": [str(key) for key in message.loaded_writable],
            "readonly": [str(key) for key in message.loaded_readonly],
        },
        "rewards": [],
        "computeUnitsConsumed": execution.compute_units,
    }
    if execution.return_data is not None:
        meta["returnData"] = return_data(execution.return_data)
    return meta


def inner_instructions(inner: Mapping[int, tuple[InnerInstruction, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "instructions": [
                {
                    "programIdIndex": one.program,
                    "accounts": list(one.accounts),
                    "data": base58.encode(one.data),
                    "stackHeight": one.stack_height,
                }
                for one in group
            ],
        }
        for index, group in sorted(inner.items())
    ]


def return_data(returned: ReturnData) -> dict[str, Any]:
    return {"programId": str(returned.program), "data": [base64.b64encode(returned.data).decode(), "base64"]}


def memo(message: ResolvedMessage) -> str | None:
    """All memos of the transaction as getSignaturesForAddress shows them: `[length] text`."""
    texts = [
        f"[{len(instruction.data)}] {bytes(instruction.data).decode(errors='replace')}"
        for instruction in message.instructions
        if instruction.program_id in _MEMO_PROGRAMS
    ]
    return "; ".join(texts) or None


def _balances(message: ResolvedMessage, read: ReadAccount) -> list[int]:
    accounts = (read(key) for key in message.keys)
    return [0 if account is None else account.lamports for account in accounts]

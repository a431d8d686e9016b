"""What a transaction tips: lamports that it plainly transfers to one of the lane's tip accounts.

Source: jito-labs/jito-docs, docs/source/lowlatencytxnsend.md (the addresses are those of mainnet).
"""

from __future__ import annotations

from struct import Struct

from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account

MINIMUM_TIP = 1_000
TIP_ACCOUNTS = tuple(
    map(
        Pubkey.from_string,
        (
            "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
            "HFqU5x63VTqvQss8hp11i4wVV8bD44PvwucfZ2bU7gRe",
            "Cw8CFyM9FkoMi7K7Crf6HNQqf4uEMzpKw6QNghXLvLkY",
            "ADaUMid9yfUytqMBgopwjb2DTLSokTSzL1zt6iGPaS49",
            "DfXygSm4jCyNCybVYYK6DwvWqjKee8pbDmJGcLWNDXjh",
            "ADuUkR4vqLUMWXxW9gh6D6L8pMSawimctcNZ5pGwDcEt",
            "DttWaMuVvTiduZRnguLF7jNxTgiMBZ1hyAumKUiL2KRL",
            "3AVi9Tg9Uo68tJfuvoKvqKNWKkC5wPdSSdeBnizKZ6jT",
        ),
    )
)
_TIP_PROGRAM = Pubkey.from_string("T1pyyaTNZsKv2WcRAB8oVnk93mLJw2XzjtVYqCsaHqt")
_SYSTEM_PROGRAM = Pubkey.default()
# The system program's Transfer: tag u32, lamports u64; from, to.
_TRANSFER = Struct("<IQ")
_TRANSFER_TAG = 2
_TO = 1


def tip_accounts(rent_exempt_minimum: int) -> dict[Pubkey, Account]:
    """The tip accounts as they are from genesis on: a tip that is smaller than rent then leaves them exempt."""
    return {address: Account(_TIP_PROGRAM, rent_exempt_minimum, b"") for address in TIP_ACCOUNTS}


def tip_of(transaction: VersionedTransaction) -> int:
    """Lamports. What goes to a tip account by a lookup table, or by another program, is none."""
    message = transaction.message
    return sum(
        _transferred(message, instruction.program_id_index, instruction.accounts, bytes(instruction.data))
        for instruction in message.instructions
    )


def _transferred(message: Message | MessageV0 | MessageV1, program: int, accounts: bytes, data: bytes) -> int:
    keys = message.account_keys
    if keys[program] != _SYSTEM_PROGRAM or len(data) != _TRANSFER.size or len(accounts) <= _TO:
        return 0
    tag, lamports = _TRANSFER.unpack(data)
    to = accounts[_TO]
    is_tip = tag == _TRANSFER_TAG and to < len(keys) and keys[to] in TIP_ACCOUNTS
    return int(lamports) if is_tip else 0

"""Who can pay a transaction's fee: looked at before anything else of the transaction is, for without a payer there is
nobody to charge and the transaction is in no block.

Source: anza-xyz/agave, svm/src/account_loader.rs `validate_fee_payer`, svm/src/rent_calculator.rs. What an account
holds in the course of the transaction is nobody's business: rent is judged once more when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from infra.localnet.message import ReadAccount, ResolvedMessage
from infra.localnet.transaction_error import TransactionError

_SYSTEM_PROGRAM = Pubkey.default()
# solana-nonce, state.rs: the version's tag, the state's tag; authority, blockhash and fee follow.
_NONCE_TAGS = Struct("<II")
_NONCE_LENGTH = 80
_NONCE_INITIALIZED = 1
# The fee payer is the message's first account.
_FEE_PAYER_INDEX = 0


def why_unpayable(
    payer: Account | None, fee: int, rent_exempt_minimum: Callable[[int], int]
) -> TransactionError | None:
    """The error of a transaction whose fee payer is `payer`; None where it can pay the `fee`, in lamports.

    The fee must leave it nothing or what rent exemption asks; only one that had less before may go on having less.
    `rent_exempt_minimum` gives lamports by an account's length in bytes.
    """
    if payer is None:
        return TransactionError("AccountNotFound")
    length = len(payer.data)
    is_nonce = length == _NONCE_LENGTH and _NONCE_TAGS.unpack_from(payer.data)[1] == _NONCE_INITIALIZED
    if payer.owner != _SYSTEM_PROGRAM or (length and not is_nonce):
        return TransactionError("InvalidAccountForFee")
    minimum = rent_exempt_minimum(length)
    left = payer.lamports - fee
    if left < (minimum if is_nonce else 0):
        return TransactionError("InsufficientFundsForFee")
    if 0 < left < minimum <= payer.lamports:
        return TransactionError("InsufficientFundsForRent", {"account_index": _FEE_PAYER_INDEX})
    return None


def payer_for(charged: int, message: ResolvedMessage, read: ReadAccount) -> Mapping[Pubkey, Account]:
    """The fee payer as it must be for the virtual machine, which takes `charged` lamports, to leave it what is right.

    Empty where that is the message's fee.
    """
    payer = read(message.fee_payer)
    difference = charged - message.fee
    if payer is None or difference == 0:
        return {}
    return {message.fee_payer: replace(payer, lamports=payer.lamports + difference)}

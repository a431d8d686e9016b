"""From an approved message to the signed bytes to send."""

from __future__ import annotations

from solders.transaction import VersionedTransaction

from chalicelib.solana.rpc import LatestBlockhash
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.signing_policy import ApprovedMessage
from chalicelib.solana.wallet import Wallet


def sign(
    approved: ApprovedMessage, wallet: Wallet, latest: LatestBlockhash, slot: int = 0, tip_lamports: int = 0
) -> SignedTransaction:
    """Sign a message that was built on `latest` and tips so much, while the chain was at `slot`.

    Raises ValueError if it was built on another blockhash or is another wallet's, and WalletUnavailable.
    """
    message = approved.message
    if message.recent_blockhash != latest.blockhash:
        raise ValueError("the message was built on another blockhash than the one whose last height is given")
    signature = wallet.sign(approved)
    return SignedTransaction(
        signature=str(signature),
        wire=bytes(VersionedTransaction.populate(message, [signature])),
        blockhash=str(latest.blockhash),
        last_valid_block_height=latest.last_valid_block_height,
        slot=slot or latest.slot,
        tip_lamports=tip_lamports or None,
    )

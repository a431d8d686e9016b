"""The faucet: gives SOL away for the asking, and the genesis market's tokens."""

from __future__ import annotations

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer

from chalicelib.solana.tokens import ASSOCIATED_TOKEN_PROGRAM, associated_token_address
from infra.localnet.cross_program_invocation import transfer_instruction
from infra.localnet.ledger import Ledger
from infra.localnet.market.wallet import HouseWallet
from infra.localnet.programs.program import TokenTransfer
from infra.localnet.token_state import mint

LAMPORTS = 1_000_000_000 * 500_000_000
_CREATE_IDEMPOTENT = bytes([1])


class FaucetError(Exception):
    """The faucet can't give that."""


class Faucet:
    """Every gift is a transaction from the faucet's wallet, so that what one gains another loses."""

    def __init__(self, ledger: Ledger, wallet: HouseWallet) -> None:
        self._ledger = ledger
        self._wallet = wallet

    @property
    def address(self) -> Pubkey:
        return self._wallet.address

    def airdrop(self, to: Pubkey, lamports: int) -> Signature:
        """Raises FaucetError where the faucet has less."""
        account = self._ledger.current(self.address)
        if account is None or account.lamports <= lamports:
            raise FaucetError(f"the faucet does not have {lamports} lamports")
        instruction = transfer(TransferParams(from_pubkey=self.address, to_pubkey=to, lamports=lamports))
        return self._wallet.send([instruction], "airdrop").signature

    def give(self, to: Pubkey, of: Pubkey, amount: int) -> Signature:
        """`amount` base units of the mint `of` into `to`'s associated account, made if need be. Raises FaucetError."""
        token = mint(of, self._ledger.current)
        if token is None:
            raise FaucetError(f"{of} is no mint")
        destination = associated_token_address(to, of, token.token_program)
        payment = TokenTransfer(
            token_program=token.token_program,
            source=associated_token_address(self.address, of, token.token_program),
            mint=of,
            destination=destination,
            authority=self.address,
            amount=amount,
            decimals=token.decimals,
        )
        creation = create_associated_account(self.address, to, of, token.token_program)
        landed = self._wallet.send([creation, transfer_instruction(payment)], "gift")
        if landed.error is not None:
            raise FaucetError(f"the faucet could not give {amount} of {of}: {landed.error}")
        return landed.signature


def create_associated_account(payer: Pubkey, owner: Pubkey, of: Pubkey, token_program: Pubkey) -> Instruction:
    """Makes `owner`'s associated account unless it exists (CreateIdempotent)."""
    return Instruction(
        ASSOCIATED_TOKEN_PROGRAM,
        _CREATE_IDEMPOTENT,
        [
            AccountMeta(payer, is_signer=True, is_writable=True),
            AccountMeta(associated_token_address(owner, of, token_program), is_signer=False, is_writable=True),
            AccountMeta(owner, is_signer=False, is_writable=False),
            AccountMeta(of, is_signer=False, is_writable=False),
            AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
            AccountMeta(token_program, is_signer=False, is_writable=False),
        ],
    )

"""What these tests play on: a ledger with three tokens, pools of them on the toy exchange, and two wallets."""

from __future__ import annotations

from collections.abc import Sequence

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    Mint,
    TransferFee,
    TransferFeeConfig,
    associated_token_address,
)
from infra.localnet.commitment import Commitment
from infra.localnet.consensus import ALPENGLOW, ConsensusRules
from infra.localnet.ledger import Bank, Ledger
from infra.localnet.market.endowment import endowed
from infra.localnet.programs.token_accounts import mint_account, token_account
from infra.localnet.runtime import Runtime
from infra.localnet.token_state import token_account as read_token_account
from infra.localnet.transaction_log import LandedTransaction
from tests.localnet.toy_exchange import PROGRAM_ID, ToyExchange, ToyPool, pool_account

NOW = 1_790_000_000
FIRST_SLOT = 500_000_000
PROCESSED, CONFIRMED, FINALIZED = Commitment.PROCESSED, Commitment.CONFIRMED, Commitment.FINALIZED

_RATE = TransferFee(epoch=0, maximum_fee=10**9, basis_points=100)
GOLD = Mint(Pubkey([11] * 32), TOKEN_PROGRAM, 6)
IRON = Mint(Pubkey([12] * 32), TOKEN_PROGRAM, 9)
# Of each transfer of salt one percent is withheld.
SALT = Mint(
    Pubkey([13] * 32),
    TOKEN_2022_PROGRAM,
    6,
    transfer_fee=TransferFeeConfig(_RATE, _RATE),
    extensions=frozenset({ExtensionType.TRANSFER_FEE_CONFIG}),
)
MINTS = (GOLD, IRON, SALT)
GOLD_IRON, IRON_SALT = ToyPool.of(GOLD, IRON), ToyPool.of(IRON, SALT)
POOLS = (GOLD_IRON, IRON_SALT)
RESERVE = 10**12
HOLDING = 10**9
LAMPORTS = 10**10
ALICE, BOB = (Keypair.from_seed(bytes([number] * 32)) for number in (1, 2))


class Playground:
    """`alice` and `bob` hold SOL and each token; `ledger` is the real one, with the toy exchange emulated on it."""

    def __init__(self, consensus: ConsensusRules = ALPENGLOW) -> None:
        accounts = {mint.address: mint_account(mint, supply=0, authority=None) for mint in MINTS}
        for pool in POOLS:
            accounts[pool.address] = pool_account()
            for mint in pool.mints:
                accounts[pool.vault(mint)] = token_account(mint, pool.address, RESERVE)
        for wallet in (ALICE, BOB):
            accounts[wallet.pubkey()] = Account(Pubkey.default(), LAMPORTS, b"")
            for mint in MINTS:
                accounts.update(endowed(accounts.get, wallet.pubkey(), mint.address, HOLDING))
        self.ledger = Ledger(
            Runtime(),
            {PROGRAM_ID: ToyExchange()},
            accounts,
            genesis_hash=Hash.hash(b"playground"),
            first_slot=FIRST_SLOT,
            unix_timestamp=NOW,
            consensus=consensus,
        )

    def bank(self, commitment: Commitment = PROCESSED) -> Bank:
        return self.ledger.bank(commitment)

    def blockhash(self, commitment: Commitment = PROCESSED) -> Hash:
        return self.ledger.latest_blockhash(self.bank(commitment))[0]

    def transaction(
        self,
        *instructions: Instruction,
        signers: Sequence[Keypair] = (ALICE,),
        blockhash: Hash | None = None,
        legacy: bool = False,
    ) -> VersionedTransaction:
        recent = blockhash or self.blockhash()
        payer = signers[0].pubkey()
        if legacy:
            message: Message | MessageV0 = Message.new_with_blockhash(list(instructions), payer, recent)
        else:
            message = MessageV0.try_compile(payer, list(instructions), [], recent)
        return VersionedTransaction(message, list(signers))

    def land(self, *instructions: Instruction, signers: Sequence[Keypair] = (ALICE,)) -> LandedTransaction:
        return self.ledger.submit(self.transaction(*instructions, signers=signers))

    def swap(
        self, pool: ToyPool, mint_in: Mint, amount: int, minimum_out: int = 0, trader: Keypair = ALICE
    ) -> Instruction:
        owner = trader.pubkey()
        return pool.swap(
            mint_in, amount, minimum_out, owner, holding(owner, mint_in), holding(owner, pool.other(mint_in))
        )

    def advance(self, slots: int = 1) -> None:
        for _ in range(slots):
            self.ledger.advance(NOW)

    def lamports(self, owner: Pubkey, commitment: Commitment = PROCESSED) -> int:
        account = self.ledger.account(owner, self.bank(commitment))
        return 0 if account is None else account.lamports

    def amount(self, token_account_address: Pubkey) -> int:
        held = read_token_account(self.ledger.current(token_account_address))
        return 0 if held is None else held.amount

    def held(self, wallet: Keypair, mint: Mint) -> int:
        return self.amount(holding(wallet.pubkey(), mint))

    def reserves(self, pool: ToyPool) -> tuple[int, int]:
        return self.amount(pool.vault(pool.mints[0])), self.amount(pool.vault(pool.mints[1]))

    def everything(self) -> dict[Pubkey, Account]:
        """All accounts whose content transactions change."""
        programs = (Pubkey.default(), PROGRAM_ID, TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
        return {address: account for one in programs for address, account in self.ledger.accounts_of(one, self.bank())}


def holding(owner: Pubkey, mint: Mint) -> Pubkey:
    return associated_token_address(owner, mint.address, mint.token_program)

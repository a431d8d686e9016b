"""A venue that is nowhere but in this file trades beside the real ones, once it stands in the list of venues.

The toy exchange is a constant product without a fee. Here are the five parts that a venue's folder has, and its
program's emulation; what follows names it to nothing but the two lists, `supported.VENUES` and `emulated.PROGRAMS`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path
from struct import Struct
from types import SimpleNamespace
from typing import ClassVar

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib import composition
from chalicelib.orders.execution import Landed, LandedFailed
from chalicelib.problems import AmountTooSmall, SigningRefused, SlippageExceeded, VenueUnavailable
from chalicelib.solana.accounts import Account, AccountMap, ChainClock
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap
from chalicelib.solana.program_errors import KnownError, ProgramRefusals
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import Mint, TokenAccount
from chalicelib.solana.wallet import LocalWallet
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA_DLMM
from chalicelib.venues.pool_accounts import existing_account, tradable_mint
from chalicelib.venues.refusals import CLOSED, PRICE_MOVED
from chalicelib.venues.registry import PoolEntry
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide
from infra.localnet.programs import emulated
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer
from infra.localnet.programs.token_accounts import token_account
from infra.localnet.startup import Options
from operations import pool_registry
from operations.pools import PoolAdministration
from tests.integration.chain_trading import MINTS, Engine, InProcessChain, dump_accounts, genesis_pools
from tests.integration.cloud import Cloud
from tests.integration.web import Web

# --- layout -------------------------------------------------------------------------------------------------------

PROGRAM_ID = Pubkey.from_string("ToyExchange11111111111111111111111111111111")
_POOL = Struct("<32s32s?Q")  # both mints, whether it is closed, swaps counted


def pool_address(mints: tuple[Pubkey, Pubkey]) -> Pubkey:
    return Pubkey.find_program_address([b"pool", *map(bytes, mints)], PROGRAM_ID)[0]


def vault_address(pool: Pubkey, mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"vault", bytes(pool), bytes(mint)], PROGRAM_ID)[0]


# --- math ---------------------------------------------------------------------------------------------------------


def paid(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    return reserve_out * amount_in // (reserve_in + amount_in)


# --- refusals -----------------------------------------------------------------------------------------------------

TOO_LITTLE_OUT = 6001
# The number that stands for slippage at Meteora DLMM.
POOL_CLOSED = 6003

REFUSALS = ProgramRefusals(
    PROGRAM_ID,
    "the toy exchange",
    (KnownError("TooLittleOut", TOO_LITTLE_OUT, PRICE_MOVED), KnownError("PoolClosed", POOL_CLOSED, CLOSED)),
)

# --- instruction --------------------------------------------------------------------------------------------------

_SWAP = Struct("<QQ")  # amount in, minimum out


@dataclass(frozen=True)
class Swap:
    """Pairs are input, output."""

    trader: Pubkey
    pool: Pubkey
    source: Pubkey
    destination: Pubkey
    tokens: tuple[TokenMint, TokenMint]
    amount_in: int
    minimum_out: int

    def encode(self) -> Instruction:
        written = [self.pool, self.source, self.destination]
        written += [vault_address(self.pool, token.mint) for token in self.tokens]
        read = [token.mint for token in self.tokens] + [token.token_program for token in self.tokens]
        metas = [AccountMeta(self.trader, is_signer=True, is_writable=False)]
        metas += [AccountMeta(address, is_signer=False, is_writable=True) for address in written]
        metas += [AccountMeta(address, is_signer=False, is_writable=False) for address in read]
        return Instruction(PROGRAM_ID, _SWAP.pack(self.amount_in, self.minimum_out), metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    if len(accounts) != 10 or len(data) != _SWAP.size:
        raise NotOurSwap("it is no swap")
    trader, pool, source, destination, _, _, mint_in, mint_out, program_in, program_out = accounts
    tokens = TokenMint(mint_in, program_in), TokenMint(mint_out, program_out)
    swap = Swap(trader, pool, source, destination, tokens, *_SWAP.unpack(data))
    instruction = swap.encode()
    if [meta.pubkey for meta in instruction.accounts] != list(accounts):
        raise NotOurSwap("a vault is not the pool's")
    return DecodedSwap(instruction, pool, trader, source, destination, (tokens,), swap.amount_in, swap.minimum_out)


# --- pool ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyPool:
    program: ClassVar[str] = "toy-exchange"
    dex: ClassVar[str] = "toy"

    address: Pubkey
    mints: tuple[Mint, Mint]
    reserves: tuple[int, int]
    is_closed: bool

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        first, second = (
            TokenSide(mint.address, mint.token_program, mint.decimals, vault_address(self.address, mint.address))
            for mint in self.mints
        )
        return first, second

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        side = self._side(mint_in)
        return Fraction(self.reserves[1 - side], self.reserves[side])

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        if self.is_closed:
            raise VenueUnavailable(f"pool {self.address} is closed")
        side = self._side(mint_in)
        amount_out = paid(amount_in, self.reserves[side], self.reserves[1 - side])
        if not amount_out:
            raise AmountTooSmall(f"pool {self.address} pays nothing for {amount_in} base units")
        mint_out = self.mints[1 - side].address
        return PoolQuote(self.address, mint_in, mint_out, amount_in, amount_out, 0, mint_in, compute_units=20_000)

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        return ceil(self.mid_price(mint_in)) + 1

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        side = self._side(quote.mint_in)
        token_in, token_out = (
            TokenMint(mint.address, mint.token_program) for mint in (self.mints[side], self.mints[1 - side])
        )
        swap = Swap(trader, self.address, source, destination, (token_in, token_out), quote.amount_in, minimum_out)
        return swap.encode()

    def _side(self, mint: Pubkey) -> int:
        return [each.address for each in self.mints].index(mint)


class ToyVenue:
    program = ToyPool.program
    dex = ToyPool.dex
    program_id = PROGRAM_ID
    refusals = (REFUSALS,)
    pool_account = PoolAccount(_POOL.size, b"", 0)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        return tuple(pool_address(pair) for pair in ((mint_a, mint_b), (mint_b, mint_a)))

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        account = existing_account(pool, accounts)
        if account.owner != PROGRAM_ID or len(account.data) != _POOL.size:
            raise VenueUnavailable(f"{pool} is no pool of the toy exchange")
        mint_0, mint_1, _, _ = _POOL.unpack(account.data)
        return Pubkey(mint_0), Pubkey(mint_1)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        if pool not in accounts:
            return frozenset({pool})
        mints = self.mints(pool, accounts)
        return frozenset({pool, *mints, *(vault_address(pool, mint) for mint in mints)})

    def decode(self, pool: Pubkey, accounts: AccountMap) -> ToyPool:
        mint_0, mint_1 = (tradable_mint(mint, accounts) for mint in self.mints(pool, accounts))
        reserve_0, reserve_1 = (
            TokenAccount.decode(existing_account(vault_address(pool, mint.address), accounts)).amount
            for mint in (mint_0, mint_1)
        )
        is_closed = _POOL.unpack(existing_account(pool, accounts).data)[2]
        return ToyPool(pool, (mint_0, mint_1), (reserve_0, reserve_1), is_closed)

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        return decode_swap(accounts, data)


# --- its emulation on the localnet, and a pool --------------------------------------------------------------------


class ToyProgram:
    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: Mapping[Pubkey, Account], clock: ChainClock
    ) -> SwapEffect:
        amount_in, minimum_out = _SWAP.unpack(data)
        trader, pool, source, destination, vault_in, vault_out, mint_in, mint_out, *_ = (meta.pubkey for meta in metas)
        mint_0, mint_1, is_closed, swaps = _POOL.unpack(accounts[pool].data)
        if is_closed:
            raise ProgramError(POOL_CLOSED, "PoolClosed")
        reserves = (TokenAccount.decode(accounts[vault]).amount for vault in (vault_in, vault_out))
        amount_out = paid(amount_in, *reserves)
        if amount_out < minimum_out:
            raise ProgramError(TOO_LITTLE_OUT, "TooLittleOut")
        token_in, token_out = (Mint.decode(mint, accounts[mint]) for mint in (mint_in, mint_out))
        return SwapEffect(
            transfers=(
                TokenTransfer(token_in.token_program, source, mint_in, vault_in, trader, amount_in, token_in.decimals),
                TokenTransfer(
                    token_out.token_program, vault_out, mint_out, destination, pool, amount_out, token_out.decimals
                ),
            ),
            writes={pool: _POOL.pack(mint_0, mint_1, is_closed, swaps + 1)},
            compute_units=20_000,
        )


def toy_pool(mints: tuple[Mint, Mint], reserves: tuple[int, int]) -> GenesisPool:
    addresses = mints[0].address, mints[1].address
    pool = pool_address(addresses)
    state = _POOL.pack(*map(bytes, addresses), False, 0)
    vaults = {
        vault_address(pool, mint.address): token_account(mint, pool, reserve)
        for mint, reserve in zip(mints, reserves, strict=True)
    }
    return GenesisPool(pool, {pool: Account(PROGRAM_ID, 10_000_000, state), **vaults})


# --- the proof ----------------------------------------------------------------------------------------------------

WALLET = Keypair.from_seed(bytes([47] * 32))
NOW = 1_795_000_000
# Two million dollars on each side, at the genesis market's price.
RESERVES = 4_848_500 * 10**6, 2_000_000 * 10**6
TOY = toy_pool((MINTS["JUP"], MINTS["USDC"]), RESERVES)
TOY_ENTRY = PoolEntry(str(TOY.address), str(PROGRAM_ID))
REAL_ENTRIES = genesis_pools()[frozenset(("JUP", "USDC"))]
ENTRIES = [*REAL_ENTRIES, TOY_ENTRY]
# A third of a million dollars: more than any pool here takes at a good price.
LARGE = 800_000 * 10**6


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supported, "VENUES", (*supported.VENUES, ToyVenue()))
    monkeypatch.setattr(emulated, "PROGRAMS", (*emulated.PROGRAMS, ToyProgram()))


@pytest.fixture
def chain(tmp_path: Path, wallet_file: Path) -> InProcessChain:
    dump_accounts(tmp_path, [TOY])
    funded = WALLET.pubkey(), LocalWallet.load(wallet_file).address
    return InProcessChain(Options(with_traders=False, funded=funded, account_directories=(tmp_path,)), NOW)


def swaps_counted(chain: InProcessChain) -> int:
    account = chain.chain.node.ledger.current(TOY.address)
    assert account is not None
    return int(_POOL.unpack(account.data)[3])


def close_the_pool(chain: InProcessChain) -> None:
    ledger = chain.chain.node.ledger
    account = ledger.current(TOY.address)
    assert account is not None
    mint_0, mint_1, _, swaps = _POOL.unpack(account.data)
    ledger.set_account(TOY.address, replace(account, data=_POOL.pack(mint_0, mint_1, True, swaps)))
    chain.wait(0)


def test_it_is_quoted_beside_the_real_ones(chain: InProcessChain) -> None:
    offers = Engine(chain, WALLET, ENTRIES).price("JUP", "USDC", LARGE).offers

    quotes = {offer.pool.program: offer.quote for offer in offers}
    assert quotes.keys() == {"raydium-cpmm", "meteora-dlmm", "toy-exchange"}
    quote = quotes["toy-exchange"]
    assert quote is not None
    assert quote.amount_out == paid(LARGE, *RESERVES)


def test_it_has_its_part_of_a_split_that_is_signed_and_executed_to_the_unit(chain: InProcessChain) -> None:
    engine = Engine(chain, WALLET, ENTRIES)
    order = engine.order("JUP", "USDC", LARGE)
    before = engine.balance("USDC")

    executed = engine.execute(order)

    assert sorted(leg.dex for leg in executed.planned.route) == ["meteora", "raydium", "toy"]
    assert executed.fate == Landed(executed.planned.quoted_out)
    assert engine.balance("USDC") - before == executed.planned.quoted_out
    assert swaps_counted(chain) == 1


def test_the_signing_policy_reads_its_swaps_and_refuses_one_that_gives_away(
    chain: InProcessChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(chain, WALLET, [TOY_ENTRY])
    order = engine.order("JUP", "USDC", 10**6)
    planned = engine.trader.plan(order)
    honest = Swap.encode
    monkeypatch.setattr(Swap, "encode", lambda swap: honest(replace(swap, minimum_out=1)))

    with pytest.raises(SigningRefused, match="guarantees 1"):
        engine.build(order, planned)


def move_the_price(chain: InProcessChain) -> None:
    Engine(chain, WALLET, [TOY_ENTRY]).another_trader_sells(TOY.address, "JUP", LARGE)


@pytest.mark.parametrize(
    ("meanwhile", "kind", "text"),
    [
        (move_the_price, SlippageExceeded, "the price moved beyond the order's slippage (instruction 1, error 6001"),
        (close_the_pool, VenueUnavailable, "the pool is not open for swaps (instruction 1, error 6003"),
    ],
)
def test_its_own_error_codes_are_told_in_our_words(
    chain: InProcessChain, meanwhile: Callable[[InProcessChain], None], kind: type[Exception], text: str
) -> None:
    engine = Engine(chain, WALLET, [TOY_ENTRY])
    order = engine.order("JUP", "USDC", 10**9)
    planned = engine.trader.plan(order)
    submission = engine.build(order, planned)
    meanwhile(chain)

    fate = engine.settle(order, planned, submission).fate

    assert isinstance(fate, LandedFailed)
    assert type(fate.reason) is kind
    assert str(fate.reason).startswith(f"the toy exchange: {text}")


def test_a_number_that_another_program_gives_another_sense_keeps_it() -> None:
    errors = supported.error_classifier()
    refused = {"InstructionError": [0, {"Custom": POOL_CLOSED}]}
    assert isinstance(errors.classify(refused, [PROGRAM_ID]), VenueUnavailable)
    assert isinstance(errors.classify(refused, [METEORA_DLMM]), SlippageExceeded)


def test_operators_can_register_its_pools(chain: InProcessChain, cloud: Cloud, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    registry.write_text(json.dumps([{"address": TOY_ENTRY.address, "program": TOY_ENTRY.program}]))
    assert pool_registry.read(registry) == {TOY_ENTRY.address: TOY_ENTRY.program}

    rpc = Engine(chain, WALLET, []).rpc
    added = PoolAdministration(cloud.dynamodb, cloud.outputs["PoolsTable"], rpc).add(TOY_ENTRY.address)
    assert (added.entry, added.mints) == (TOY_ENTRY, (str(MINTS["JUP"].address), str(MINTS["USDC"].address)))


def test_an_order_over_the_api_is_confirmed_on_it(
    chain: InProcessChain,
    web: Web,
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the product's own parts, as composition.py puts them together."""
    rpc = Engine(chain, WALLET, []).rpc
    monkeypatch.setattr(composition, "rpc", cache(lambda: rpc))
    waiting = SimpleNamespace(sleep=chain.wait, monotonic=time.monotonic, time_ns=time.time_ns)
    monkeypatch.setattr(composition, "time", waiting)
    item = {"address": {"S": TOY_ENTRY.address}, "program": {"S": TOY_ENTRY.program}}
    cloud.dynamodb.put_item(TableName=cloud.outputs["PoolsTable"], Item=item)

    order_id = web.execute(tokenIn="JUP", tokenOut="USDC", amount="300")
    web.work()

    order = web.json("GET", f"/orders/{order_id}")
    assert (order["status"], order["dexUsed"]) == ("confirmed", "toy")
    assert swaps_counted(chain) == 1

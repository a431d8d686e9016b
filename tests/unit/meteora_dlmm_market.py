"""Made-up DLMM pools and a trader, for the tests of the emulated program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from struct import Struct
from typing import Any

from hypothesis import strategies as st
from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, ChainClock
from chalicelib.solana.tokens import (
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    Mint,
    TokenAccount,
    TransferFee,
    TransferFeeConfig,
)
from chalicelib.venues.meteora_dlmm.layout import (
    BIN_LENGTH,
    BINS_OFFSET,
    BINS_PER_ARRAY,
    LbPair,
    bin_array_address,
    bitmap_extension_address,
)
from chalicelib.venues.meteora_dlmm.pool import MeteoraDlmmPool, MeteoraDlmmVenue
from chalicelib.venues.venue import PoolQuote
from infra.localnet.programs.meteora_dlmm import SWAP_DISCRIMINATOR, MeteoraDlmmProgram
from infra.localnet.programs.meteora_dlmm_pool import DlmmPoolSpec, LimitOrders, genesis_pool
from infra.localnet.programs.program import SwapEffect
from infra.localnet.programs.token_accounts import mint_account, token_account

CLOCK = ChainClock(slot=450_000_000, epoch=1041, unix_timestamp=1_760_000_000)
TRADER, SOURCE, DESTINATION, HOST, STRANGER = (Pubkey(bytes([21 + number] * 32)) for number in range(5))
SOL = Mint(NATIVE_MINT, TOKEN_PROGRAM, 9)
USDC = Mint(Pubkey(bytes([3] * 32)), TOKEN_PROGRAM, 6)
FEE = TransferFee(epoch=0, maximum_fee=5_000_000, basis_points=300)
TAXED = Mint(
    Pubkey(bytes([4] * 32)),
    TOKEN_2022_PROGRAM,
    6,
    transfer_fee=TransferFeeConfig(FEE, FEE),
    extensions=frozenset({1}),
)

_PROTOCOL_FEE = Struct("<QQ"), 216
_BIN = Struct("<QQ16s16sQQQQ16s16sQQQI")
_BIN_FIELDS = (
    "amount_x",
    "amount_y",
    "price",
    "supply",
    "fulfilled_x",
    "fulfilled_y",
    "ask_fee",
    "bid_fee",
    "growth_x",
    "growth_y",
    "open",
    "processing",
    "remaining",
    "age",
)


def bin_of(data: bytes, bin_id: int) -> dict[str, int]:
    fields = _BIN.unpack_from(data, BINS_OFFSET + bin_id % BINS_PER_ARRAY * BIN_LENGTH)
    numbers = [int.from_bytes(field, "little") if isinstance(field, bytes) else field for field in fields]
    return dict(zip(_BIN_FIELDS, numbers, strict=True))


def protocol_fees(data: bytes) -> tuple[int, ...]:
    layout, offset = _PROTOCOL_FEE
    return layout.unpack_from(data, offset)


class Market:
    """A pool, its two mints, and a trader and a host with a token account of each side."""

    def __init__(self, pool: Pubkey, accounts: Mapping[Pubkey, Account], mint_in: Pubkey) -> None:
        self.address, self.mint_in = pool, mint_in
        self.accounts = dict(accounts)
        sides = self.pool().sides
        self.swap_for_y = sides[0].mint == mint_in
        self.mints = [self.pool().mint_x, self.pool().mint_y]
        paid, received = self.mints if self.swap_for_y else reversed(self.mints)
        self.accounts[SOURCE] = token_account(paid, TRADER, 10**18)
        self.accounts[DESTINATION] = token_account(received, TRADER, 0)
        fee_in_x = self.swap_for_y and self.pool().pair.fee_on_input(self.swap_for_y)
        self.accounts[HOST] = token_account(self.mints[0 if fee_in_x else 1], STRANGER, 0)

    def pool(self) -> MeteoraDlmmPool:
        extension = bitmap_extension_address(self.address)
        return MeteoraDlmmVenue().decode(self.address, {extension: None, **self.accounts})

    def instruction(
        self, amount_in: int, minimum_out: int = 0, arrays: list[Pubkey] | None = None
    ) -> tuple[bytes, list[AccountMeta]]:
        """Without `arrays`, all of the pool's in the direction of the swap."""
        pool = self.pool()
        if arrays is None:
            start = pool.pair.active_id // BINS_PER_ARRAY
            indexes = pool.bitmap.indexes_from(start, self.swap_for_y, 20)
            arrays = [bin_array_address(self.address, index) for index in indexes]
        mint_out = self.mints[1 if self.swap_for_y else 0].address
        quote = PoolQuote(self.address, self.mint_in, mint_out, amount_in, 0, 0, self.mint_in, tuple(arrays))
        built = pool.swap_instruction(
            quote, trader=TRADER, source=SOURCE, destination=DESTINATION, minimum_out=minimum_out
        )
        return bytes(built.data), list(built.accounts)

    def run(self, data: bytes, metas: list[AccountMeta], clock: ChainClock = CLOCK) -> SwapEffect:
        return MeteoraDlmmProgram().execute(data, tuple(metas), self.accounts, clock)

    def swap(self, amount_in: int, minimum_out: int = 0, clock: ChainClock = CLOCK) -> SwapEffect:
        return self.run(*self.instruction(amount_in, minimum_out), clock)

    def settle(self, effect: SwapEffect, epoch: int = CLOCK.epoch) -> None:
        """Make the transfers and writes of an effect."""
        mints = {mint.address: mint for mint in self.mints}
        for transfer in effect.transfers:
            assert transfer.mint is not None
            arrived = mints[transfer.mint].amount_after_transfer_fee(transfer.amount, epoch)
            self._change(transfer.source, -transfer.amount)
            self._change(transfer.destination, arrived)
        for address, data in effect.writes.items():
            self.accounts[address] = replace(self.accounts[address], data=data)

    def balance(self, address: Pubkey) -> int:
        return TokenAccount.decode(self.accounts[address]).amount

    def pair(self) -> LbPair:
        return self.pool().pair

    def bin(self, bin_id: int) -> dict[str, int]:
        return bin_of(self.accounts[bin_array_address(self.address, bin_id // BINS_PER_ARRAY)].data, bin_id)

    def _change(self, address: Pubkey, amount: int) -> None:
        account = self.accounts[address]
        balance = (self.balance(address) + amount).to_bytes(8, "little")
        self.accounts[address] = replace(account, data=account.data[:64] + balance + account.data[72:])


def spec(mint_x: Mint = SOL, mint_y: Mint = USDC, **changes: Any) -> DlmmPoolSpec:
    liquidity = {bin_id: (10**9 if bin_id >= 0 else 0, 10**9 if bin_id <= 0 else 0) for bin_id in range(-100, 101)}
    defaults: dict[str, Any] = {
        "mint_x": mint_x,
        "mint_y": mint_y,
        "bin_step": 20,
        "active_id": 0,
        "base_factor": 8_000,
        "liquidity": liquidity,
        "last_update_timestamp": CLOCK.unix_timestamp - 10_000,
    }
    return DlmmPoolSpec(**defaults | changes)


def genesis_market(made: DlmmPoolSpec, sell_x: bool = True) -> Market:
    built = genesis_pool(made)
    mints = {mint.address: mint_account(mint, supply=10**18, authority=None) for mint in (made.mint_x, made.mint_y)}
    return Market(built.address, built.accounts | mints, (made.mint_x if sell_x else made.mint_y).address)


@st.composite
def specs(draw: st.DrawFn) -> DlmmPoolSpec:
    amounts = st.integers(0, 10**9)
    active_id = draw(st.integers(-200, 200))
    offsets = draw(st.lists(st.integers(-120, 120), min_size=1, max_size=30, unique=True))
    orders = draw(st.lists(st.integers(-80, 80), max_size=10, unique=True))
    return spec(
        mint_x=draw(st.sampled_from([SOL, TAXED])),
        active_id=active_id,
        liquidity={
            active_id + offset: (draw(amounts) if offset >= 0 else 0, draw(amounts) if offset <= 0 else 0)
            for offset in offsets
        },
        orders={
            active_id + offset: LimitOrders(
                ask=offset > 0, open=draw(amounts), processing=10**9, remaining=draw(amounts)
            )
            for offset in orders
        },
        base_factor=draw(st.sampled_from([0, 5_000, 50_000])),
        collect_fee_mode=draw(st.sampled_from([0, 1])),
        protocol_share=draw(st.sampled_from([0, 500, 2_500])),
        with_bitmap_extension=draw(st.booleans()),
    )


def as_swap(data: bytes, metas: list[AccountMeta]) -> tuple[bytes, list[AccountMeta]]:
    """swap2's instruction as the older swap: no memo program, no slices."""
    return SWAP_DISCRIMINATOR + data[8:24], metas[:13] + metas[14:]

"""The emulated Meteora DLMM refuses what the real program refuses, with its codes (each was seen on the program)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.tokens import TransferFeeConfig
from chalicelib.venues.meteora_dlmm.layout import bin_array_address, bitmap_extension_address, oracle_address
from infra.localnet.programs.program import ProgramError
from tests.unit.meteora_dlmm_market import CLOCK, FEE, SOURCE, STRANGER, TAXED, TRADER, genesis_market, spec


def meta(address: Pubkey, *, signer: bool = False, writable: bool = True) -> AccountMeta:
    return AccountMeta(address, is_signer=signer, is_writable=writable)


def readonly(number: int) -> Callable[[list[AccountMeta]], list[AccountMeta]]:
    return lambda metas: [
        meta(each.pubkey, signer=each.is_signer, writable=each.is_writable and position != number)
        for position, each in enumerate(metas)
    ]


def swapped(number: int, address: Pubkey) -> Callable[[list[AccountMeta]], list[AccountMeta]]:
    return lambda metas: [*metas[:number], meta(address), *metas[number + 1 :]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda metas: metas[:15], 3005),
        (swapped(0, STRANGER), 3007),
        (readonly(0), 2000),
        (swapped(1, STRANGER), 3007),
        (swapped(2, STRANGER), 3012),
        (swapped(2, SOURCE), 2001),
        (readonly(2), 2000),
        (lambda metas: [*metas[:2], metas[3], metas[2], *metas[4:]], 2001),
        (swapped(4, STRANGER), 3012),
        (readonly(4), 2000),
        (swapped(5, SOURCE), 6010),
        (readonly(5), 2000),
        (swapped(6, STRANGER), 3012),
        (lambda metas: [*metas[:6], metas[7], metas[6], *metas[8:]], 2001),
        (swapped(8, STRANGER), 3007),
        (readonly(8), 2000),
        (swapped(9, STRANGER), 3012),
        (lambda metas: [*metas[:10], meta(TRADER), *metas[11:]], 3010),
        (swapped(11, STRANGER), 3008),
        (swapped(13, STRANGER), 3008),
        (swapped(14, STRANGER), 2006),
        (swapped(16, STRANGER), 3007),
        (readonly(16), 2000),
        (lambda metas: metas[:16], 3005),
    ],
)
def test_wrong_accounts_are_refused_with_the_real_programs_code(
    change: Callable[[list[AccountMeta]], list[AccountMeta]], code: int
) -> None:
    market = genesis_market(spec())
    data, metas = market.instruction(10**6)

    with pytest.raises(ProgramError) as refusal:
        market.run(data, change(metas))

    assert refusal.value.code == code


def test_another_pairs_accounts_are_refused() -> None:
    market, other = genesis_market(spec()), genesis_market(spec(bin_step=50, with_bitmap_extension=True))
    market.accounts = {**other.accounts, **market.accounts}
    data, metas = market.instruction(10**6)

    def refused(number: int, address: Pubkey) -> int:
        with pytest.raises(ProgramError) as refusal:
            market.run(data, swapped(number, address)(metas))
        return refusal.value.code

    assert refused(16, bin_array_address(other.address, 0)) == 6027
    assert refused(8, oracle_address(other.address)) == 2001
    assert refused(1, bitmap_extension_address(other.address)) == 2001


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda data: bytes(8) + data[8:], 101),
        (lambda data: data[:4], 101),
        (lambda data: data[:20], 102),
        (lambda data: data[:24], 102),
        (lambda data: data[:24] + b"\x01\0\0\0", 102),
        (lambda data: data[:8] + bytes(8) + data[16:], 6002),
    ],
)
def test_wrong_data_is_refused_with_the_real_programs_code(data: Callable[[bytes], bytes], code: int) -> None:
    market = genesis_market(spec())
    right, metas = market.instruction(10**6)

    with pytest.raises(ProgramError) as refusal:
        market.run(data(right), metas)

    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": 1}, 6042),
        ({"pair_type": 1, "activation_point": CLOCK.slot + 1}, 6042),
        ({"pair_type": 2, "activation_type": 1, "activation_point": CLOCK.unix_timestamp + 1}, 6042),
        ({"pair_type": 7}, 6043),
        ({"pair_type": 1, "activation_type": 2}, 6058),
        ({"collect_fee_mode": 7}, 6110),
        ({"function_type": 7}, 6019),
        ({"max_bin_id": 443_636, "min_bin_id": 0}, 6012),
        ({"liquidity": {0: (10**9, 10)}}, 6036),
        ({"liquidity": {0: (10**9, 10)}, "with_bitmap_extension": True}, 6037),
        ({"mint_x": replace(TAXED, transfer_fee=TransferFeeConfig(*[replace(FEE, basis_points=10_000)] * 2))}, 6039),
        (
            {
                "volatility_accumulator": 1 << 31,
                "reduction_factor": 10_000,
                "last_update_timestamp": CLOCK.unix_timestamp - 100,
            },
            6018,
        ),
    ],
)
def test_a_pool_that_can_not_trade_says_so_with_the_real_programs_code(changes: dict[str, Any], code: int) -> None:
    with pytest.raises(ProgramError) as refusal:
        genesis_market(spec(**changes)).swap(3 * 10**9 if code != 6039 else 1_000)

    assert refusal.value.code == code


def test_the_early_address_trades_before_the_others() -> None:
    early: dict[str, Any] = {"pair_type": 1, "activation_point": CLOCK.slot + 10, "pre_activation_duration": 10}

    assert genesis_market(spec(**early, pre_activation_swap_address=TRADER)).swap(10**6).transfers
    with pytest.raises(ProgramError) as refusal:
        genesis_market(spec(**early, pre_activation_swap_address=STRANGER)).swap(10**6)
    assert refusal.value.code == 6042

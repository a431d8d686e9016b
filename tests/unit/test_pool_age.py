"""A time that a pool was there for certain is one that its creator couldn't set back."""

from __future__ import annotations

from dataclasses import replace
from struct import Struct

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import VenueUnavailable
from chalicelib.solana.accounts import Account
from chalicelib.venues import supported
from infra.localnet.market.genesis import genesis_market

MARKET = genesis_market(seed=0)
OPENED = 1_750_000_000
# Where the pool's account has the time from which it may be swapped at, and in what.
TIMES = {"raydium-cpmm": (373, "<Q"), "meteora-damm-v2": (472, "<Q"), "raydium-clmm": (1080, "<Q")}


def pool_of(program: str) -> tuple[Pubkey, Account]:
    venue = next(venue for venue in supported.VENUES if venue.program == program)
    address = next(pool.address for pool in MARKET.pools if pool.program == venue.program_id)
    return address, MARKET.accounts[address]


def existed_at(program: str, address: Pubkey, account: Account) -> int | None:
    venue = next(venue for venue in supported.VENUES if venue.program == program)
    return venue.existed_at(address, {address: account})


def opened(account: Account, offset: int, form: str) -> Account:
    data = bytearray(account.data)
    Struct(form).pack_into(data, offset, OPENED)
    return replace(account, data=bytes(data))


@pytest.mark.parametrize("program", [venue.program for venue in supported.VENUES])
def test_a_pool_that_says_nothing_is_of_no_known_age(program: str) -> None:
    address, account = pool_of(program)
    assert existed_at(program, address, account) is None


def test_the_time_of_opening_counts_where_it_is_later_than_the_pools_creation() -> None:
    address, account = pool_of("raydium-cpmm")
    assert existed_at("raydium-cpmm", address, opened(account, *TIMES["raydium-cpmm"])) == OPENED


def test_a_time_of_opening_that_a_creator_may_set_back_says_nothing() -> None:
    address, account = pool_of("raydium-clmm")
    assert existed_at("raydium-clmm", address, opened(account, *TIMES["raydium-clmm"])) is None


def test_an_activation_counts_in_seconds_and_not_in_slots() -> None:
    address, account = pool_of("meteora-damm-v2")
    active = opened(account, *TIMES["meteora-damm-v2"])
    by_time = replace(active, data=active.data[:480] + b"\1" + active.data[481:])
    by_slot = replace(active, data=active.data[:480] + b"\0" + active.data[481:])
    assert existed_at("meteora-damm-v2", address, by_time) == OPENED
    assert existed_at("meteora-damm-v2", address, by_slot) is None


def test_what_is_no_pool_has_no_age() -> None:
    address, account = pool_of("raydium-cpmm")
    with pytest.raises(VenueUnavailable):
        existed_at("raydium-cpmm", address, replace(account, data=account.data[:-1]))

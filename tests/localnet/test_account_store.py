"""The store answers for each slot that is not forgotten as if it had kept a full copy of every slot."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from infra.localnet.account_store import AccountStore

OWNERS = [Pubkey([number] * 32) for number in (1, 2)]
ADDRESSES = [Pubkey([number] * 32) for number in (3, 4, 5)]
CONTENT = st.none() | st.builds(
    Account, owner=st.sampled_from(OWNERS), lamports=st.integers(0, 3), data=st.binary(max_size=2)
)
WRITES = st.lists(st.lists(st.tuples(st.sampled_from(ADDRESSES), CONTENT), max_size=4), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(slots=WRITES, kept=st.integers(1, 5))
def test_each_slot_reads_as_it_was(slots: list[list[tuple[Pubkey, Account | None]]], kept: int) -> None:
    store = AccountStore()
    copies: list[dict[Pubkey, Account]] = []
    current: dict[Pubkey, Account] = {}
    for slot, writes in enumerate(slots):
        for address, account in writes:
            store.write(address, account, slot)
            current.pop(address, None)
            if account is not None and account.lamports:
                current[address] = account
        copies.append(dict(current))
        store.forget(slot - kept)
        for past in range(max(0, slot - kept), slot + 1):
            assert {one: store.at(one, past) for one in ADDRESSES if store.at(one, past)} == copies[past]
            for owner in OWNERS:
                owned = {address: account for address, account in copies[past].items() if account.owner == owner}
                assert dict(store.owned_by(owner, past)) == owned
            changed = {one for one in ADDRESSES if copies[past].get(one) != current.get(one)}
            assert changed <= store.changed_since(past)

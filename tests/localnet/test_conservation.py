"""Whatever is sent: tokens neither appear nor vanish, and a failed transaction changes nothing but its fee."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from infra.localnet.market.endowment import endowed
from infra.localnet.token_state import token_account
from tests.localnet.playground import ALICE, BOB, MINTS, POOLS, Playground

WALLETS = st.sampled_from([ALICE, BOB])
AMOUNTS = st.integers(1, 2 * 10**9)
SWAPS = st.tuples(st.sampled_from(POOLS), st.integers(0, 1), AMOUNTS, st.sampled_from([0, 0, 0, 10**8, 10**12]))
# TransferFeeAmount: what of the transfers into an account was withheld in it; last in an account of 178 bytes.
_WITHHELD = slice(170, 178)


class AnyTraffic(RuleBasedStateMachine):
    """Swaps and payments of two wallets, alone and many in a transaction, and slots that pass."""

    @initialize()
    def begin(self) -> None:
        self.playground = Playground()
        self.tokens = self.tokens_in_all()
        self.lamports = self.lamports_in_all()
        self.fees = 0

    @rule(swaps=st.lists(SWAPS, min_size=1, max_size=3), trader=WALLETS)
    def swap(self, swaps: list[Any], trader: Keypair) -> None:
        self.send(
            [
                self.playground.swap(pool, pool.mints[side], amount, minimum, trader)
                for pool, side, amount, minimum in swaps
            ],
            trader,
        )

    @rule(lamports=st.integers(1, 2 * 10**10), sender=WALLETS, swap=SWAPS)
    def pay_and_swap(self, lamports: int, sender: Keypair, swap: Any) -> None:
        pool, side, amount, minimum = swap
        receiver = BOB if sender is ALICE else ALICE
        payment = transfer(TransferParams(from_pubkey=sender.pubkey(), to_pubkey=receiver.pubkey(), lamports=lamports))
        self.send([self.playground.swap(pool, pool.mints[side], amount, minimum, sender), payment], sender)

    @rule(slots=st.integers(1, 5))
    def wait(self, slots: int) -> None:
        self.playground.advance(slots)

    @invariant()
    def tokens_are_conserved(self) -> None:
        assert self.tokens_in_all() == self.tokens

    @invariant()
    def lamports_go_nowhere_but_into_fees(self) -> None:
        assert self.lamports_in_all() + self.fees == self.lamports

    def send(self, instructions: list[Instruction], signer: Keypair) -> None:
        # In a slot of its own, since two equal transactions of one slot are the same transaction.
        self.playground.advance()
        before = self.playground.everything()
        landed = self.playground.land(*instructions, signers=[signer])
        self.fees += landed.meta["fee"]
        if landed.error is not None:
            after = self.playground.everything()
            assert {one for one in before | after if before.get(one) != after.get(one)} == {signer.pubkey()}

    def tokens_in_all(self) -> Counter[Pubkey]:
        """Base units by mint, what is withheld of transfers included."""
        total: Counter[Pubkey] = Counter()
        for account in self.playground.everything().values():
            held = token_account(account)
            if held is not None:
                withheld = int.from_bytes(account.data[_WITHHELD], "little") if len(account.data) > 165 else 0
                total[held.mint] += held.amount + withheld
        return total

    def lamports_in_all(self) -> int:
        return sum(account.lamports for account in self.playground.everything().values())


AnyTraffic.TestCase.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
TestAnyTraffic = AnyTraffic.TestCase


def test_an_endowment_raises_the_supply_by_what_it_gives() -> None:
    playground = Playground()
    for mint in MINTS:
        before = playground.ledger.current(mint.address)
        changes = endowed(playground.ledger.current, ALICE.pubkey(), mint.address, 12_345)
        held = [held.amount for one in changes.values() if (held := token_account(one)) is not None]
        assert held == [playground.held(ALICE, mint) + 12_345]
        assert before is not None
        supply = [int.from_bytes(one.data[36:44], "little") for one in (before, changes[mint.address])]
        assert supply[1] - supply[0] == 12_345

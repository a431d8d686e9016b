"""A venue under test: what its vector file says besides the amounts, in terms that all venues share.

Each venue has a module in tests/conformance/subjects/ and a line in tests/conformance/agreement.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.venues.venue import Pool, Venue
from tests.conformance.vector_file import VectorCase


class Subject(Protocol):
    @property
    def venue(self) -> Venue: ...

    @property
    def errors(self) -> Mapping[str, type[ExecutionError]]:
        """What the program's errors are to an order, by name: their numbers differ between releases.

        Written down apart from the venue, which is what is being checked. Of an error that is not listed, only that
        ours refuses too is asked.
        """

    @property
    def not_reproduced(self) -> frozenset[str]:
        """Kinds of cases that no quote can tell: the program was handed something that our instructions don't hand it.

        They are counted apart, each with what ours made of it.
        """

    def withheld(self, case: VectorCase) -> frozenset[Pubkey]:
        """Accounts that this case's kind keeps from the program."""

    def effects(self, pool: Pool, case: VectorCase) -> dict[str, int]:
        """What else the venue says the swap does, by the names that results have for it."""

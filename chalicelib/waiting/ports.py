"""What watching needs of a store, of a queue and of the market, whatever these are built on.

Each method of a store or a queue raises AwsUnavailable where the answer is lost or late, and AwsRefused where asking
again is of no use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from chalicelib.orders.order import Order
from chalicelib.orders.ports import Orders, OrdersQueue
from chalicelib.risk.limits import LimitsInForce
from chalicelib.waiting.circulation import Circulation, WatchMessage
from chalicelib.waiting.look import Payments
from chalicelib.waiting.quote_stream import QuoteNews, QuoteStream
from chalicelib.waiting.waiting_order import WaitingOrder

if TYPE_CHECKING:
    from chalicelib.orders.quoting import SwapQuote

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LookTaken:
    """The watcher has the pair, which stands so."""

    circulation: Circulation


@dataclass(frozen=True, slots=True)
class LookRefused:
    """Somebody else has it, or a later message goes round; None where no order of the pair waits any more."""

    circulation: Circulation | None


class OrdersTogether(Orders, Protocol):
    """Orders, of which several are read or written with one call."""

    def load_each(self, order_ids: Sequence[str]) -> Sequence[Order]:
        """Those of the orders that there are, as they stand."""

    def replace_together(self, orders: Sequence[Order], limits: Mapping[str, LimitsInForce]) -> bool:
        """Write them all, each over the revision that it was made from; `limits` by account, as `replace` has them.

        False, and nothing written, where one of them is stale or a counter full: each by itself tells which. At most
        ten orders.
        """


class WorkersQueue(OrdersQueue, Protocol):
    """The orders queue, to which several messages are sent with one call."""

    def enqueue_each(self, correlation_ids: Mapping[str, str], delay_ms: int = 0) -> None:
        """Hand the orders to the workers, after `delay_ms` or so; by their ids the correlation id of each.

        Where it raises some of them may have been handed over.
        """


class WaitingOrders(Protocol):
    """The open orders by pair. What was written just now may not be there yet, and what ended may be there still."""

    def of_pair(self, pair: str) -> Iterable[WaitingOrder]:
        """Those of both directions."""


class QuoteStreams(Protocol):
    """The streams of quotes by pair."""

    def of_pair(self, pair: str) -> Iterable[QuoteStream]:
        """Those of both directions, also what has ended by the clock. Consistent with every write before."""

    def end(self, stream: QuoteStream) -> bool:
        """Forget the stream, unless its client has asked again since, or it is gone: False then."""


class QuotesUnderWay(Protocol):
    """Posts that go on beside the look that began them. Neither method raises."""

    def sent(self, within_seconds: float) -> frozenset[str]:
        """The names of the streams that were told all by now, or within so long."""

    def finish(self) -> None:
        """Wait for the others, and drop the connections that don't take what they are sent."""


class QuotePosts(Protocol):
    """Tells streams their quotes."""

    def begin(self, due: Mapping[QuoteStream, QuoteNews]) -> QuotesUnderWay:
        """Begin to tell each of these streams its news."""


class Circulations(Protocol):
    """A circulation for each pair of which orders wait, or whose quotes stream."""

    def load(self, pair: str) -> Circulation | None:
        """As it stands, or None."""

    def all(self) -> Iterable[Circulation]:
        """Those of all pairs, in no order."""

    def take(self, pair: str, ticket: int, owner: str, now_ms: int) -> LookTaken | LookRefused:
        """Have the pair for one look: nobody else has it, and the message is the one that counts or nobody is alive."""

    def pass_on(
        self,
        pair: str,
        owner: str,
        ticket: int,
        now_ms: int,
        next_at_ms: int,
        looked_at_ms: int | None,
        streamless_at: int | None = None,
    ) -> bool:
        """The look is over, and the message of this `ticket` is the next, due at `next_at_ms`.

        False where another has the pair by now. `looked_at_ms` is None where not every order was judged;
        `streamless_at` None unless no stream goes on.
        """

    def end(self, pair: str, owner: str, stream_starts: int = 0) -> bool:
        """The circulation ends, if no order waits and no more streams began than `stream_starts`.

        False, and nothing is changed, where one does.
        """


class WatchQueue(Protocol):
    """Carries the messages that go round, and only those."""

    def send(self, message: WatchMessage, delay_ms: int = 0) -> None:
        """Let it come to a watcher after `delay_ms` or so."""

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        """Let a message that is being handled come back after `delay_ms`."""


class LookPace(Protocol):
    """Shares what the nodes' pace leaves for looks evenly among all pairs."""

    def next_at_ms(self, now_ms: int) -> int:
        """From when on the pair that asks may be looked at next. Each pair asks once a look, so all wait alike."""


@dataclass(frozen=True, slots=True)
class MarketSeen:
    """What a pair's market pays, by the token sold, as of `slot`; `quote` tells a stream's whole quote of that moment.

    It raises ExecutionError where there is none, AccountsMissing where more has to be read.
    """

    slot: int
    payments: Mapping[str, Payments]
    quote: Callable[[QuoteStream], SwapQuote]


class PairMarket(Protocol):
    def __call__(self, pair: tuple[str, str], largest: Mapping[str, int], use: Callable[[MarketSeen], T]) -> T:
        """What `use` makes of one read of the pair's market; it may be called again, with a later read.

        `largest` is the largest amount whose payment is asked for, by the token sold. Raises ExecutionError.
        """

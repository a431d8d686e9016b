"""Posting to many connections at once: what an account's connections cost is its own, and none waits for another.

The gateway's own API is played, so that posts can be held up, refused and counted; the clock is the test's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from threading import Event, Lock, Semaphore

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.problems import AwsUnavailable
from chalicelib.push.fan_out import (
    BATCH_SECONDS,
    CONNECTION_SECONDS,
    ESTABLISHING_OF_AN_ACCOUNT,
    MESSAGES_OF_AN_ACCOUNT,
    PAUSES_SECONDS,
    POSTS_AT_ONCE,
    POSTS_AT_ONCE_OF_AN_ACCOUNT,
    FanOut,
    Fate,
    Outbox,
)
from chalicelib.push.publisher import ESTABLISHING_BATCHES
from chalicelib.settings import Settings

PATIENCE_SECONDS = 60.0


class ManagementApi:
    """API Gateway's side: what each connection got, and what happens to a post before it arrives."""

    def __init__(self) -> None:
        self.got: defaultdict[str, list[int]] = defaultdict(list)
        self.tries: defaultdict[str, int] = defaultdict(int)
        self.before: Callable[[str], None] = lambda connection_id: None
        self.now = 0.0
        self.slept: list[float] = []
        self._lock = Lock()

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - boto3's names
        with self._lock:
            self.tries[ConnectionId] += 1
        self.before(ConnectionId)
        with self._lock:
            self.got[ConnectionId].append(json.loads(Data)["number"])

    def delete_connection(self, *, ConnectionId: str) -> None:  # noqa: N803
        raise AssertionError("whoever is to be closed is for the caller to close")

    def get_connection(self, *, ConnectionId: str) -> None:  # noqa: N803
        raise AssertionError("nobody is asked for")

    def pass_time(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds

    def post(self, *outboxes: Outbox) -> None:
        FanOut(WebSocketGateway(self), lambda: self.now, self.slept.append).post(outboxes)


@pytest.fixture
def api() -> ManagementApi:
    return ManagementApi()


def outbox(connection_id: str, account: str, messages: int = 1, *, established: bool = True) -> Outbox:
    return Outbox(connection_id, account, established, [{"number": number} for number in range(messages)])


def idle_streams(number: int, messages: int = 1) -> list[Outbox]:
    return [outbox(f"idle-{one}", "attacker", messages) for one in range(number)]


def refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PostToConnection",
    )


GONE = refusal("GoneException", 410)
LIMITED = refusal("LimitExceededException", 429)
TIMED_OUT = ReadTimeoutError(endpoint_url="https://gateway")
UNWELL = refusal("InternalServerError", 500)
UNREACHABLE = EndpointConnectionError(endpoint_url="https://gateway")


# --- nobody waits for another -------------------------------------------------------------------------------------


@pytest.mark.parametrize("accounts", [1, 3])
def test_other_accounts_messages_go_out_while_150_streams_are_stuck(api: ManagementApi, accounts: int) -> None:
    """As many streams are stuck as may be before anybody else's first message has gone out."""
    quiet = [outbox(f"quiet-{number}", f"quiet-{number}", messages=9) for number in range(accounts)]
    at_most = min(POSTS_AT_ONCE_OF_AN_ACCOUNT, POSTS_AT_ONCE - accounts)
    stuck, all_stuck, told = Semaphore(0), Event(), Event()
    waited: list[bool] = []  # whether what was waited for came: what a post raises is the fan-out's to deal with

    def before(connection_id: str) -> None:
        if connection_id.startswith("idle"):
            stuck.release()
            waited.append(told.wait(PATIENCE_SECONDS))
            return
        if connection_id == "quiet-0" and not all_stuck.is_set():
            waited.extend(stuck.acquire(timeout=PATIENCE_SECONDS) for _ in range(at_most))
            all_stuck.set()
        waited.append(all_stuck.wait(PATIENCE_SECONDS))
        if all(api.tries[one.connection_id] == 9 for one in quiet):
            told.set()

    api.before = before
    streams = idle_streams(150)
    api.post(*streams, *quiet)
    assert all(waited), "the quiet accounts wait for the stuck ones"
    assert all(api.got[one.connection_id] == list(range(9)) for one in quiet)
    assert {one.fate for one in [*streams, *quiet]} == {Fate.SENT}


def test_an_account_holds_its_share_of_the_posts_at_once_and_all_together_no_more_than_there_are(
    api: ManagementApi,
) -> None:
    under_way: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    lock = Lock()

    def before(connection_id: str) -> None:
        account = connection_id.partition("-")[0]
        with lock:
            for name in (account, "all"):
                under_way[name] += 1
                most[name] = max(most[name], under_way[name])
        Event().wait(0.001)
        with lock:
            for name in (account, "all"):
                under_way[name] -= 1

    api.before = before
    api.post(*(outbox(f"{account}-{number}", account, 3) for account in "abcdef" for number in range(10)))
    assert max(most[account] for account in "abcdef") <= POSTS_AT_ONCE_OF_AN_ACCOUNT
    assert 1 < most["all"] <= POSTS_AT_ONCE


def test_each_connection_gets_its_messages_in_their_order(api: ManagementApi) -> None:
    api.post(*(outbox(f"{account}-{number}", account, 9) for account in "abc" for number in range(7)))
    assert len(api.got) == 21
    assert all(got == list(range(9)) for got in api.got.values())


@pytest.mark.parametrize("error", [GONE, LIMITED, TIMED_OUT], ids=["gone", "limited", "timed out"])
def test_one_that_is_gone_limited_or_slow_costs_the_others_nothing(api: ManagementApi, error: Exception) -> None:
    def before(connection_id: str) -> None:
        if connection_id.startswith("idle"):
            raise error

    api.before = before
    streams, quiet = idle_streams(30, messages=3), outbox("quiet", "quiet", messages=3)
    api.post(*streams, quiet)
    assert (api.got["quiet"], quiet.fate) == ([0, 1, 2], Fate.SENT)
    assert api.tries["quiet"] == 3
    assert {one.fate for one in streams} == {Fate.GONE if error is GONE else Fate.TOO_SLOW}
    assert api.slept in ([], [*PAUSES_SECONDS]), "a batch pauses for all of them together"


# --- budgets ------------------------------------------------------------------------------------------------------


def test_a_slow_connection_is_posted_to_within_its_budget_and_no_longer(api: ManagementApi) -> None:
    api.before = lambda connection_id: api.pass_time(CONNECTION_SECONDS / 2)
    slow = outbox("slow", "a", messages=5)
    api.post(slow)
    assert (api.got["slow"], slow.fate, slow.sent) == ([0, 1], Fate.TOO_SLOW, 2)
    assert api.slept == []


def test_one_whose_post_did_not_come_to_an_end_is_not_tried_again(api: ManagementApi) -> None:
    def time_out(_: str) -> None:
        api.pass_time(CONNECTION_SECONDS)
        raise TIMED_OUT

    api.before = time_out
    stuck = outbox("stuck", "a", messages=5)
    api.post(stuck)
    assert (api.tries["stuck"], stuck.fate) == (1, Fate.TOO_SLOW)


def test_a_batch_ends_however_many_are_stuck(api: ManagementApi) -> None:
    told = Event()
    waited: list[bool] = []

    def before(connection_id: str) -> None:
        if connection_id == "quiet":
            told.set()
            return
        waited.append(told.wait(PATIENCE_SECONDS))
        api.pass_time(CONNECTION_SECONDS)
        raise TIMED_OUT

    api.before = before
    streams = idle_streams(150)
    api.post(*streams, outbox("quiet", "quiet"))
    assert all(waited)
    assert api.got["quiet"] == [0]
    assert {one.fate for one in streams} == {Fate.TOO_SLOW}
    # a clock that these moved one after the other: those that were under way when the time was over were begun before
    begun = sum(api.tries[one.connection_id] for one in streams)
    assert begun < BATCH_SECONDS / CONNECTION_SECONDS + 1 + POSTS_AT_ONCE_OF_AN_ACCOUNT


def test_beyond_its_accounts_share_a_connection_is_not_posted_to(api: ManagementApi) -> None:
    each = 10
    fitting = MESSAGES_OF_AN_ACCOUNT // each
    streams, quiet = idle_streams(2 * fitting, messages=each), outbox("quiet", "quiet", messages=each)
    api.post(*streams, quiet)
    fates = [one.fate for one in streams]
    assert (fates.count(Fate.SENT), fates.count(Fate.TOO_SLOW)) == (fitting, fitting)
    assert {len(got) for got in api.got.values()} == {each}, "nobody gets a part"
    assert quiet.fate is Fate.SENT


def test_an_accounts_only_connection_gets_everything(api: ManagementApi) -> None:
    only = outbox("only", "a", messages=3 * MESSAGES_OF_AN_ACCOUNT)
    api.post(only)
    assert (only.fate, len(api.got["only"])) == (Fate.SENT, 3 * MESSAGES_OF_AN_ACCOUNT)


# --- what may pass ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LIMITED, TIMED_OUT, UNWELL, UNREACHABLE])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_what_passes_is_tried_again_where_it_stopped(api: ManagementApi, error: Exception, fails_at: int) -> None:
    def before(connection_id: str) -> None:
        if api.tries[connection_id] == fails_at:
            raise error

    api.before = before
    one = outbox("one", "a", messages=3)
    api.post(one)
    assert (api.got["one"], one.fate, one.error) == ([0, 1, 2], Fate.SENT, None)
    assert api.slept == [PAUSES_SECONDS[0]]


def test_one_that_is_not_established_yet_is_none_that_is_gone(api: ManagementApi) -> None:
    def before(connection_id: str) -> None:
        raise GONE

    api.before = before
    new, old = outbox("new", "a", established=False), outbox("old", "a")
    api.post(new, old)
    assert (new.fate, old.fate) == (Fate.NOT_ESTABLISHED, Fate.GONE)
    assert (api.tries["new"], api.tries["old"]) == (1 + len(PAUSES_SECONDS), 1)


def test_however_many_of_an_account_are_not_established_a_batch_tries_each_once_and_does_not_wait(
    api: ManagementApi,
) -> None:
    def before(connection_id: str) -> None:
        raise GONE

    api.before = before
    ghosts = [outbox(f"ghost {number}", "a", established=False) for number in range(30)]
    api.post(*ghosts)
    assert {one.fate for one in ghosts} == {Fate.NOT_ESTABLISHED}
    assert {api.tries[one.connection_id] for one in ghosts} == {1}
    assert api.slept == []


def test_another_accounts_is_tried_again_while_many_of_one_are_not_established(api: ManagementApi) -> None:
    def before(connection_id: str) -> None:
        if connection_id != "early" or api.tries["early"] == 1:
            raise GONE

    api.before = before
    ghosts = [outbox(f"ghost {number}", "a", established=False) for number in range(30)]
    early = outbox("early", "b", established=False)
    api.post(*ghosts, early)
    assert (early.fate, api.tries["early"]) == (Fate.SENT, 2)


def test_of_many_that_are_waited_for_each_has_its_turn_within_the_batches_that_wait(api: ManagementApi) -> None:
    """They are as many as a key may have connections."""
    connections = Settings.model_fields["connections_per_key"].default

    def before(connection_id: str) -> None:
        raise GONE

    api.before = before
    for waits in range(1, ESTABLISHING_BATCHES):
        waited_for = [outbox(f"late {number}", "a", established=False) for number in range(connections)]
        for one in waited_for:
            one.waits = waits
        before_batch = sum(api.tries.values())
        api.post(*waited_for)
        assert {one.fate for one in waited_for} == {Fate.NOT_ESTABLISHED}
        assert sum(api.tries.values()) - before_batch == ESTABLISHING_OF_AN_ACCOUNT
    assert all(api.tries[one.connection_id] for one in waited_for)


def test_one_that_was_too_early_before_is_tried_once_after_the_others_and_a_pause(api: ManagementApi) -> None:
    tried: list[str] = []
    api.before = tried.append
    patient, other = outbox("patient", "a", established=False), outbox("other", "a", messages=3)
    patient.waits = 1
    api.post(patient, other)
    assert tried == ["other"] * 3 + ["patient"]
    assert (patient.fate, api.slept) == (Fate.SENT, [*PAUSES_SECONDS])


@pytest.mark.parametrize("error", [UNWELL, UNREACHABLE])
def test_a_failure_of_the_gateway_itself_is_no_connections_fault(api: ManagementApi, error: Exception) -> None:
    def before(connection_id: str) -> None:
        raise error

    api.before = before
    streams = idle_streams(5)
    api.post(*streams)
    assert {one.fate for one in streams} == {Fate.FAILED}
    assert all(isinstance(one.error, AwsUnavailable) for one in streams)


def test_nothing_to_be_said_is_said_at_once(api: ManagementApi) -> None:
    silent = outbox("silent", "a", messages=0)
    api.post(silent)
    api.post()
    assert silent.fate is Fate.SENT
    assert not api.tries

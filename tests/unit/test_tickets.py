"""Tickets for the WebSocket: signed, for one order or one account, for a minute."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.ticket_secret import FRESH_FOR_MS, LOOK_AGAIN_AFTER_MS, TicketSecret
from chalicelib.access.tickets import LIFE_MS, Ticket, seal, unseal
from chalicelib.problems import AwsUnavailable, Unauthorized

NOW = 1_760_000_000_000
SECRET, OTHER = b"a" * 64, b"b" * 64
TICKET = Ticket("alice", "order-1", NOW + LIFE_MS, "0f" * 16)

tickets = st.builds(
    Ticket,
    account=st.text(max_size=63),
    order_id=st.none() | st.text(max_size=64),
    expires_at_ms=st.integers(min_value=NOW + 1, max_value=NOW + LIFE_MS),
    nonce=st.text(max_size=32),
    key_id=st.none() | st.text(max_size=32),
)


@given(tickets)
def test_a_ticket_says_what_it_was_made_for(ticket: Ticket) -> None:
    if len(seal(ticket, SECRET)) <= 1024:
        assert unseal(seal(ticket, SECRET), [OTHER, SECRET], NOW) == ticket


def test_a_ticket_lets_in_until_its_minute_is_over() -> None:
    text = seal(TICKET, SECRET)
    assert unseal(text, [SECRET], TICKET.expires_at_ms - 1) == TICKET
    with pytest.raises(Unauthorized, match="expired"):
        unseal(text, [SECRET], TICKET.expires_at_ms)


def test_a_ticket_that_another_secret_signed_is_none() -> None:
    with pytest.raises(Unauthorized, match="not one of ours"):
        unseal(seal(TICKET, OTHER), [SECRET], NOW)


@given(st.integers(min_value=0), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_ticket_with_any_character_changed_is_none(place: int, character: str) -> None:
    text = seal(TICKET, SECRET)
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    if changed != text:
        with pytest.raises(Unauthorized):
            unseal(changed, [SECRET], NOW)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{43}", fullmatch=True))
def test_no_text_whatever_is_more_than_a_refusal(text: str) -> None:
    with pytest.raises(Unauthorized):
        unseal(text, [SECRET], NOW)


def test_a_payload_with_another_tickets_signature_is_none() -> None:
    theirs = Ticket("bob", TICKET.order_id, TICKET.expires_at_ms, TICKET.nonce)
    payload, signature = seal(theirs, OTHER).split(".")[0], seal(TICKET, SECRET).split(".")[1]
    with pytest.raises(Unauthorized):
        unseal(f"{payload}.{signature}", [SECRET], NOW)
    assert b"bob" in base64.urlsafe_b64decode(payload + "==")


# --- the secret ---------------------------------------------------------------------------------------------------


class Vault:
    """Secrets Manager with one secret and what it was before; counts how often it is asked."""

    def __init__(self, current: str) -> None:
        self.versions = {"AWSCURRENT": current}
        self.asked = 0
        self.down = False

    def rotate(self, new: str) -> None:
        self.versions = {"AWSCURRENT": new, "AWSPREVIOUS": self.versions["AWSCURRENT"]}

    def get_secret_value(self, **request: Any) -> Any:
        stage = request["VersionStage"]
        self.asked += 1
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://secrets.example")
        if stage not in self.versions:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.versions[stage]}


class NoKeys:
    """A stage where nobody has a key; the tickets here name none."""

    def is_valid(self, key_id: str, now_ms: int) -> bool:
        return False


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW

    def __call__(self) -> int:
        return self.now_ms


def office(vault: Vault, clock: Clock) -> TicketOffice:
    """One whose tickets belong to no key: no key is asked for."""
    return TicketOffice(TicketSecret(vault, "ticket", clock), NoKeys(), clock, lambda size: bytes(size))


def test_after_a_rotation_tickets_of_both_secrets_let_in_whoever_noticed_it_first() -> None:
    vault, clock = Vault("1" * 64), Clock()
    slow, quick = office(vault, clock), office(vault, clock)
    old, _ = slow.issue("alice", None, None)
    quick.open()
    vault.rotate("2" * 64)
    clock.now_ms += LOOK_AGAIN_AFTER_MS
    informed = office(vault, clock)
    new, ticket = informed.issue("alice", None, None)
    assert informed.check(old).account == "alice"
    assert slow.check(new) == ticket, "a signature that it doesn't know makes it look again"


def test_forged_tickets_do_not_make_us_ask_for_the_secret_each_time() -> None:
    vault, clock = Vault("1" * 64), Clock()
    asked = office(vault, clock)
    forged = seal(TICKET, OTHER)
    for _ in range(20):
        with pytest.raises(Unauthorized):
            asked.check(forged)
    assert vault.asked == 2  # the current and the former one, once


def test_a_process_that_knows_the_secret_goes_on_while_it_can_not_be_read() -> None:
    vault, clock = Vault("1" * 64), Clock()
    desk = office(vault, clock)
    desk.open()
    vault.down = True
    clock.now_ms += FRESH_FOR_MS
    text, ticket = desk.issue("alice", "order-1", None)
    assert desk.check(text) == ticket
    asked = vault.asked
    desk.issue("alice", "order-1", None)
    assert vault.asked == asked, "not at every request"


def test_without_the_secret_nothing_is_issued() -> None:
    vault = Vault("1" * 64)
    vault.down = True
    with pytest.raises(AwsUnavailable):
        office(vault, Clock()).open()


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="too short"):
        office(Vault(""), Clock()).issue("alice", None, None)

"""Which request a line goes back to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.correlation import HEADER, correlation_id_of

GATEWAYS = {"requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"}


@pytest.mark.parametrize("given_id", ["a", "order/17:retry", "x" * 64, "!~"])
def test_a_clients_own_id_is_kept(given_id: str) -> None:
    assert correlation_id_of({HEADER: given_id}, GATEWAYS) == given_id


@pytest.mark.parametrize("given_id", ["", " ", "a b", "x" * 65, "a\n", "a\r\nset-cookie: x", "\x1b[31m", "é", "\x7f"])
def test_an_id_that_a_line_or_a_header_could_not_hold_is_replaced_by_the_gateways(given_id: str) -> None:
    assert correlation_id_of({HEADER: given_id}, GATEWAYS) == GATEWAYS["requestId"]


def test_without_either_there_is_none() -> None:
    assert correlation_id_of({}, {}) == ""


@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_comes_the_id_is_visible_ascii_of_at_most_64_characters(header: str, request_id: str) -> None:
    found = correlation_id_of({HEADER: header}, {"requestId": request_id})
    assert found.isascii()
    assert len(found) <= 64
    assert all("!" <= character <= "~" for character in found)

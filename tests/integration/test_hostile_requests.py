"""Requests that other engines have executed, stored wrongly or died of. Each is a clear refusal here, or taken exactly.

`Web` holds every answer to the OpenAPI document besides.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.contract.requests import MAX_BODY_BYTES, MAX_PROBLEMS
from tests.integration.cloud import Json
from tests.integration.web import ORDER, Web, fields, problem, without_ticket
from tests.sample_orders import new_order

WHATEVER = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def order_body(**raw: str) -> bytes:
    """An order's JSON with some values as they are written, also such as no library would write."""
    values = {name: json.dumps(value) for name, value in ORDER.items()} | raw
    return ("{" + ",".join(f'"{name}":{value}' for name, value in values.items()) + "}").encode()


# --- amounts ------------------------------------------------------------------------------------------------------

NO_AMOUNTS = [
    *("1e-30", "true", "false", "[1]", "[]", "{}", "null", '""', '" 1"', '"1 "', '"1_000"', '"1,5"', '"0x10"'),
    *("0", "-0", "-1", '"-1"', '"+-1"', "1e400", "1E+400", '"1e400"', "1e-400", "1e999999999999", "9" * 65),
    *("1" + "0" * 5_000, '"Infinity"', '"NaN"', '"\\u0000"', '"1\\u0000"', '"\\ud800"', '"١"', '"1\\n"'),
    "18446744073.709551616",  # 2^64 of SOL's base units
]


def test_what_is_no_amount_is_400_and_names_the_amount(web: Web, subtests: pytest.Subtests) -> None:
    for amount in NO_AMOUNTS:
        with subtests.test(amount=amount[:30]):
            assert fields(web("POST", "/orders/execute", order_body(amount=amount))) == ["amount"]
    assert web.cloud.receive() == []


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_word_for_is_no_json(web: Web, constant: str) -> None:
    assert fields(web("POST", "/orders/execute", order_body(amount=constant))) == ["body"]


@pytest.mark.parametrize(
    ("amount", "shown", "units"),
    [
        ("9007199254.740993", "9007199254.740993", 2**53 + 1),
        ('"9007199254.740993"', "9007199254.740993", 2**53 + 1),
        ("1e-6", "0.000001", 1),
        ("18446744073709.551615", "18446744073709.551615", 2**64 - 1),
        ("0.1", "0.1", 100_000),
        ("1.10", "1.1", 1_100_000),
    ],
)
def test_an_amount_is_stored_to_its_last_unit_however_it_is_written(
    web: Web, amount: str, shown: str, units: int
) -> None:
    order_id = web("POST", "/orders/execute", order_body(tokenIn='"USDC"', tokenOut='"SOL"', amount=amount)).json_body[
        "orderId"
    ]
    assert web.cloud.stored(order_id).amount == units
    assert web.json("GET", f"/orders/{order_id}")["amount"] == shown


@given(st.integers(1, 2**64 - 1), st.booleans())
@WHATEVER
def test_every_u64_of_base_units_is_kept(web: Web, units: int, as_text: bool) -> None:
    text = f"{units // 10**6}.{units % 10**6:06}"
    raw = f'"{text}"' if as_text else text
    response = web("POST", "/orders/execute", order_body(tokenIn='"USDC"', tokenOut='"SOL"', amount=raw))
    assert web.cloud.stored(response.json_body["orderId"]).amount == units


@pytest.mark.parametrize("token", ["SOL", "sol", "So11111111111111111111111111111111111111112"])
def test_a_token_is_not_traded_for_itself_however_it_is_called(web: Web, token: str) -> None:
    assert fields(web("POST", "/orders/execute", {**ORDER, "tokenOut": token})) == ["tokenOut"]
    assert fields(web("GET", f"/quotes?tokenIn=SOL&tokenOut={token}&amount=1")) == ["tokenOut"]


# --- bodies -------------------------------------------------------------------------------------------------------

NO_BODIES = [
    order_body(type="[" * 4_000 + "]" * 4_000),
    order_body(amount='{"a":' * 2_000 + "1" + "}" * 2_000),
    b"[" * 100_000,
    order_body() + b"," + order_body(),
    order_body().decode().encode("utf-16"),
    order_body().decode().encode("utf-32"),
    order_body().replace(b"SOL", b"\xff\xfe"),
    order_body().replace(b"SOL", b"\xed\xa0\x80"),  # a surrogate, as no UTF-8 may have it
    order_body().replace(b"SOL", b"S\x00L"),
    order_body()[:-1] + b',"\\ud800":1,"\\ud800":2}',
    order_body(amount="01"),
    order_body(amount="1."),
    order_body(amount="'1'"),
    b"\x00",
    b"\xef\xbb\xbf",
]


def test_what_is_not_the_json_of_an_order_is_400(web: Web, subtests: pytest.Subtests) -> None:
    for body in NO_BODIES:
        with subtests.test(body=body[:40]):
            assert set(fields(web("POST", "/orders/execute", body))) <= {"body", "type", "amount", "?"}
    assert web.cloud.receive() == []


def test_a_byte_order_mark_before_the_json_does_no_harm(web: Web) -> None:
    assert web("POST", "/orders/execute", b"\xef\xbb\xbf" + order_body()).status_code == 202


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 300_000])
def test_a_body_that_is_too_large_is_400_and_says_how_large_it_may_be(web: Web, size: int) -> None:
    refused = web("POST", "/orders/execute", order_body() + b" " * (size - len(order_body())))
    assert fields(refused) == ["body"]
    assert str(MAX_BODY_BYTES) in refused.json_body["detail"]


@pytest.mark.parametrize("body", [order_body()[:-1] + b',"amount":"9"}', b'{"amount":{"amount":1,"amount":2}}'])
def test_a_name_that_is_given_twice_is_400_and_named(web: Web, body: bytes) -> None:
    assert fields(web("POST", "/orders/execute", body)) == ["amount"]


def test_a_hostile_name_is_not_repeated_whole(web: Web) -> None:
    refused = web("POST", "/orders/execute", order_body(**{"\\n\\u001b[31m" + "x" * 9_000: "1"}))
    problem(refused, 400)
    assert len(refused.body) < 1_000


def test_a_thousand_wrong_fields_are_not_all_repeated(web: Web) -> None:
    refused = web("POST", "/orders/execute", order_body(**{f"x{number}": "1" for number in range(1_000)}))
    assert len(fields(refused)) == MAX_PROBLEMS


def test_no_odd_character_makes_a_token(web: Web, subtests: pytest.Subtests) -> None:
    odd = ("\x00", "SOL\x00", "\x1b[31mSOL", "S\nOL", "\ud800", "\u202eLOS", "\uff33OL", "' OR 1=1--", "${jndi}")
    for text in odd:
        with subtests.test(text=text):
            assert fields(web("POST", "/orders/execute", {**ORDER, "tokenIn": text})) == ["tokenIn"]


# --- ids, paths and queries ---------------------------------------------------------------------------------------

NO_IDS = [
    *("%00", "a%00b", "%0d%0aX-Evil:%201", "%2e%2e", "%2e%2e%2fhealth", "..%2f..%2fetc", "%252e", "%c0%ae"),
    *("%ed%a0%80", "a%2Fb", "a%5Cb", "subscription%23x", "%7B%22S%22%3A%22x%22%7D", "order-1%20", "%E2%80%AE"),
    *("x" * 65, "x" * 5_000),
]


def test_no_trick_with_an_id_reaches_another_item(web: Web, subtests: pytest.Subtests) -> None:
    web.cloud.store().create(new_order("order-1"))
    for order_id in NO_IDS:
        for method in ("GET", "DELETE"):
            with subtests.test(method=method, order_id=order_id[:40]):
                refused = web(method, f"/orders/{order_id}")
                problem(refused, 404)
                assert "x-evil" not in {name.lower() for name in refused.headers}
                assert len(refused.body) < 500


def test_a_path_that_is_no_route_is_none_of_ours(web: Web, subtests: pytest.Subtests) -> None:
    for path in ("//orders", "/orders//", "/orders/x/", "/./orders", "/orders/../health", "/orders/x/y", "/ORDERS"):
        with subtests.test(path=path):
            assert web("GET", path).status_code in (403, 404)


NO_QUERIES = [
    ("status=pending&status=failed", ["status"]),
    ("limit=1&limit=1", ["limit"]),
    ("x=1&x=2", ["x"]),
    ("limit=5.0", ["limit"]),
    ("limit=+5", ["limit"]),
    ("limit=1_0", ["limit"]),
    ("limit=%D9%A5", ["limit"]),
    ("limit=" + "9" * 5_000, ["limit"]),
    ("status=pending%00", ["status"]),
    ("tokenIn=%00", ["tokenIn"]),
    ("tokenIn=%ff", ["tokenIn"]),
    ("cursor=%00", ["cursor"]),
    ("cursor=" + "A" * 100_000, ["cursor"]),
    ("%0d%0aX-Evil=1", ["\r\nX-Evil"]),
    ("__proto__=1&constructor=2", ["__proto__", "constructor"]),
]


def test_a_hostile_query_is_400_and_names_each_wrong_parameter(web: Web, subtests: pytest.Subtests) -> None:
    for query, wrong in NO_QUERIES:
        with subtests.test(query=query[:40]):
            refused = web("GET", f"/orders?{query}")
            assert fields(refused) == wrong
            assert len(refused.body) < 1_000


def test_a_quotes_parameters_are_given_once_each(web: Web) -> None:
    refused = web("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1&amount=1000")
    assert fields(refused) == ["amount"]


def cursor_of(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


NO_CURSORS: list[object] = [
    [1_760_000_000_000, "order-1", "more"],
    ["1760000000000", "order-1"],
    *([1.5, "order-1"], [True, "order-1"], [-1, "order-1"], [10**15, "order-1"], [10**400, "order-1"]),
    *([1, ""], [1, "a b"], [1, "\x00"], [1, {"S": "order-1"}], [1, "x" * 65]),
    *({"account": "operator"}, "x", 1, None),
    *(b"\xff\xfe\x00", b"[" * 700, b"[1, NaN]", b"9" * 700),
]


def test_a_cursor_that_was_tampered_with_is_400(web: Web, subtests: pytest.Subtests) -> None:
    for content in NO_CURSORS:
        with subtests.test(content=str(content)[:40]):
            assert fields(web("GET", f"/orders?cursor={cursor_of(content)}")) == ["cursor"]


def test_a_cursor_that_names_anothers_order_shows_only_ones_own(web: Web) -> None:
    web.cloud.store().create(new_order("mine", created_at_ms=1_760_000_000_000))
    web.cloud.store().create(new_order("theirs", account="operator", created_at_ms=1_760_000_000_001))
    page = web.json("GET", f"/orders?cursor={cursor_of([1_760_000_000_001, 'theirs'])}")
    assert [order["orderId"] for order in page["orders"]] == ["mine"]


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@WHATEVER
def test_no_cursor_whatever_is_our_failure(web: Web, cursor: str) -> None:
    assert web("GET", f"/orders?cursor={quote(cursor, errors='surrogatepass')}").status_code in (200, 400)


# --- headers ------------------------------------------------------------------------------------------------------

NO_KEYS = [
    *("", " ", "a b", "a\tb", "a\r\nX-Evil: 1", "a\x00", "a\x1b[31m", "a\x7f", "clé", "\ud800", "key\n"),
    *("x" * 129, "x" * 9_000),
]


def test_an_idempotency_key_that_is_none_is_400(web: Web, subtests: pytest.Subtests) -> None:
    for key in NO_KEYS:
        with subtests.test(key=key[:40]):
            refused = web("POST", "/orders/execute", ORDER, {"Idempotency-Key": key})
            assert fields(refused) == ["Idempotency-Key"]
            assert "x-evil" not in {name.lower() for name in refused.headers}
    assert web.cloud.receive() == []


@pytest.mark.parametrize("key", ["x", "!" * 128, "~a:b/c?d=e&f#g%00\\\"'<>"])
def test_every_key_of_1_to_128_visible_ascii_characters_is_one(web: Web, key: str) -> None:
    first, again = (web("POST", "/orders/execute", ORDER, {"Idempotency-Key": key}) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert without_ticket(first.json_body).items() <= without_ticket(again.json_body).items()


def test_no_media_type_whatever_is_our_failure(web: Web, subtests: pytest.Subtests) -> None:
    for media_type in ("text/html", "application/json/x", "application/jsonx", "", "*/*", "\x00"):
        with subtests.test(media_type=media_type):
            response = web("POST", "/orders/execute", ORDER, {"Content-Type": media_type})
            assert response.status_code in (202, 415)


def test_what_is_of_another_kind_than_json_is_415(web: Web, subtests: pytest.Subtests) -> None:
    for media_type in ("application/xml", "application/x-msgpack", "application/cbor", "text/csv"):
        with subtests.test(media_type=media_type):
            problem(web("POST", "/orders/execute", ORDER, {"Content-Type": media_type}), 415)


ODD_HEADERS: st.SearchStrategy[Json] = st.dictionaries(
    st.sampled_from(["Idempotency-Key", "Content-Type", "x-api-key", "Accept", "X-Forwarded-For"]),
    st.text(st.characters(codec="latin-1"), max_size=12),
    max_size=3,
)


@given(ODD_HEADERS)
@WHATEVER
def test_no_header_whatever_is_our_failure(web: Web, headers: dict[str, str]) -> None:
    assert web("POST", "/orders/execute", ORDER, headers).status_code in (200, 202, 400, 401, 409, 415)

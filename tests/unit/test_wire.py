"""The contract's JSON: exact amounts in, exact amounts out, and every wrong field named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.amounts import U64_MAX, parse_decimal, price_text, to_base_units, to_ppm, to_text
from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.order_item import item_to_order, order_to_item
from chalicelib.contract.requests import (
    MAX_BODY_BYTES,
    ClientMessage,
    ExactNumber,
    OrderListRequest,
    OrderRequest,
    QuoteRequest,
    parse_body,
    validate,
    validate_idempotency_key,
)
from chalicelib.contract.views import order_json, problem_json, status_message, step_json
from chalicelib.orders.life import fail_attempt, start_attempt
from chalicelib.orders.order import Offer
from chalicelib.problems import FieldProblem, InvalidRequest, NoPool, NotFound, RpcUnavailable
from chalicelib.times import time_text
from tests.sample_orders import (
    CREATED_AT_MS,
    SOL,
    USDC,
    building,
    confirmed,
    failed,
    new_order,
    retrying,
    routing,
    submitted,
)

ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10", "slippage": "0.01"}

DECIMALS = st.integers(0, 18)
U64 = st.integers(1, U64_MAX)


def wrong_fields(call: Any, *arguments: Any) -> dict[str, str]:
    """The fields that the call complains about, each with its message."""
    with pytest.raises(InvalidRequest) as refused:
        call(*arguments)
    return {problem.field: problem.message for problem in refused.value.problems}


def wrong_fields_if_any(call: Any, *arguments: Any) -> set[str]:
    """The same for what may be right: nothing but InvalidRequest, with an answer that can be sent, may come of it."""
    try:
        call(*arguments)
    except InvalidRequest as refused:
        json.dumps(problem_json(refused), ensure_ascii=False).encode()
        return {problem.field for problem in refused.problems} or {"nothing named"}
    return set()


def order_request(**changes: object) -> OrderRequest:
    return validate(OrderRequest, {**ORDER, **changes})


def body(text: bytes | str) -> OrderRequest:
    return validate(OrderRequest, parse_body(text))


# --- amounts: exact or refused ------------------------------------------------------------------------------------


@given(base_units=U64, decimals=DECIMALS)
@example(base_units=U64_MAX, decimals=0)
@example(base_units=U64_MAX, decimals=18)
@example(base_units=1, decimals=18)
def test_an_amount_survives_its_text_to_the_unit(base_units: int, decimals: int) -> None:
    assert to_base_units(Decimal(to_text(base_units, decimals)), decimals, "amount") == base_units


@given(base_units=st.integers(0, U64_MAX), decimals=DECIMALS)
def test_an_amounts_text_is_plain_and_has_no_needless_zero(base_units: int, decimals: int) -> None:
    text = to_text(base_units, decimals)
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d*[1-9])?", text)
    assert Decimal(text) * 10**decimals == base_units


@given(base_units=U64, decimals=DECIMALS, zeros=st.integers(0, 20))
def test_trailing_zeros_are_no_further_decimals(base_units: int, decimals: int, zeros: int) -> None:
    text = to_text(base_units, decimals)
    padded = text + ("" if "." in text else ".") + "0" * zeros
    assert to_base_units(parse_decimal(padded, "amount"), decimals, "amount") == base_units


def test_ten_and_a_half_may_be_written_with_a_second_decimal_of_nothing() -> None:
    assert to_base_units(Decimal("10.50"), 1, "amount") == 105


@given(base_units=U64, decimals=DECIMALS, beyond=st.integers(1, 30), digit=st.integers(1, 9))
def test_more_decimals_than_the_token_has_are_an_error_that_names_the_field(
    base_units: int, decimals: int, beyond: int, digit: int
) -> None:
    amount = Decimal(f"{base_units * 10**beyond + digit}e-{decimals + beyond}")
    assert "amount" in wrong_fields(to_base_units, amount, decimals, "amount")


@pytest.mark.parametrize("text", ["0", "0.000", "-1", "-0", "0e999999999", "-1e999999999"])
def test_an_amount_must_be_above_zero(text: str) -> None:
    assert wrong_fields(to_base_units, Decimal(text), 9, "amount") == {"amount": "must be greater than zero"}


@pytest.mark.parametrize("text", ["18446744073.709551616", "1e400", "1e999999999", "9" * 60])
def test_an_amount_beyond_u64_is_refused_before_anything_is_made_of_its_digits(text: str) -> None:
    assert "larger than any token amount" in wrong_fields(to_base_units, Decimal(text), 9, "amount")["amount"]


@pytest.mark.parametrize("text", ["1e-30", "1e-999999999", "0." + "0" * 50 + "1"])
def test_an_amount_too_fine_for_any_token_is_refused(text: str) -> None:
    assert wrong_fields(to_base_units, Decimal(text), 9, "amount") == {"amount": "has more decimals than the token's 9"}


def test_a_json_number_is_kept_to_the_last_digit() -> None:
    """2^53 + 1 and 0.1 + 0.2: what a binary float can't hold."""
    assert body('{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":9007199254740993}').amount == 2**53 + 1
    request = body('{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":0.300000000000000000000000000001}')
    assert str(request.amount) == "0.300000000000000000000000000001"


@given(number=st.decimals(0, 10**12, places=20))
def test_string_and_number_say_the_same_amount(number: Decimal) -> None:
    quoted = parse_body(json.dumps({**ORDER, "amount": str(number)}))
    bare = parse_body(json.dumps({**ORDER, "amount": "?"}).replace('"?"', f"{number:f}"))
    assert validate(OrderRequest, quoted).amount == validate(OrderRequest, bare).amount == number


@pytest.mark.parametrize(
    "value",
    [
        "NaN", "Infinity", "-Infinity", "sNaN", "", " ", " 1", "1 ", "1\n", "１", "١", "0x10", "1_000", "1,5", "1.2.3",
        "e5", ".", "+", "1e", "--1", "0b1", "1/2", "9" * 65, "1e" + "9" * 40,
    ],
)  # fmt: skip
def test_what_is_no_plain_decimal_number_is_refused(value: str) -> None:
    assert list(wrong_fields(parse_decimal, value, "amount")) == ["amount"]
    assert list(wrong_fields(lambda: order_request(amount=value))) == ["amount"]


@pytest.mark.parametrize("value", [True, False, None, [1], ["1"], {}, {"value": "1"}, 1, 1.5])
def test_what_is_neither_text_nor_a_json_number_is_no_amount(value: object) -> None:
    """Python's own numbers never come out of parse_body, so that none can have been through a float."""
    assert list(wrong_fields(lambda: order_request(amount=value))) == ["amount"]
    assert list(wrong_fields(lambda: order_request(slippage=value))) == ["slippage"]


@pytest.mark.parametrize("text", ["10", "10.5", "+1", "1.", ".5", "1e3", "1E-3", "007", "0.000000001"])
def test_every_usual_way_to_write_a_number_is_understood(text: str) -> None:
    assert parse_decimal(text, "amount") == Decimal(text)


# --- slippage -----------------------------------------------------------------------------------------------------


@given(ppm=st.integers(0, 500_000))
def test_slippage_is_exact_in_millionths(ppm: int) -> None:
    assert to_ppm(Decimal(ppm).scaleb(-6), "slippage") == ppm
    assert to_ppm(Decimal(to_text(ppm, 6)), "slippage") == ppm


@pytest.mark.parametrize("text", ["0.500001", "0.5000000000000000000000000000000001", "1", "-0.000001", "1e999999999"])
def test_slippage_is_a_fraction_of_at_most_a_half(text: str) -> None:
    assert wrong_fields(to_ppm, Decimal(text), "slippage") == {
        "slippage": "must be a fraction from 0 to 0.5 (0.01 is one percent)"
    }


@pytest.mark.parametrize("text", ["0.0000001", "1e-999999999", "0.0100001", "0.01" + "0" * 40 + "1"])
def test_slippage_finer_than_a_millionth_is_refused_and_not_rounded(text: str) -> None:
    assert wrong_fields(to_ppm, Decimal(text), "slippage") == {"slippage": "must not have more than 6 decimals"}


@pytest.mark.parametrize(("text", "ppm"), [("0", 0), ("-0", 0), ("0.50", 500_000), ("0.010000000", 10_000)])
def test_the_bounds_of_slippage_are_themselves_allowed(text: str, ppm: int) -> None:
    assert to_ppm(Decimal(text), "slippage") == ppm


def test_slippage_is_one_percent_where_none_is_given() -> None:
    request = validate(OrderRequest, {name: value for name, value in ORDER.items() if name != "slippage"})
    assert request.slippage == Decimal("0.01")


# --- bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"[]", b'"order"', b"1", b"true", b"{", b'{"a":}', b"{'a': 1}", b'{"a": NaN}',
        b'{"a": -Infinity}', b'{"amount": 1}trailing', b"\xff\xfe\xfd", b'{"a": "\xff"}', "{}".encode("utf-16"),
        b'{"a": "\xed\xa0\x80"}',
        b"[" * 8_000, b'{"a":' * 3_000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused_by_name(raw: bytes) -> None:
    assert wrong_fields_if_any(body, raw) == {"body"}


def test_a_body_may_begin_with_a_byte_order_mark() -> None:
    assert parse_body(b"\xef\xbb\xbf{}") == {}


def test_a_body_nested_as_deep_as_it_can_be_is_at_most_a_wrong_field() -> None:
    nested = '{"amount":' * 1_500 + "1" + "}" * 1_500
    assert wrong_fields_if_any(body, nested) in ({"body"}, {"type", "tokenIn", "tokenOut", "amount"})


def test_a_body_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    largest = b'{"a": "' + b"x" * (MAX_BODY_BYTES - 9) + b'"}'
    assert len(largest) == MAX_BODY_BYTES
    assert len(parse_body(largest)["a"]) == MAX_BODY_BYTES - 9
    assert "larger than" in wrong_fields(parse_body, largest + b" ")["body"]


@given(raw=st.binary(max_size=200) | st.text(max_size=100))
def test_no_body_whatever_is_more_than_a_bad_request(raw: bytes | str) -> None:
    assert "nothing named" not in wrong_fields_if_any(body, raw)


@given(
    content=st.dictionaries(
        st.sampled_from([*ORDER, "extra"]),
        st.none()
        | st.booleans()
        | st.text(max_size=50)
        | st.lists(st.integers(), max_size=2)
        | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_whatever_json_an_order_is_only_wrong_fields_come_of_it(content: dict[str, object]) -> None:
    assert wrong_fields_if_any(body, json.dumps(content)) <= {*ORDER, "extra"}


def test_a_name_that_is_no_unicode_text_is_told_in_an_answer_that_can_be_encoded() -> None:
    with pytest.raises(InvalidRequest) as refused:
        body('{"\\ud800": 1}')
    json.dumps(problem_json(refused.value), ensure_ascii=False).encode()


# --- requests -----------------------------------------------------------------------------------------------------


def test_an_order_is_read_as_it_was_written() -> None:
    request = order_request()
    assert (request.type, request.token_in, request.token_out) == ("market", "SOL", "USDC")
    assert (request.amount, request.slippage) == (Decimal(10), Decimal("0.01"))


@pytest.mark.parametrize("field", ["type", "tokenIn", "tokenOut", "amount"])
def test_a_missing_field_is_named(field: str) -> None:
    assert wrong_fields(validate, OrderRequest, {k: v for k, v in ORDER.items() if k != field}) == {
        field: "is required"
    }


def test_every_wrong_field_is_named_at_once() -> None:
    wrong = wrong_fields(
        validate, OrderRequest, {"type": "twig", "tokenIn": "", "amount": "x", "slippage": None, "side": "buy"}
    )
    assert set(wrong) == {"type", "tokenIn", "tokenOut", "amount", "slippage", "side"}
    assert wrong["type"] == "must be one of 'market', 'limit', 'stop' or 'oco'"
    assert wrong["side"] == "is not a known field"


@pytest.mark.parametrize("name", ["token_in", "tokenin", "TokenIn", "Amount", "", "__class__"])
def test_names_are_exact_and_an_unknown_one_is_refused(name: str) -> None:
    assert wrong_fields(lambda: order_request(**{name: "SOL"})) == {name or "body": "is not a known field"}


def test_a_field_in_snake_case_does_not_stand_for_the_one_in_camel_case() -> None:
    renamed = {{"tokenIn": "token_in"}.get(name, name): value for name, value in ORDER.items()}
    assert wrong_fields(validate, OrderRequest, renamed) == {
        "tokenIn": "is required",
        "token_in": "is not a known field",
    }


@pytest.mark.parametrize("field", ["type", "tokenIn", "tokenOut"])
@pytest.mark.parametrize("value", [ExactNumber("1"), None, True, [], {}, 1])
def test_a_text_field_takes_text_only(field: str, value: object) -> None:
    assert list(wrong_fields(lambda: order_request(**{field: value}))) == [field]


@pytest.mark.parametrize("value", ["", "x" * 45])
def test_a_token_is_at_most_as_long_as_an_address(value: str) -> None:
    assert list(wrong_fields(lambda: order_request(tokenOut=value))) == ["tokenOut"]


def test_a_quote_asks_for_what_an_order_asks_for_without_its_type() -> None:
    request = validate(QuoteRequest, {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"})
    assert (request.amount, request.slippage) == (Decimal(1), Decimal("0.01"))
    assert set(wrong_fields(validate, QuoteRequest, {"amount": "1e", "type": "market"})) == {
        "tokenIn", "tokenOut", "amount", "type",
    }  # fmt: skip


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "", "1.5", "9" * 30])
def test_a_listing_has_one_to_two_hundred_orders(limit: str) -> None:
    assert list(wrong_fields(validate, OrderListRequest, {"limit": limit})) == ["limit"]


def test_a_listing_asks_for_fifty_of_everything_unless_told_otherwise() -> None:
    request = validate(OrderListRequest, {})
    assert (request.limit, request.status, request.token_in, request.token_out, request.cursor) == (50,) + (None,) * 4
    assert validate(OrderListRequest, {"limit": "200", "status": "failed"}).limit == 200
    assert list(wrong_fields(validate, OrderListRequest, {"status": "done"})) == ["status"]


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe", "ping"])
def test_a_client_may_subscribe_unsubscribe_and_ping(action: str) -> None:
    assert validate(ClientMessage, {"action": action, "orderId": "order-1"}).action == action


@pytest.mark.parametrize("message", [{}, {"action": "shout"}, {"action": "ping", "orderId": "x" * 65}])
def test_a_client_may_say_nothing_else(message: dict[str, str]) -> None:
    assert wrong_fields(validate, ClientMessage, message)


@pytest.mark.parametrize("key", ["k", "!~", "x" * 128, "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_an_idempotency_key_is_visible_ascii(key: str) -> None:
    assert validate_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "clé", "a\n", "\x7f", "k\t"])
def test_any_other_idempotency_key_is_refused_by_its_headers_name(key: str) -> None:
    assert list(wrong_fields(validate_idempotency_key, key)) == ["Idempotency-Key"]


# --- answers ------------------------------------------------------------------------------------------------------


def test_a_confirmed_order_looks_as_the_contract_says() -> None:
    at = [f"2025-10-09T08:53:20.{ms}Z" for ms in (123, 133, 143, 153, 163)]
    route = [
        {
            "dex": "raydium",
            "pool": "Raydium1111111111111111111111111111111111111",
            "share": "0.6",
            "tokenIn": "SOL",
            "tokenOut": "USDC",
            "amountIn": "6",
            "expectedOut": "900",
        },
        {
            "dex": "meteora",
            "pool": "Meteora1111111111111111111111111111111111111",
            "share": "0.4",
            "tokenIn": "SOL",
            "tokenOut": "USDC",
            "amountIn": "4",
            "expectedOut": "600",
        },
    ]
    routed = {"route": route, "dexUsed": "raydium+meteora", "quotedOut": "1500", "minOut": "1485"}
    filled = {"amountOut": "1498.765432", "executedPrice": "149.8765432", "txHash": "signature-1"}
    assert order_json(confirmed()) == {
        "orderId": "order-1",
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "mintIn": SOL.mint,
        "mintOut": USDC.mint,
        "amount": "10",
        "slippage": "0.01",
        "networkFees": "0",
        "status": "confirmed",
        "retryCount": 0,
        "createdAt": at[0],
        "updatedAt": at[4],
        **routed,
        **filled,
        "history": [
            {"seq": 1, "status": "pending", "at": at[0], "retryCount": 0},
            {"seq": 2, "status": "routing", "at": at[1], "retryCount": 0},
            {"seq": 3, "status": "building", "at": at[2], "retryCount": 0, **routed},
            {"seq": 4, "status": "submitted", "at": at[3], "retryCount": 0, **routed, "txHash": "signature-1"},
            {"seq": 5, "status": "confirmed", "at": at[4], "retryCount": 0, "dexUsed": "raydium+meteora", **filled},
        ],
    }


def test_a_new_order_shows_only_what_exists_already() -> None:
    assert set(order_json(new_order())) == {
        "orderId", "type", "tokenIn", "tokenOut", "mintIn", "mintOut", "amount", "slippage", "status", "retryCount",
        "networkFees", "createdAt", "updatedAt", "history",
    }  # fmt: skip


def test_an_order_shows_its_terms_and_what_each_pool_offered() -> None:
    order = replace(
        building(),
        min_out=1_490_000_000,
        expires_at_ms=CREATED_AT_MS + 300_000,
        client_order_id="desk/7",
        max_price_impact_ppm=5_000,
        max_network_fee=10_000,
        redrive_of="order-0",
        redriven_as="order-2",
        quotes=(
            Offer(dex="raydium", pool="P", amount_out=1_500_000_000, price_impact_ppm=2_716, fee=25_000_000),
            Offer(dex="meteora", pool="Q", amount_out=1, fee=2, fee_of_token_in=False),
            Offer(dex="meteora", pool="R", error="it is closed", error_code="VENUE_UNAVAILABLE"),
        ),
    )
    shown = order_json(item_to_order(deserialize(serialize(order_to_item(order)))))
    terms = ("minOut", "expiresAt", "clientOrderId", "maxPriceImpact", "maxNetworkFee", "redriveOf", "redrivenAs")
    assert [shown[name] for name in terms] == [
        "1490", time_text(CREATED_AT_MS + 300_000), "desk/7", "0.005", "0.00001", "order-0", "order-2",
    ]  # fmt: skip
    assert shown["quotes"] == [
        {
            "dex": "raydium", "pool": "P", "amountOut": "1500", "price": "150", "priceImpact": "0.002716",
            "fee": "0.025", "feeToken": "SOL",
        },
        {
            "dex": "meteora", "pool": "Q", "amountOut": "0.000001", "price": "0.0000001", "priceImpact": None,
            "fee": "0.000002", "feeToken": "USDC",
        },
        {"dex": "meteora", "pool": "R", "error": "it is closed", "errorCode": "VENUE_UNAVAILABLE"},
    ]  # fmt: skip
    assert all("quotes" not in step for step in shown["history"])


def test_a_failed_attempt_tells_that_it_is_not_the_end_and_when_it_goes_on() -> None:
    assert step_json(retrying().history[-1], retrying()) == {
        "seq": 3,
        "status": "failed",
        "at": time_text(CREATED_AT_MS + 20),
        "retryCount": 1,
        "error": "no answer",
        "errorCode": "RPC_UNAVAILABLE",
        "terminal": False,
        "retryInMs": 1000,
    }


def test_the_last_failed_attempt_tells_that_it_is_the_end() -> None:
    order = retrying(retrying())
    order = fail_attempt(routing(order), "still no answer", "RPC_UNAVAILABLE", CREATED_AT_MS + 99, retry=True)
    told = step_json(order.history[-1], order)
    assert (told["terminal"], told["retryCount"], told["error"]) == (True, 3, "still no answer")
    assert "retryInMs" not in told
    assert order_json(order)["errorCode"] == "RPC_UNAVAILABLE"


def test_a_status_message_is_the_change_and_which_order_it_is_of() -> None:
    order = submitted()
    for change in order.history:
        message = status_message(change, order)
        assert message == {"type": "status", "orderId": "order-1", **step_json(change, order)}
        assert list(message)[:6] == ["type", "orderId", "seq", "status", "at", "retryCount"]


def test_nobody_outside_sees_the_signed_bytes_the_lease_or_the_account() -> None:
    order = submitted()
    shown = json.dumps([order_json(order), *(status_message(change, order) for change in order.history)])
    for hidden in ("wire", "blockhash", "lease", "account", "digest", "revision", "listKey"):
        assert hidden not in shown


def test_an_order_of_another_state_than_confirmed_has_no_price() -> None:
    for order in (new_order(), submitted(), failed(), start_attempt(retrying(), CREATED_AT_MS)):
        assert "executedPrice" not in order_json(order)


@given(amount_out=st.integers(0, U64_MAX), decimals_out=st.integers(0, 9), amount_in=U64, decimals_in=st.integers(0, 9))
def test_a_price_is_whole_tokens_per_whole_token_to_eighteen_digits(
    amount_out: int, decimals_out: int, amount_in: int, decimals_in: int
) -> None:
    text = price_text(amount_out, decimals_out, amount_in, decimals_in)
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d*[1-9])?", text)
    exact = amount_out * 10**decimals_in * 10**18  # by the same denominator, both sides in integers
    denominator = amount_in * 10**decimals_out
    shown = Decimal(text).as_integer_ratio()
    assert abs(shown[0] * denominator * 10**18 - exact * shown[1]) * 2 <= exact * shown[1] // 10**16


def test_a_price_is_of_the_amount_that_was_ordered() -> None:
    assert price_text(1_498_765_432, USDC.decimals, 10_000_000_000, 9) == "149.8765432"
    assert price_text(1, 6, 3, 6) == "0.333333333333333333"


@given(at_ms=st.integers(0, 4_102_444_800_000))
def test_a_time_is_rfc_3339_in_utc_with_milliseconds(at_ms: int) -> None:
    text = time_text(at_ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    since_epoch = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert since_epoch // timedelta(milliseconds=1) == at_ms


# --- problems -----------------------------------------------------------------------------------------------------


def test_a_problem_is_told_as_rfc_9457_says() -> None:
    assert problem_json(NotFound("there is no order x")) == {
        "type": "urn:fillrate:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no order x",
    }
    assert problem_json(RpcUnavailable("no answer"))["status"] == 503
    assert problem_json(NoPool("none"))["status"] == 422


def test_an_invalid_request_lists_each_wrong_field() -> None:
    problem = problem_json(InvalidRequest([FieldProblem("amount", "is required"), FieldProblem("type", "is odd")]))
    assert problem["errors"] == [
        {"field": "amount", "message": "is required"},
        {"field": "type", "message": "is odd"},
    ]
    assert problem["detail"] == "amount: is required; type: is odd"


def test_a_field_that_is_given_twice_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_body(b'{"amount": "1", "tokenIn": "SOL", "amount": "100"}')
    assert [(problem.field, problem.message) for problem in refused.value.problems] == [
        ("amount", "is given more than once")
    ]

"""Fills as a table of comma-separated values, by RFC 4180, that a spreadsheet may open without running any of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from chalicelib.contract.account_views import fill_json
from chalicelib.contract.json_schema import Json
from chalicelib.orders.order import Order

COLUMNS = (
    *("orderId", "at", "tokenIn", "mintIn", "tokenOut", "mintOut", "amountIn", "amountOut", "price"),
    *("route", "poolFees", "networkFee", "vsQuoteBps", "vsFloorBps", "txHash"),
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# What a spreadsheet takes for the beginning of a formula, also behind white space (OWASP, CSV injection).
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")


def fills_csv(fills: Iterable[Order]) -> str:
    """A head and a line for each fill; a route's legs, and fees of several tokens, stand in one cell."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for order in fills:
        fill = fill_json(order)
        cells = {**fill, "route": _route(fill), "poolFees": _fees(fill)}
        table.writerow([harmless("" if cells[name] is None else str(cells[name])) for name in COLUMNS])
    return text.getvalue()


def harmless(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula; a number is none."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _route(fill: Json) -> str:
    return "; ".join(
        f"{leg['share']} of {leg['tokenIn']} to {leg['tokenOut']} at {leg['dex']} {leg['pool']}"
        for leg in fill["route"]
    )


def _fees(fill: Json) -> str:
    return "; ".join(f"{fee['amount']} {fee['mint']}" for fee in fill["poolFees"])

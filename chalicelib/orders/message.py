"""A message of the orders queue: `{"orderId": …}`, no more, for the truth is the order."""

from __future__ import annotations

import json
import re

# Ours have 52 characters; whoever may write to a queue could put a megabyte into a message.
MAX_MESSAGE_LENGTH = 256
_ORDER_ID = re.compile(r"[\x21-\x7e]{1,64}")
# The attribute that tells which request a message goes back to.
CORRELATION_ID = "correlationId"


class MalformedMessage(Exception):
    """A message that names no order."""


def message_body(order_id: str) -> str:
    return json.dumps({"orderId": order_id})


def order_id_of(body: str) -> str:
    """The order that a message is about. Raises MalformedMessage."""
    if len(body) > MAX_MESSAGE_LENGTH:
        raise MalformedMessage(f"{len(body)} characters")
    try:
        order_id = json.loads(body)["orderId"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedMessage(body) from error
    if not isinstance(order_id, str) or not _ORDER_ID.fullmatch(order_id):
        raise MalformedMessage(body)
    return order_id

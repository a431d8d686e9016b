"""SQS's batches need the right to what they are batches of, as on AWS; MiniStack asks for one to each by its own name.

AWS: Amazon SQS Developer Guide, "Amazon SQS API permissions: Actions and resource reference".
"""

from __future__ import annotations

from typing import Any

BATCHES = ("sqs:SendMessageBatch", "sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch")


def right_to(action: str | None) -> str | None:
    """The action that a policy must allow for `action`; None for what needs no right."""
    return action.removesuffix("Batch") if action in BATCHES else action


def correct(iam_actions: Any) -> None:
    """Have MiniStack's module of that name ask for these rights."""
    asked_for = iam_actions.extract_iam_action

    def extract_iam_action(*arguments: Any, **named: Any) -> str | None:
        return right_to(asked_for(*arguments, **named))

    iam_actions.extract_iam_action = extract_iam_action

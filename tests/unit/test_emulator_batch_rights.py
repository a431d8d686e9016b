"""What the emulator asks a role's policy for: a batch of SQS needs the right to what it is a batch of, as on AWS."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from infra.local_stack.emulator.batch_rights import correct


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        ("sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs:DeleteMessageBatch", "sqs:DeleteMessage"),
        ("sqs:ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("sqs:SendMessage", "sqs:SendMessage"),
        ("dynamodb:BatchGetItem", "dynamodb:BatchGetItem"),
        ("sns:PublishBatch", "sns:PublishBatch"),
        (None, None),
    ],
)
def test_a_batch_needs_the_right_to_what_it_is_a_batch_of(asked: str | None, needs: str | None) -> None:
    iam_actions = SimpleNamespace(extract_iam_action=lambda service, method: asked)
    correct(iam_actions)
    assert iam_actions.extract_iam_action("sqs", method="POST") == needs

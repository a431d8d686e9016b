"""What is told of an emulator that starts again: nothing where all is as it was left, and never less than the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local_stack.restart import Restart


@pytest.mark.parametrize("restart", [Restart(True, 7, ()), Restart(False, 0, ("sqs", "dynamodb"))])
def test_what_the_emulator_writes_is_what_is_read(tmp_path: Path, restart: Restart) -> None:
    assert Restart.read(tmp_path) is None
    restart.write(tmp_path)
    assert Restart.read(tmp_path) == restart


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"was_killed": true, "writes": "x", "unreadable": []}'])
def test_a_broken_file_tells_nothing(tmp_path: Path, text: str) -> None:
    Restart(True, 1, ()).write(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert Restart.read(tmp_path) is None


def test_after_an_orderly_end_there_is_nothing_to_tell() -> None:
    assert Restart(was_killed=False, writes=3, unreadable=()).sentences == ()


def test_after_a_kill_it_is_told_what_is_there_and_what_may_be_gone() -> None:
    (told,) = Restart(was_killed=True, writes=3, unreadable=()).sentences
    assert told.startswith(
        "The emulator was killed: its orders, keys and limits are all there (3 writes were read back)"
    )
    assert "may be gone" in told


def test_what_cannot_be_read_is_told_to_be_gone() -> None:
    (told,) = Restart(was_killed=False, writes=0, unreadable=("sqs",)).sentences
    assert "sqs can't be read, and is gone;" in told
    (told,) = Restart(was_killed=False, writes=0, unreadable=("dynamodb",)).sentences
    assert "(orders, keys and limits among it)" in told

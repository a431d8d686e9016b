"""The journal of the emulated DynamoDB's writes: whatever is cut off at its end, whole requests are read back."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local_stack.emulator.journal import Journal, Write

ITEMS = st.none() | st.dictionaries(st.text(max_size=3), st.builds(lambda text: {"S": text}, st.text(max_size=9)))
WRITES = st.builds(Write, st.just("arn"), st.just("id"), st.text(max_size=4), st.text(max_size=4), ITEMS)
REQUESTS = st.lists(st.lists(WRITES, min_size=1, max_size=3), max_size=5)


def journal_of(directory: str, requests: list[list[Write]]) -> Journal:
    journal = Journal(Path(directory))
    for request in requests:
        journal.append(request)
    return journal


@given(REQUESTS)
@settings(deadline=None, max_examples=25)
def test_what_was_written_is_read_back_in_order_after_another_start(requests: list[list[Write]]) -> None:
    with TemporaryDirectory() as directory:
        journal_of(directory, requests)
        assert list(Journal(Path(directory)).read()) == [write for request in requests for write in request]


@given(REQUESTS, st.data())
@settings(deadline=None, max_examples=50)
def test_a_kill_in_the_middle_of_a_line_takes_all_of_its_request_and_of_no_other(
    requests: list[list[Write]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as directory:
        journal_of(directory, requests)
        file = Path(directory) / "writes.journal"
        whole = file.read_bytes()
        length = data.draw(st.integers(0, len(whole)))
        file.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n")
        read = list(Journal(Path(directory)).read())
        # the last line may be whole but for its end
        assert read in [[write for request in requests[:count] for write in request] for count in (kept, kept + 1)]


def test_after_a_line_that_was_cut_short_writing_goes_on_in_a_new_line(tmp_path: Path) -> None:
    write = Write("arn", "id", "pk", "sk", {"a": {"S": "1"}})
    journal_of(str(tmp_path), [[write]])
    file = tmp_path / "writes.journal"
    file.write_bytes(file.read_bytes() + b'[["arn"')
    journal_of(str(tmp_path), [[write]])
    assert list(Journal(tmp_path).read()) == [write, write]


def test_what_went_before_a_saving_is_forgotten_only_when_that_has_ended(tmp_path: Path) -> None:
    first, second, third = (Write("arn", "id", key, "", None) for key in "123")
    journal = journal_of(str(tmp_path), [[first]])
    journal.begin_saving()
    journal.append([second])
    assert list(Journal(tmp_path).read()) == [first, second], "killed while it was being saved"
    journal.begin_saving()  # the last one failed
    journal.append([third])
    assert list(journal.read()) == [first, second, third]
    journal.end_saving()
    assert list(journal.read()) == [third]
    assert journal.size > 0


def test_what_is_kept_is_for_its_owner_to_decide_and_no_more_than_two_files(tmp_path: Path) -> None:
    journal = journal_of(str(tmp_path), [[Write("arn", "id", "1", "", None)]])
    journal.begin_saving()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["writes.former.journal", "writes.journal"]

"""`make mutants`: what it mutates, which mutants it counts, and that a survivor stands with its reason or is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quality.mutants.score import complaints, score_of, table
from quality.mutants.survivors import entry, reviewed
from quality.mutants.targets import LEFT_OUT, TARGETS
from quality.mutants.verdicts import Mutant, Mutation, Verdict, counted_keys, mutants_of, write_exit_codes
from quality.mutants.workspace import PROJECT

FILE = "chalicelib/routing/quote.py"
ROOMS = ("orders", "risk", "routing", "venues", "waiting")


# --- what is mutated ----------------------------------------------------------------------------------------------


def test_every_file_and_every_test_of_a_target_is_there() -> None:
    for target in TARGETS:
        for named in (*target.files, *target.tests):
            path, _, test = named.partition("::")
            assert test in (PROJECT / path).read_text(), named


def test_no_file_of_the_rooms_about_money_is_forgotten() -> None:
    there = {
        str(path.relative_to(PROJECT))
        for room in ROOMS
        for path in (PROJECT / "chalicelib" / room).rglob("*.py")
        if path.name != "__init__.py"
    }
    mutated = {file for target in TARGETS for file in target.files}
    assert there - mutated == LEFT_OUT.keys()


def test_a_reviewed_survivor_is_of_a_line_that_still_stands_in_a_mutated_file() -> None:
    mutated = {file for target in TARGETS for file in target.files}
    for mutation in reviewed():
        assert mutation.file in mutated
        lines = [line.strip() for line in (PROJECT / mutation.file).read_text().splitlines()]
        assert set(mutation.was.splitlines()) <= set(lines), mutation


@pytest.mark.parametrize(
    "entry",
    [
        'file = "a"\nfunction = "f"\nwas = "1"\nbecame = "2"\nreason = " "',
        'file = "a"\nfunction = "f"\nwas = "1"\nreason = "it is"',
        'file = "a"\nfunction = "f"\nwas = "1"\nbecame = "2"\nreason = "it is"\nby = "me"',
    ],
)
def test_a_survivor_without_a_reason_or_a_name_is_no_reviewed_one(entry: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        reviewed(f"[[survivor]]\n{entry}")


def test_a_survivor_is_named_once() -> None:
    entry = '[[survivor]]\nfile = "a"\nfunction = "f"\nwas = "1"\nbecame = "2"\nreason = "it is"\n'
    assert reviewed(entry) == {Mutation("a", "f", "1", "2"): "it is"}
    with pytest.raises(ValueError, match="twice"):
        reviewed(entry * 2)


@pytest.mark.parametrize(
    "code",
    ["amount < 1", 'f"{amount}"', "text.rstrip('0')", "f\"{text.rstrip('0')}\"", "first(\nsecond)", r're.match(r"\d")'],
)
def test_a_survivor_is_told_as_it_is_to_be_named(code: str) -> None:
    mutation = Mutation(FILE, "quote", code, f"{code} + 1")
    assert reviewed(entry(mutation).replace('reason = ""', 'reason = "equal"')) == {mutation: "equal"}


# --- what mutmut leaves -------------------------------------------------------------------------------------------

ORIGINAL = """\
def {name}(amount, of):
    logger.info("asked for", amount=amount)
    assert of, "of something"
    if amount < 1:
        raise refused(f"only {{amount}} of it", "too small")
    return Fill(amount, "of one pool", tuple(zip(amount, of, strict=True)))
"""


def mutant(folder: Path, line: str, becomes: str, exit_code: int | None) -> Mutant:
    """The verdict on one mutant, read as mutmut writes it."""
    original, changed = ORIGINAL.format(name="x_quote__mutmut_orig"), ORIGINAL.format(name="x_quote__mutmut_1")
    assert line in changed
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(original + changed.replace(line, becomes))
    length = original.count("\n")
    spans = {"x_quote__mutmut_orig": [1, length], "x_quote__mutmut_1": [length + 1, 2 * length]}
    (folder / f"{FILE}.spans").write_text(json.dumps({"version": 1, "spans": spans}))
    codes = {"chalicelib.routing.quote.x_quote__mutmut_1": exit_code}
    (folder / f"{FILE}.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    (one,) = mutants_of(folder, FILE)
    return one


@pytest.mark.parametrize(
    ("exit_code", "verdict"),
    [
        (1, Verdict.KILLED),
        (-24, Verdict.KILLED),
        (0, Verdict.SURVIVED),
        (33, Verdict.UNTESTED),
        (None, Verdict.NOT_RUN),
    ],
)
def test_a_verdict_tells_the_function_and_the_changed_line(
    tmp_path: Path, exit_code: int | None, verdict: Verdict
) -> None:
    told = mutant(tmp_path, "amount < 1", "amount <= 1", exit_code)
    assert told == Mutant(Mutation(FILE, "quote", "if amount < 1:", "if amount <= 1:"), verdict)


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ('"asked for"', '"ASKED FOR"'),
        ("amount=amount", "amount=None"),
        ('"too small"', "None"),
        ('"of one pool"', '"XXof one poolXX"'),
        ("strict=True", "strict=False"),
        ('"of something"', '"OF SOMETHING"'),
    ],
)
def test_words_log_lines_and_a_check_of_our_own_are_not_counted(tmp_path: Path, line: str, becomes: str) -> None:
    assert mutant(tmp_path, line, becomes, 0).verdict is Verdict.LEFT_OUT


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("{amount}", "{amount + 1}"),
        ("amount < 1", "amount < 2"),
        ("assert of", "assert not of"),
        ("Fill(amount,", "Fill(None,"),
        ("zip(amount, of,", "zip(of, amount,"),
    ],
)
def test_what_is_calculated_or_decided_is_counted_wherever_it_stands(tmp_path: Path, line: str, becomes: str) -> None:
    assert mutant(tmp_path, line, becomes, 0).verdict is Verdict.SURVIVED


# --- what is run on them ------------------------------------------------------------------------------------------

SOURCE = """\
class Purse:
    def __init__(self, amount):
        self.amount = amount

    @staticmethod
    def of(amount):
        return Purse(amount + 1)

    def pay(self, amount):
        self.amount = self.amount - amount


def least(amount, most):
    if amount > most:
        return most
    return amount


def down(amount):
    while amount > 1:
        amount -= 1
    return amount


def doubled(amount):
    return amount * 2


WAYS = {"double": doubled}


def unasked(amount):
    return amount + 1
"""
IMPORTER = "from chalicelib.purse import least\n\n\ndef at_most_five(amount):\n    return least(amount, 5)\n"
TESTS = """\
import pytest

from chalicelib.asked import at_most_five
from chalicelib.purse import WAYS, Purse, down


@pytest.mark.parametrize(("amount", "least"), [(3, 3), (7, 5)])
def test_least(amount, least):
    assert at_most_five(amount) == least


def test_purse():
    purse = Purse.of(9)
    purse.pay(4)
    assert purse.amount == 6


@pytest.mark.skip
def test_nothing():
    assert False


def test_down():
    assert down(5) == 1


def test_double():
    assert WAYS["double"](5) == 10
"""


def run_on_mutants(folder: Path, tests: str = TESTS) -> list[Mutant]:
    """Mutates a file as `make mutants` does, and runs these tests on its mutants."""
    file = "chalicelib/purse.py"
    written = {
        file: SOURCE,
        "chalicelib/asked.py": IMPORTER,
        "chalicelib/__init__.py": "",
        "tests/test_purse.py": tests,
    }
    for name, text in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "setup.cfg").write_text(f"[mutmut]\nsource_paths = chalicelib\nonly_mutate = \n {file}\n")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m"]
    subprocess.run([*command, "quality.mutants.generate"], cwd=folder, env=environment, check=True)
    mutants, results = folder / "mutants", folder / "results.json"
    keys = counted_keys(mutants, file, without_verdict=True)
    work = {"keys": keys, "results": str(results), "tests": ["tests"], "arguments": ["-p", "no:cacheprovider"]}
    forks = subprocess.run(
        [*command, "quality.mutants.forks"],
        cwd=mutants,
        env=environment,
        input=json.dumps(work),
        text=True,
        check=False,
    )
    if forks.returncode:
        return []
    write_exit_codes(mutants, file, json.loads(results.read_text()))
    assert counted_keys(mutants, file, without_verdict=True) == []
    return list(mutants_of(mutants, file))


def test_each_mutant_meets_the_tests_that_call_its_function_wherever_it_was_imported(tmp_path: Path) -> None:
    verdicts = {(one.mutation.function, one.mutation.became): one.verdict for one in run_on_mutants(tmp_path)}
    assert verdicts["least", "if amount >= most:"] is Verdict.SURVIVED
    assert verdicts["down", "while amount > 2:"] is Verdict.KILLED
    assert verdicts["down", "amount += 1"] is Verdict.KILLED, "by its time"
    assert verdicts["down", "while amount >= 1:"] is Verdict.KILLED
    assert verdicts["Purse.pay", "self.amount = self.amount + amount"] is Verdict.KILLED
    assert verdicts["Purse.pay", "self.amount = None"] is Verdict.KILLED
    assert verdicts["doubled", "return amount / 2"] is Verdict.KILLED, "a table holds the function"
    of_unasked = {verdict for (function, _), verdict in verdicts.items() if function == "unasked"}
    assert of_unasked == {Verdict.UNTESTED}


@pytest.mark.parametrize(("was", "becomes"), [("== 6", "== 7"), ("import at_most_five", "import at_most_six")])
def test_tests_that_fail_without_any_mutation_give_no_verdicts(tmp_path: Path, was: str, becomes: str) -> None:
    assert run_on_mutants(tmp_path, TESTS.replace(was, becomes)) == []


# --- the score ----------------------------------------------------------------------------------------------------


def mutation(number: int) -> Mutation:
    return Mutation(FILE, "quote", f"was {number}", f"became {number}")


def mutants(killed: int, survived: int, *more: Verdict) -> list[Mutant]:
    verdicts = [*[Verdict.KILLED] * killed, *[Verdict.SURVIVED] * survived, *more]
    return [Mutant(mutation(number), verdict) for number, verdict in enumerate(verdicts)]


def test_a_score_is_the_share_of_the_killed_and_a_mutant_that_no_test_reaches_lives() -> None:
    score = score_of(FILE, mutants(8, 1, Verdict.UNTESTED, Verdict.LEFT_OUT), about_money=True)
    assert (score.killed, score.mutants, score.percent) == (8, 10, 80.0)
    assert "| `chalicelib/routing/quote.py` | 10 | 8 | 80.0 % |" in table([score])


@pytest.mark.parametrize(("about_money", "killed", "told"), [(True, 90, False), (True, 89, True), (False, 0, False)])
def test_what_decides_about_money_is_below_ninety_percent_nowhere(about_money: bool, killed: int, told: bool) -> None:
    score = score_of(FILE, mutants(killed, 100 - killed), about_money=about_money)
    reasons = {mutation(number): "equal" for number in range(killed, 100)}
    assert ([FILE in one for one in complaints([score], reasons)] == [True]) is told


def test_a_survivor_without_a_reason_is_told_and_a_reason_without_its_survivor_too() -> None:
    score = score_of(FILE, mutants(98, 2), about_money=True)
    (unexplained, outdated) = complaints([score], {mutation(98): "equal", mutation(0): "equal"})
    assert "give a reason" in unexplained
    assert 'became = "became 99"' in unexplained
    assert "is killed" in outdated
    assert 'became = "became 0"' in outdated
    assert list(complaints([score], {mutation(98): "equal", mutation(99): "equal"})) == []


def test_mutants_that_were_not_run_are_no_good_result() -> None:
    score = score_of(FILE, mutants(10, 0, Verdict.NOT_RUN), about_money=False)
    assert list(complaints([score], {})) == [f"{FILE}: 1 mutants were not run"]

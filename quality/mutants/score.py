"""How many mutants of a file the tests tell from the original, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from quality.mutants.survivors import entry
from quality.mutants.targets import FLOOR_PERCENT
from quality.mutants.verdicts import Mutant, Mutation, Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """One file's mutants, without those that are left out (quality/mutants/verdicts.py)."""

    file: str
    about_money: bool
    killed: int
    survivors: tuple[Mutation, ...]
    not_run: int = 0

    @property
    def mutants(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def percent(self) -> float:
        return 100 * self.killed / self.mutants if self.mutants else 100.0


def score_of(file: str, mutants: Iterable[Mutant], *, about_money: bool) -> Score:
    by_verdict: dict[Verdict, list[Mutation]] = {verdict: [] for verdict in Verdict}
    for mutant in mutants:
        by_verdict[mutant.verdict].append(mutant.mutation)
    return Score(
        file,
        about_money,
        killed=len(by_verdict[Verdict.KILLED]),
        survivors=(*by_verdict[Verdict.SURVIVED], *by_verdict[Verdict.UNTESTED]),
        not_run=len(by_verdict[Verdict.NOT_RUN]),
    )


def complaints(scores: Sequence[Score], reasons: Mapping[Mutation, str]) -> Iterator[str]:
    """Sentences about what must not stay so: none where every file may be as it is."""
    for score in scores:
        if score.not_run:
            yield f"{score.file}: {score.not_run} mutants were not run"
        if score.about_money and score.percent < FLOOR_PERCENT:
            yield f"{score.file}: {score.percent:.1f} % of its mutants are killed, and it decides about money"
        if score.about_money:
            for mutation in dict.fromkeys(score.survivors):
                if mutation not in reasons:
                    yield f"{score.file}: kill this mutant of {mutation.function}, or give a reason:\n{entry(mutation)}"
    yield from _outdated(scores, reasons.keys())


def _outdated(scores: Sequence[Score], reviewed: AbstractSet[Mutation]) -> Iterator[str]:
    survivors = {mutation for score in scores for mutation in score.survivors}
    files = {score.file for score in scores}
    for mutation in reviewed:
        if mutation.file in files and mutation not in survivors:
            yield f"{mutation.file}: this mutant of {mutation.function} is killed, or there is none:\n{entry(mutation)}"


def table(scores: Sequence[Score]) -> str:
    """In Markdown: a line for each file, those that decide about money first, and one for each of the two sums."""
    lines = ["| file | mutants | killed | score |", "|---|---:|---:|---:|"]
    for title, some in (
        ("all that decide about money", [score for score in scores if score.about_money]),
        ("all others", [score for score in scores if not score.about_money]),
    ):
        lines += [_line(f"`{one.file}`", one.killed, one.mutants) for one in some]
        if some:
            lines.append(_line(f"**{title}**", sum(one.killed for one in some), sum(one.mutants for one in some)))
    return "\n".join(lines)


def _line(name: str, killed: int, mutants: int) -> str:
    share = f"{100 * killed / mutants:.1f} %" if mutants else "–"
    return f"| {name} | {mutants:,} | {killed:,} | {share} |"

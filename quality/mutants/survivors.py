"""The survivors that were looked at and stand, each with its reason: survivors.toml, written by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from quality.mutants.verdicts import Mutation

SURVIVORS = Path(__file__).with_name("survivors.toml")


def reviewed(text: str | None = None) -> Mapping[Mutation, str]:
    """Each reviewed survivor's reason. Raises ValueError where a survivor is named twice, or not in full."""
    entries = tomllib.loads(SURVIVORS.read_text() if text is None else text).get("survivor", [])
    reasons: dict[Mutation, str] = {}
    for entry in entries:
        unknown = entry.keys() ^ {"file", "function", "was", "became", "reason"}
        if unknown or not entry["reason"].strip():
            raise ValueError(f"a survivor has file, function, was, became and reason, and no more: {entry}")
        mutation = Mutation(entry["file"], entry["function"], entry["was"].strip(), entry["became"].strip())
        if mutation in reasons:
            raise ValueError(f"a survivor is named twice: {mutation}")
        reasons[mutation] = entry["reason"].strip()
    return reasons


def entry(mutation: Mutation) -> str:
    """The survivor as survivors.toml names it; its reason is still to be written."""
    texts = {"file": mutation.file, "function": mutation.function, "was": mutation.was, "became": mutation.became}
    lines = [f"{name} = {_quoted(text)}" for name, text in texts.items()]
    return "\n".join(["[[survivor]]", *lines, 'reason = ""'])


def _quoted(text: str) -> str:
    """A TOML string in which nothing needs to be escaped: code has both kinds of quotes, and lines."""
    plain = "\n" not in text and "\\" not in text
    if plain and '"' not in text:
        return f'"{text}"'
    return f"'{text}'" if plain and "'" not in text else f"'''\n{text}\n'''"

"""The pages' links lead somewhere, and the files that they name exist."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# What is made or installed here, and no part of the project.
ELSEWHERE = {"build", "dist", "node_modules", "__pycache__"}


def files() -> list[str]:
    """The project's files, by their paths from its root."""
    found: list[str] = []
    for folder, below, names in os.walk(PROJECT):
        below[:] = [name for name in below if name not in ELSEWHERE and not name.startswith(".")]
        found += [Path(folder, name).relative_to(PROJECT).as_posix() for name in names]
    return found


FILES = files()
PAGES = sorted(name for name in FILES if name.endswith(".md"))
LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
# A placeholder has no file: `<program>` stands for one.
NAMED = re.compile(r"`(?P<path>[\w.][\w./-]*\.(?:py|yaml|toml|ts|tsx|md|mjs|json))(?:::\w+)?`")
# Files that a run makes, or that the reader has.
NOT_OURS = {"pools.json", "registry.json", "stack.json", "wallet.json", ".local/stack.json", "file.json"}


def anchors(page: Path) -> set[str]:
    """A page's headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(path: str) -> bool:
    """Whether a file is named as the pages do: by its path, or by the end of it."""
    return (PROJECT / path).is_file() or any(name.endswith(f"/{path}") for name in FILES)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: str) -> None:
    here = PROJECT / page
    for link in LINK.finditer(here.read_text()):
        target = here.parent / link["file"] if link["file"] else here
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors(target), link[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    named = {match["path"] for match in NAMED.finditer((PROJECT / page).read_text())} - NOT_OURS
    assert sorted(path for path in named if not is_there(path)) == []


@pytest.mark.parametrize("page", [*PAGES, "infra/local_stack/commands.py"])
def test_every_curl_line_with_a_body_says_what_it_is(page: str) -> None:
    """`curl -d` alone calls it a form, and LocalStack's gateway then changes it."""
    text = (PROJECT / page).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.search(r"\bcurl\b.* -d\b", line)]
    assert [line for line in lines if "Content-Type: application/json" not in line] == []

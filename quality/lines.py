"""`make lines`: the product's lines of code by package, now or at a revision; tests, comments and docs are none.

A line counts if it has code: of Python neither blank, comment nor docstring; of the page and the templates neither
blank nor comment. What a tool has written counts nowhere.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from infra.project import PROJECT

# By the beginning of their paths.
PACKAGES = {
    "app.py": "chalicelib",
    "chalicelib": "chalicelib",
    "operations": "operations",
    "infra": "infra",
    "client/fillrate": "client",
    "web/src": "web",
}
# `make web` makes it.
BUILT_PAGE = "chalicelib/web"
# As generators say at the top of what they write.
_GENERATED = re.compile(r"\bauto-?generated\b|\bnot edited by hand\b", re.IGNORECASE)
_TOP = 300
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def python_lines(text: str) -> int:
    """Lines with code: no blanks, comments or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstring_lines(ast.parse(text)))


def _docstring_lines(module: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(module):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            lines.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def _lines_but(comment: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        lines = map(str.strip, _BLOCK_COMMENT.sub("", text).splitlines())
        return sum(1 for line in lines if line and not line.startswith(comment))

    return count


COUNTS: dict[str, Callable[[str], int]] = {
    ".py": python_lines,
    ".ts": _lines_but("//"),
    ".tsx": _lines_but("//"),
    ".css": _lines_but("//"),
    ".sh": _lines_but("#"),
    ".yaml": _lines_but("#"),
}


def package_of(path: str) -> str | None:
    """The package that a file of the product belongs to; None for any other file."""
    file = PurePosixPath(path)
    if file.suffix not in COUNTS or file.is_relative_to(BUILT_PAGE):
        return None
    return next((name for room, name in PACKAGES.items() if file.is_relative_to(room)), None)


def count(files: Iterator[tuple[str, str]]) -> Counter[str]:
    """Lines of code by package, of files given as path and text."""
    lines: Counter[str] = Counter()
    for path, text in files:
        package = package_of(path)
        if package is not None and not _GENERATED.search(text[:_TOP]):
            lines[package] += COUNTS[PurePosixPath(path).suffix](text)
    return lines


def files_here() -> Iterator[tuple[str, str]]:
    """The working tree's files, without those that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for path in sorted(_git(command).decode().splitlines()):
        if package_of(path) and (PROJECT / path).is_file():
            yield path, (PROJECT / path).read_text()


def files_at(revision: str) -> Iterator[tuple[str, str]]:
    """The files of a git revision."""
    with tarfile.open(fileobj=io.BytesIO(_git(["git", "archive", revision]))) as archive:
        for member in archive:
            content = archive.extractfile(member) if package_of(member.name) else None
            if content is not None:
                yield member.name, content.read().decode()


def _git(command: list[str]) -> bytes:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"lines: {done.stderr.decode().strip()}")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m quality.lines", description="Count the product's lines of code.")
    parser.add_argument("revision", nargs="?", help="of git; without one, what is in the working tree")
    revision = parser.parse_args(arguments).revision
    lines = count(files_at(revision) if revision else files_here())
    for package in dict.fromkeys(PACKAGES.values()):
        print(f"{package:<12}{lines[package]:>7,}")
    print(f"{'together':<12}{lines.total():>7,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The frame of a drawing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def drawing(width: int, height: int, label: str, parts: Iterable[str]) -> str:
    """An SVG document of these elements on white, read out as `label` where it can't be seen."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
            f' font-size="12" role="img" aria-label="{escape(label)}">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )

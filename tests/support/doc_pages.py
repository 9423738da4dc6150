"""The blocks of code in the pages of the documentation, and which of them are run."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.support.place import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""The README and all pages in ``docs``."""
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<note>[^>]*) -->\n\n?)?^(?P<indent> *)```(?P<language>.*)\n(?P<text>(?:.*\n)*?)(?P=indent)```$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    text: str
    note: str
    """The comment above the block, such as ``not run: it needs a key of Google's``; empty without one."""

    @property
    def is_run(self) -> bool:
        """Whether tests run it; the note says why they do not."""
        return not self.note.startswith("not run: ")

    @property
    def is_in_background(self) -> bool:
        """Whether the reader runs it in another terminal, where it stays."""
        return self.note == "runs on in another terminal"

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The blocks of the page, of that language or of all."""
    text = page.read_text("utf-8")
    found = [
        Block(
            page,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"].strip(),
            textwrap.dedent(match["text"]),
            match["note"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


def runnable(language: str) -> list[Block]:
    """The blocks of that language in all pages that tests run."""
    return [block for page in PAGES for block in blocks(page, language) if block.is_run]


def name(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(ROOT))

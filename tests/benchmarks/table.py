"""Figures as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.measuring import Result

HEADS = ("", "rows/s", "wall s", "CPU s", "peak MiB", "requests", "time ×", "copy")


def comparison(title: str, results: Sequence[Result], *, ours: str) -> str:
    """A scenario: one line per tool, with its wall time as a multiple of ours."""
    base = next((result.cost.wall_s for result in results if result.tool == ours), None)
    lines = [
        (
            result.tool,
            f"{result.rate:,.0f}" if result.rows else "",
            f"{result.cost.wall_s:.2f}",
            f"{result.cost.cpu_s:.2f}",
            f"{result.cost.peak_mib:,.0f}",
            f"{result.cost.requests:,}",
            f"{result.cost.wall_s / base:.2f}" if base else "",
            result.found.words,
        )
        for result in results
    ]
    return titled(title, HEADS, lines)


def titled(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be: the first and a last of words to the left, numbers to the right."""
    widths = [max(len(line[at]) for line in (heads, *lines)) for at in range(len(heads))]
    left = {0} | ({len(heads) - 1} if heads[-1] == "copy" else set())
    texts = [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (heads, *lines)
    ]
    return "\n".join([title, *(f"  {text}" for text in texts)])

"""Statements without the literals that differ from one run to the next: instants, days, ids and numbers of runs.

Part of ``launcher``'s process. A statement is parsed and translated with stand-ins of the same shape in their place, and
in what goes to DuckDB each stand-in is its literal again. So the same statement of another run is neither parsed nor
translated anew.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from sqlglot import exp

_SHAPES = re.compile(
    r"(?<=')(?:"
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<time>[ T]\d\d:\d\d:\d\d(?P<fraction>\.\d{1,6})?(?P<zone>Z|\+00:00)?)?"
    r"|(?P<id>[0-9a-f]{16})(?P<suffix>-\d+)?"
    r"|(?P<long>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r")(?=')"
    r"|(?<=[(, ])(?P<number>\d{1,9})(?= AS `)"
)
_QUERY = re.compile(r"\s*(SELECT|WITH|MERGE|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_FIRST = date(1901, 1, 1)
_active = threading.local()


def template(sql: str) -> tuple[str, dict[str, str]]:
    """The statement with stand-ins, and the literal of each; statements that are more than a query as they are."""
    if not _QUERY.match(sql):
        return sql, {}
    stand_ins: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        found: str = match[0]
        if found not in stand_ins:
            stand_ins[found] = _stand_in(match, len(stand_ins))
        return stand_ins[found]

    text = _SHAPES.sub(replace, sql)
    return text, {stand_in: literal for literal, stand_in in stand_ins.items()}


def _stand_in(match: re.Match[str], number: int) -> str:
    if match["day"]:
        day = (_FIRST + timedelta(days=number)).isoformat()
        if not match["time"]:
            return day
        fraction = ".123456" if match["fraction"] else ""
        return f"{day}{match['time'][0]}04:03:02{fraction}{match['zone'] or ''}"
    if match["id"]:
        return f"{number:06d}c0ffeec0de{'-1' if match['suffix'] else ''}"
    if match["long"]:
        return f"{number:08d}-c0de-4ade-8ade-c0ffeec0ffee"
    return f"1901{number:05d}"


@contextmanager
def using(literals: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, what this thread translates has these literals in the places of their stand-ins."""
    before = getattr(_active, "literals", {})
    _active.literals = literals
    try:
        yield
    finally:
        _active.literals = before


def literals() -> Mapping[str, str]:
    """The literals of the stand-ins in what this thread translates."""
    found: Mapping[str, str] = getattr(_active, "literals", {})
    return found


def filled_in(sql: str) -> str:
    """The text with its literals."""
    known = literals()
    if not known:
        return sql
    # Longer ones first: a day's is the beginning of an instant's.
    pattern = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return re.sub(pattern, lambda match: known[match[0]], sql)


def filled_in_tree(tree: Any) -> Any:
    """The statement with its literals: another one, where it has any."""
    known = literals()
    if not known:
        return tree
    filled = tree.copy()
    for literal in filled.find_all(exp.Literal):
        if literal.this in known:
            literal.set("this", known[literal.this])
    return filled


def keeps_all(template_sql: str, translated: str) -> bool:
    """Whether each stand-in of the statement stands in its translation too."""
    return all(one in translated for one in literals() if one in template_sql)

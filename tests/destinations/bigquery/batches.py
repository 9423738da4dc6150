"""Several questions that are asked by one statement, each by itself."""

from __future__ import annotations

import re

_NEXT = re.compile(r" UNION ALL (?=SELECT \d+ AS statement, place, TO_JSON_STRING)")
_NUMBER = re.compile(r"^SELECT \d+ AS statement")


def questions(sql: str) -> list[str]:
    """The statement's questions, each numbered 0; any other statement as it is.

    All have the same three columns of the same types, so what BigQuery takes of each it takes of all together, and the
    same question stands in many such statements.
    """
    return [_NUMBER.sub("SELECT 0 AS statement", part) for part in _NEXT.split(sql)]

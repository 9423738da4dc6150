"""The statements of a job, and the questions of a statement that asks several."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined] # not listed as its own

_NEXT = re.compile(r" UNION ALL (?=SELECT \d+ AS statement, place, TO_JSON_STRING)")
_NUMBER = re.compile(r"^SELECT \d+ AS statement")


def _questions(sql: str) -> list[str]:
    """The statement's questions, each numbered 0; any other statement as it is.

    All have the same three columns of the same types, so what BigQuery takes of each it takes of all together, and the
    same question stands in many such statements.
    """
    return [_NUMBER.sub("SELECT 0 AS statement", part) for part in _NEXT.split(sql)]


def statements(sql: str) -> Iterator[tuple[str, int]]:
    """The statements of a script and the questions of one, each with the number of its positional parameters."""
    for question in _questions(sql):
        yield from _split(question)


def _split(sql: str) -> Iterator[tuple[str, int]]:
    tokens: list[Token] = []
    for token in [*BigQuery().tokenize(sql), None]:
        if token is not None and token.token_type is not TokenType.SEMICOLON:
            tokens.append(token)
        elif tokens:
            placeholders = sum(each.token_type is TokenType.PLACEHOLDER for each in tokens)
            yield sql[tokens[0].start : tokens[-1].end + 1], placeholders
            tokens = []

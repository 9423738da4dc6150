"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from task_history.redaction.expressions import expression

_COMPILED = """
import re, sys
compiled = []
compile_ = re.compile
def counted(*args, **options):
    if "redaction" in sys._getframe(1).f_code.co_filename:
        compiled.append(args)
    return compile_(*args, **options)
re.compile = counted
from task_history.redaction.redactor import Redactor
redactor = Redactor()
print(len(compiled))
redactor.text("password: hunter2-Xy99")
print(len(compiled))
"""


def test_a_redactor_compiles_no_more_than_it_uses() -> None:
    """Importing and making a redactor compiles next to nothing; a text compiles what is looked for in it."""
    counts = subprocess.run([sys.executable, "-c", _COMPILED], capture_output=True, text=True, check=True)
    made, used = map(int, counts.stdout.split())
    assert made <= 10
    assert made < used < 200


def test_an_expression_matches_as_its_compiled_form() -> None:
    """Flags, groups and positions are those of ``re``."""
    names = expression(r"(?P<name>[a-z]+)=", re.IGNORECASE)
    compiled = re.compile(r"(?P<name>[a-z]+)=", re.IGNORECASE)
    text = "A=1 b=2"
    assert [match.span("name") for match in names.finditer(text)] == [(0, 1), (4, 5)]
    assert names.findall(text, 1) == compiled.findall(text, 1)
    assert (names.pattern, names.groupindex) == (compiled.pattern, compiled.groupindex)


def test_equal_texts_are_one_expression() -> None:
    """An expression is compiled once, however many redactors look for it."""
    assert expression("a[0-9]") is expression("a[0-9]")


def test_a_broken_expression_says_so_where_it_is_used() -> None:
    """The error is that of ``re``."""
    broken = expression("(")
    with pytest.raises(re.error, match="missing"):
        broken.search("")

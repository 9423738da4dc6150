"""Everything that is made from the code: reference pages, signatures of the dlt sources, files in ``.dlt``.

``make reference`` writes it between the marks in each file; a test says when a file is behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from task_history.views import dictionary, semantic
from tests.support.place import ROOT

from . import command_line, json_schemas, log_events, settings, tables_of_code

BY = "made by make reference"
Part = tuple[str, str, Callable[[], str]]
"""The lines between which a generated part of a file stands, and the function that generates it."""


def _in_code(make: Callable[[], str]) -> list[Part]:
    return [(f"# {BY}: begin\n", f"# {BY}: end\n", make)]


def _in_page(make: Callable[[], str], what: str = "") -> Part:
    return (f"<!-- {what}{', ' * bool(what)}{BY} -->\n", "<!-- end -->\n", make)


PLACES: dict[str, list[Part]] = {
    "sources/task_history/__init__.py": _in_code(settings.exports),
    "sources/task_history/source.py": _in_code(settings.sources),
    ".dlt/config.toml": _in_code(settings.config),
    ".dlt/example.secrets.toml": _in_code(settings.secrets),
    "docs/reference/settings.md": [
        _in_page(settings.own_table, "own settings"),
        _in_page(settings.common_table, "common settings"),
    ],
    "docs/reference/command-line.md": [_in_page(command_line.page)],
    "docs/reference/exit-codes.md": [_in_page(tables_of_code.exit_codes)],
    "docs/reference/metrics.md": [_in_page(tables_of_code.metrics)],
    "docs/reference/log-events.md": [_in_page(log_events.table)],
    "docs/reference/json.md": [_in_page(json_schemas.page)],
    "docs/reference/views.md": [_in_page(dictionary.views_part)],
    "docs/reference/tables.md": [_in_page(dictionary.tables_part)],
}
"""The generated parts of each file."""
WHOLE: dict[str, Callable[[], str]] = {
    "docs/how-to/dbt/models/sources.yml": dictionary.dbt_sources,
    "docs/how-to/dbt/models/semantic.yml": semantic.semantic_models,
    **{
        f"docs/reference/json/{name}.schema.json": partial(json_schemas.file, name)
        for name in json_schemas.names()
    },
}
"""The files that are generated as a whole."""
NAMES = (*PLACES, *WHOLE)


def expected_text(name: str) -> str:
    """The text that the file should have. Raises ValueError when a mark is missing."""
    if name in WHOLE:
        return WHOLE[name]()
    text = (ROOT / name).read_text("utf-8")
    for begin, end, make in PLACES[name]:
        start = text.index(begin) + len(begin)
        text = text[:start] + make() + text[text.index(end, start) :]
    return text


def write(names: Iterable[str] = NAMES) -> None:
    """Writes the files anew."""
    for name in names:
        (ROOT / name).write_text(expected_text(name), "utf-8")

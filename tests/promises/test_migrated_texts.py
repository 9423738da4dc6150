"""Texts that the version before wrote in another form are rewritten by the next sync, as far as their form tells."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from tests.support import former_version
from tests.support.place import Place

PROSE = '[12:00] "it" began'


def test_texts_of_the_version_before(tmp_path: Path) -> None:
    """Prose loses what made JSON of it, a bare text in a column of JSON gets quotes; what may be either stays."""
    with former_version.world("twinit") as (sandbox, url):
        place = Place(tmp_path, sandbox, system="twinit", **{**former_version.SETTINGS, "base_url": url})
        former_version.unpack("twinit", tmp_path, with_working_folder=True)
        with duckdb.connect(str(place.file)) as connection:
            lines = [
                key for (key,) in connection.execute("SELECT id FROM twinit.task_logs ORDER BY 1").fetchall()
            ]
            tasks = [
                key for (key,) in connection.execute("SELECT id FROM twinit.tasks ORDER BY 1").fetchall()
            ]
            for table, column, key, text in (
                ("task_logs", "message", lines[0], json.dumps(PROSE)),
                ("task_logs", "message", lines[1], '"quoted" words'),
                ("task_logs", "message", lines[2], "[no JSON"),
                ("tasks", "result", tasks[0], 'plain "words"'),
                ("tasks", "result", tasks[1], "5"),
                ("tasks", "result", tasks[2], '{"a": 1}'),
            ):
                connection.execute(f"UPDATE twinit.{table} SET {column} = ? WHERE id = ?", [text, key])
            before = connection.execute("SELECT id, message FROM twinit.task_logs ORDER BY 1").fetchall()
        sandbox.advance(3600)
        place.sync()
    messages = dict(place.query("SELECT id, message FROM twinit.task_logs"))
    assert [PROSE, '"quoted" words', "[no JSON"] == [messages[key] for key in lines[:3]]
    assert dict(before[3:]).items() <= messages.items()
    results = dict(place.query("SELECT id, result FROM twinit.tasks"))
    assert ['"plain \\"words\\""', "5", '{"a": 1}'] == [results[key] for key in tasks[:3]]

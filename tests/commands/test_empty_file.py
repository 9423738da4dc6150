"""An empty DuckDB file, as a kill may leave it, is taken by each command for a warehouse that is not made yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.place import Place

READERS = [
    ("status", "paragon"),
    ("status", "paragon", "--json"),
    ("why", "paragon", "id-of-no-execution"),
    ("answer", "paragon", "id-of-no-execution"),
    ("replay", "paragon"),
    ("report",),
    ("explore",),
    ("views",),
    ("views", "--check"),
    ("views", "--dbt"),
    ("fleet", "status"),
]


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_an_empty_file_is_read_as_none(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Each reader says the same of an empty file as of one that is missing, with the same exit code."""
    place = Place(tmp_path, None, api_key="unused", project_id="unused", base_url="http://127.0.0.1:9")
    missing = place.run(*words, expect=None)
    place.file.unlink(missing_ok=True)
    place.file.touch()
    empty = place.run(*words, expect=None)
    assert (empty.returncode, empty.stdout, empty.stderr) == (
        missing.returncode,
        missing.stdout,
        missing.stderr,
    )
    assert "valid DuckDB" not in empty.stderr

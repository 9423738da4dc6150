"""What is made from the code is what ``make reference`` makes now."""

from __future__ import annotations

import pytest

from task_history_cli.cli import COMMANDS
from tests.support import generated
from tests.support.generated import command_line, json_schemas, log_events
from tests.support.place import ROOT


@pytest.mark.parametrize("name", generated.NAMES)
def test_files_are_up_to_date(name: str) -> None:
    """Reference pages, signatures of dlt sources and the files in ``.dlt`` say what the code says."""
    assert (ROOT / name).read_text("utf-8") == generated.expected_text(name), (
        f"{name} is behind: make reference"
    )


def test_each_log_event_has_its_meaning() -> None:
    """Every event that the code logs is explained in log_events.toml beside the generator, and no other is."""
    assert set(log_events.MEANINGS) == set(log_events.events())
    assert all(meaning.endswith((".", "`.")) for meaning in log_events.MEANINGS.values())


def test_each_command_has_its_page() -> None:
    """The reference of each command leads to a page that shows it at work."""
    assert set(command_line.PAGES) == set(COMMANDS)


def test_each_command_has_its_schema() -> None:
    """Every command that prints an object has a schema, which each test that runs the command checks."""
    have = {name.partition("-")[0] for name in json_schemas.names()}
    assert set(COMMANDS) - have == {"explore", "sandbox"}, "these two run on and have no result"


def test_what_does_not_fit_its_schema_is_found() -> None:
    """A field that is not documented, one that is missing, and one of another type fail."""
    printed = {"command": "views", "datasets": ["paragon"], "views": ["executions"]}
    json_schemas.check(["views", "--json"], printed)
    for wrong in ({**printed, "new": 1}, {"command": "views", "views": []}, {**printed, "views": 3}):
        with pytest.raises(AssertionError, match=r"_json\.toml"):
            json_schemas.check(["views", "--json"], wrong)

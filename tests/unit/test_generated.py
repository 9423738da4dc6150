"""What is made from the code is what ``make reference`` makes now."""

from __future__ import annotations

import pytest

from task_history_cli.cli import COMMANDS
from tests.support import generated
from tests.support.generated import command_line, log_events
from tests.support.place import ROOT


@pytest.mark.parametrize("name", generated.PLACES)
def test_files_are_up_to_date(name: str) -> None:
    """Reference pages, signatures of dlt sources and the files in ``.dlt`` say what the code says."""
    assert (ROOT / name).read_text("utf-8") == generated.made(name), f"{name} is behind: make reference"


def test_each_log_event_has_its_meaning() -> None:
    """Every event that the code logs is explained in log_events.toml beside the generator, and no other is."""
    assert set(log_events.MEANINGS) == set(log_events.events())
    assert all(meaning.endswith((".", "`.")) for meaning in log_events.MEANINGS.values())


def test_each_command_has_its_page() -> None:
    """The reference of each command leads to a page that shows it at work."""
    assert set(command_line.PAGES) == set(COMMANDS)

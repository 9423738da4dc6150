"""How many rows came before those that were read."""

from __future__ import annotations

from task_history.extract.inserted_rows import InsertedRows


def test_rows_that_came_are_missing_until_as_many_are_found() -> None:
    """Pages that show earlier positions than they were asked for say how many rows came; found ones are taken off."""
    rows = InsertedRows()
    rows.note_page(20, 20)
    assert not rows.has_unread
    rows.note_page(39, 40)
    rows.note_page(58, 60)
    assert rows.has_unread
    rows.note_read(1)
    assert rows.has_unread
    rows.note_read(1)
    assert not rows.has_unread


def test_rows_that_went_hide_none_that_came() -> None:
    """A row that vanished moves the others forward; one that comes after it counts all the same."""
    rows = InsertedRows()
    rows.note_page(21, 20)
    assert not rows.has_unread
    rows.note_page(40, 40)
    assert rows.has_unread


def test_an_unknown_position_counts_as_one_that_came() -> None:
    """A page whose rows were not seen in this sequence before shows nothing: one row may have come."""
    rows = InsertedRows()
    rows.note_page(None, 20)
    assert rows.has_unread

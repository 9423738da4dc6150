"""How many rows were inserted before those of a list that were read, counted from the positions of later pages.

A page asked for at offset 100 that begins with the row seen at position 99 says that one row was inserted before it. That
may be a new row, or one that was not read yet: an update may move a row from the end of the list to its front.
"""

from __future__ import annotations


class InsertedRows:
    """The count for one reading of a list."""

    def __init__(self) -> None:
        self.shift = 0
        """The position at which the last page's first row was first seen, minus the offset that was asked for: below 0
        where rows were inserted before it."""
        self._inserted = 0
        self._read = 0

    def note_page(self, position: int | None, offset: int) -> None:
        """Takes a page asked for at ``offset``; ``position`` is where this reading first saw its first row.

        Without a position one row counts as inserted, since that cannot be ruled out.
        """
        if position is None:
            self._inserted += 1
            return
        shift = position - offset
        self._inserted += max(0, self.shift - shift)
        self.shift = shift

    def note_read(self, rows: int) -> None:
        """So many of the inserted rows were read."""
        self._read += rows

    def note_all_read(self) -> None:
        """All rows that were inserted so far are read or known."""
        self._read = max(self._read, self._inserted)

    @property
    def has_unread(self) -> bool:
        """Whether more rows were inserted than were read."""
        return self._inserted > self._read

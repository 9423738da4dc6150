"""How many rows came before those of a list that were read: what the positions of its later pages say.

A page asked for at offset 100 that shows the row which was at position 99 says that one row came before it. It may
be new, or one that was not read yet: an update may bring a row from the end of the list to its front.
"""

from __future__ import annotations


class RowsBefore:
    """The count for one reading of a list."""

    def __init__(self) -> None:
        self.shift = 0
        """How far the rows of the last page stood from the offset it was asked for; less than 0 where rows came."""
        self._came = 0
        self._found = 0

    def note_page(self, position: int | None, offset: int) -> None:
        """Takes a page asked for at ``offset``: the position at which its first row was seen, None where that is unknown.

        Then one row more counts as come: nothing tells that none did.
        """
        if position is None:
            self._came += 1
            return
        shift = position - offset
        self._came += max(0, self.shift - shift)
        self.shift = shift

    def note_found(self, rows: int) -> None:
        """So many rows that were not known were found before those that were read."""
        self._found += rows

    @property
    def may_be_missing(self) -> bool:
        """Whether more came than were found."""
        return self._came > self._found

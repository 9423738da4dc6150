"""A place as it is at one instant, which is put back before each test that begins there."""

from __future__ import annotations

import shutil

from tests.support.place import Place


class Snapshot:
    """The folder and the settings of a place, kept as they are now.

    They are put back into the same folder: a working folder is named by the path of its warehouse.
    """

    def __init__(self, place: Place) -> None:
        self._place, self._env = place, dict(place.env)
        self._kept = place.folder.with_name(f"{place.folder.name}-kept")
        shutil.copytree(place.folder, self._kept)

    def restore(self) -> Place:
        """The place, as it was."""
        shutil.rmtree(self._place.folder)
        shutil.copytree(self._kept, self._place.folder)
        self._place.env = dict(self._env)
        return self._place

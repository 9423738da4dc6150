"""The folders of this user: the home, dlt's data, what processes share, and temporary files."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

from . import files
from .errors import ConfigurationError

STATE_DIR = "TASK_HISTORY_STATE_DIR"
"""Environment variable with the folder of what processes share."""
_DATA_DIR = "DLT_DATA_DIR"


def provide_home(environ: MutableMapping[str, str]) -> None:
    """Sets HOME to a folder of this user where there is no home to write to and no settings in it, as in many containers.

    Without one dlt reads settings from the temporary folder, where any user may have put them.
    """
    if _usable_home(".dlt", ".config") is None:
        with suppress(ConfigurationError):
            environ["HOME"] = environ.get(_DATA_DIR) or str(_made_state_folder(environ))


def data_folder(environ: Mapping[str, str]) -> Path:
    """dlt's folder: DLT_DATA_DIR, else /var/dlt for root, else ``.dlt`` in the home.

    A home that is not there, or cannot be written and has none, is replaced by the folder of what processes share.

    Raises:
        ConfigurationError: that folder is needed, and cannot be made.
    """
    if named := environ.get(_DATA_DIR):
        return Path(named)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/dlt")
    return (_usable_home(".dlt") or _made_state_folder(environ)) / ".dlt"


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what processes share: TASK_HISTORY_STATE_DIR, else one of this user in /var/tmp, which outlives a
    restart, else in the temporary folder, else in DLT_DATA_DIR.

    Raises:
        ConfigurationError: none of these is there.
    """
    if named := environ.get(STATE_DIR):
        return Path(named).absolute()
    parent = Path("/var/tmp")  # noqa: S108 - the folder within it is checked to be this user's # nosec B108
    if not os.access(parent, os.W_OK | os.X_OK):
        data = environ.get(_DATA_DIR)
        try:
            parent = _temporary(STATE_DIR)
        except ConfigurationError:
            if not data:
                raise
            parent = Path(data).absolute()
    return parent / f"task-history-{_user()}"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone after the block. Raises ConfigurationError when none can be made."""
    with tempfile.TemporaryDirectory(prefix="task-history-", dir=_temporary("TMPDIR")) as folder:
        yield Path(folder)


def make_state_folder(path: Path) -> None:
    """Makes the folder, for this user alone. Raises ConfigurationError when it is another user's."""
    advice = f"name a folder of your own in the environment variable {STATE_DIR}."
    try:
        files.make_folder(path, mode=0o700)
    except files.ForeignFile as error:
        raise ConfigurationError(f"The budget's folder {path} {error.strerror}: {advice}") from error
    except OSError as error:
        raise ConfigurationError(
            f"The budget's folder {path} cannot be made ({error.strerror}): {advice}"
        ) from error


def _made_state_folder(environ: Mapping[str, str]) -> Path:
    folder = state_folder(environ)
    make_state_folder(folder)
    return folder


def _usable_home(*names: str) -> Path | None:
    """The home, if it can be written, or read and has a folder of one of these names; else None."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    has_settings = any(os.access(home / name, os.R_OK | os.X_OK) for name in names)
    return home if has_settings or os.access(home, os.W_OK | os.X_OK) else None


def _temporary(variable: str) -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        raise ConfigurationError(
            f"There is no folder for temporary files: name one that can be written in the variable {variable}."
        ) from None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()

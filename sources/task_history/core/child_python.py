"""Command line and environment of child Python processes: installed code only, no secrets in the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

_NAMES = frozenset(
    {
        "COLUMNS",
        "DLT_CONFIG_FOLDER",
        "DLT_DATA_DIR",
        "DLT_PROJECT_DIR",
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LINES",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX",
        "PYTHONUTF8",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "SYSTEMROOT",
        "TASK_HISTORY_STATE_DIR",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)
_PREFIXES = ("LC_", "XDG_")


def command(module: str, *words: str) -> list[str]:
    """The command line that runs an installed module, never a file of the same name in the current folder.

    https://docs.python.org/3/using/cmdline.html#cmdoption-P
    """
    return [sys.executable, "-P", "-m", module, *words]


def environment(root: Path, *, prefixes: Collection[str] = (), **more: str) -> dict[str, str]:
    """The environment of a child process: variables known to hold no secret, those with ``prefixes``, and ``more``.

    The child imports from ``root`` and from this process's PYTHONPATH, without the relative folders in it.
    """
    allowed_prefixes = (*_PREFIXES, *prefixes)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _NAMES or name.upper().startswith(allowed_prefixes)
    }
    package_root = Path(__file__).parents[2]
    folders = [
        folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(folder).is_absolute()
    ]
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(root), str(package_root), *folders])),
        "PYTHONSAFEPATH": "1",  # for the child's own children
        **more,
    }

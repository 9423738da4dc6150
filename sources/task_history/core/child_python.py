"""How a further Python process is started: from what is installed, and with an environment that holds no secret."""

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
    """The words that run a module; a file of its name in the current folder is not what runs.

    https://docs.python.org/3/using/cmdline.html#cmdoption-P
    """
    return [sys.executable, "-P", "-m", module, *words]


def environment(root: Path, *, prefixes: Collection[str] = (), **more: str) -> dict[str, str]:
    """The environment of such a process: what no secret stands in, names with those prefixes, and ``more``.

    It imports from ``root`` and from where this process does, but for folders that are named relative to the
    current one.
    """
    known = (*_PREFIXES, *prefixes)
    kept = {
        name: value for name, value in os.environ.items() if name in _NAMES or name.upper().startswith(known)
    }
    own = Path(__file__).parents[2]
    folders = [
        folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(folder).is_absolute()
    ]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(root), str(own), *folders])),
        "PYTHONSAFEPATH": "1",  # for what that process starts in its turn
        **more,
    }

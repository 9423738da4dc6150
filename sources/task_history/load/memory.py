"""Return freed memory to the operating system: glibc keeps what many small blocks held, 40 MB of a large commit."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress

_M_ARENA_MAX = -8


_MIMALLOC = {"MIMALLOC_PURGE_DELAY": "0", "MIMALLOC_EAGER_COMMIT": "0", "MIMALLOC_ARENA_EAGER_COMMIT": "0"}
"""How pyreqwest's own allocator returns memory at once: 40 MB of a first sync. It reads them when it is imported.
https://microsoft.github.io/mimalloc/environment.html"""


def keep_flat() -> None:
    """To be called before anything large is made: Arrow's own pool would keep 130 MB of a million rows.

    What the environment says of mimalloc stays.
    """
    for name, value in _MIMALLOC.items():
        os.environ.setdefault(name, value)
    _libc("mallopt", _M_ARENA_MAX, 2)

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def give_back(*, is_thorough: bool = False) -> None:
    """Returns what is free to the machine; ``is_thorough`` looks for garbage first."""
    if is_thorough:
        gc.collect()
    _libc("malloc_trim", 0)


def _libc(name: str, *args: int) -> None:
    with suppress(OSError, AttributeError):
        getattr(ctypes.CDLL("libc.so.6"), name)(*args)

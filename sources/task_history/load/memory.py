"""Returns freed memory to the operating system: glibc alone keeps about 40 MB of small blocks after a large commit."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress

_M_ARENA_MAX = -8


_is_frozen = False
"""Whether ``freeze_imports`` was called."""
_MIMALLOC = {"MIMALLOC_PURGE_DELAY": "0", "MIMALLOC_EAGER_COMMIT": "0", "MIMALLOC_ARENA_EAGER_COMMIT": "0"}
"""Settings with which pyreqwest's allocator frees memory at once (40 MB in a first sync), read at its import.
https://microsoft.github.io/mimalloc/environment.html"""


def configure_allocators() -> None:
    """Configures glibc, mimalloc and Arrow to keep little freed memory; Arrow's pool would keep 130 MB of a million rows.

    Must be called before large objects are created. Variables for mimalloc that are set already stay.
    """
    for name, value in _MIMALLOC.items():
        os.environ.setdefault(name, value)
    _libc("mallopt", _M_ARENA_MAX, 2)

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def release_memory(*, collects_garbage: bool = False) -> None:
    """Returns freed memory to the operating system, after a garbage collection with ``collects_garbage``."""
    if collects_garbage:
        gc.collect()
    _libc("malloc_trim", 0)


def freeze_imports() -> None:
    """Excludes what this process has imported so far from garbage collection. Later calls do nothing."""
    global _is_frozen  # noqa: PLW0603 - a property of the process
    if not _is_frozen:
        _is_frozen = True
        # What imports leave behind is less than a collection of garbage costs: a tenth of a second.
        gc.freeze()
        gc.set_threshold(50_000)


def _libc(name: str, *args: int) -> None:
    with suppress(OSError, AttributeError):
        getattr(ctypes.CDLL("libc.so.6"), name)(*args)

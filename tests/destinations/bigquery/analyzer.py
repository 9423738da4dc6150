"""ZetaSQL's analyzer, compiled once per environment instead of once per process (half a minute of a processor)."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from wasmtime import Engine, Module, WasmtimeError
from zetasql.core import wasm_client
from zetasql.core.local_service import ZetaSqlLocalService


class _Compiled:
    """In the place of wasmtime's Module, where ZetaSQL's client compiles its file."""

    @staticmethod
    def from_file(engine: Engine, path: str) -> Module:
        file = Path(sys.prefix) / f"zetasql-{version('zetasql')}-wasmtime-{version('wasmtime')}.compiled"
        if file.exists():
            try:
                return Module.deserialize_file(engine, str(file))
            except WasmtimeError:
                pass  # compiled for another machine
        module = Module.from_file(engine, path)
        mine = file.with_suffix(f".{os.getpid()}")
        try:
            mine.write_bytes(module.serialize())
            mine.replace(file)
        except OSError:
            mine.unlink(missing_ok=True)  # an environment that is only read
        return module


def use_compiled() -> None:
    """From now on, in this process."""
    wasm_client.Module = _Compiled


if __name__ == "__main__":
    use_compiled()
    ZetaSqlLocalService.get_instance()

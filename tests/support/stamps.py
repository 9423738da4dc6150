"""Stamps for tests of rows: with the settings that a run has by default."""

from __future__ import annotations

from datetime import datetime

from task_history.extract.warehouse_rows import Stamp, UndocumentedFields
from task_history.redaction.redactor import Redactor

PAYLOAD_MAX_BYTES = 65_536


def undocumented(redactor: Redactor | None = None) -> UndocumentedFields:
    """Fields that the vendor does not document, redacted by ``redactor`` or by one without settings."""
    return UndocumentedFields(redactor or Redactor(), max_bytes=PAYLOAD_MAX_BYTES)


def stamp(run_id: str, at: datetime) -> Stamp:
    """The stamp of a run that reads at that instant."""
    return Stamp(run_id, at, undocumented())

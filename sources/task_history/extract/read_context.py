"""What the reads of single executions have in common: whose they are, what is stored of them, and the present."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..core.models import Sender
from ..systems.common_settings import SystemSettings
from ..systems.protocol import System
from ..warehouse.queries import Warehouse
from .open_reads import OpenReads
from .single_reads import FaultDeadline
from .warehouse_rows import Stamp


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What settling and details are read with."""

    sender: Sender
    system: System
    values: SystemSettings
    warehouse: Warehouse
    fault_deadline: FaultDeadline
    stamp: Callable[[], Stamp]
    """Gives what the rows of a read say of it."""
    now: Callable[[], datetime]
    """The vendor's clock, by which later tries are due."""
    is_expired: Callable[[datetime | None], bool]
    """Whether the vendor may have purged what began then."""
    open_reads: OpenReads
    """What was read of open executions before."""

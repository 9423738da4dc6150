"""Errors, grouped by who must act.

::

    TaskHistoryError
    ├── UsageError              the caller: a command or argument is wrong           exit 2
    ├── ConfigurationError      the user: a setting is missing or wrong              exit 3
    │   └── AuthenticationError the user: the key, its scope or the plan is refused  exit 3
    ├── VendorError             the vendor, or the way to it                         exit 4
    │   ├── VendorUnavailable   faults went on past the deadline
    │   │   └── Unconfirmed     whether a request was carried out is not known
    │   ├── UnexpectedResponse  the vendor changed its answers
    │   │   └── PaginationLoop  its pages do not come to an end
    │   └── Rejected            one request was refused (4xx); its caller decides what that means
    │       ├── ReadFailed      a single read kept failing for as long as it was tried; others may do better
    │       ├── UnusableId      nothing was sent: an id cannot stand in a request's path
    │       └── AnswerTooLarge  one answer is larger than ``answer_max_bytes``
    ├── WarehouseUnavailable    the operator of the warehouse                        exit 4
    │   ├── WarehouseLoginRefused  the user: the warehouse takes no such credentials exit 3
    │   └── PackageRefused      it refused rows for good; what they held is read again
    ├── StateUnavailable        the operator of the Postgres that machines share     exit 4
    └── AlreadyRunning          no action: another run of the pipeline is active     exit 5

``Stopped`` is no error: it ends a run between two requests (signal, limit) and is never shown.
Every message says what happened, with which value, and what to do next; none carries a
secret or an answer's body.
"""

from __future__ import annotations

from .exit_codes import ExitCode


class TaskHistoryError(Exception):
    """Base class of all errors that this connector raises on purpose."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class UsageError(TaskHistoryError):
    """A command was called with unknown or contradictory arguments."""

    exit_code = ExitCode.USAGE


class ConfigurationError(TaskHistoryError):
    """A setting is missing or invalid; the message names the setting and its place."""

    exit_code = ExitCode.CONFIGURATION


class AuthenticationError(ConfigurationError):
    """The vendor refused the credentials (401, 403). Never retried."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class VendorError(TaskHistoryError):
    """The vendor or the network failed."""

    exit_code = ExitCode.UNAVAILABLE


class VendorUnavailable(VendorError):
    """Requests kept failing for longer than ``fault_deadline_s``."""


class Unconfirmed(VendorUnavailable):
    """A request that must not be sent twice went out and may or may not have been carried out.

    ``status`` is the answer's; None when none came.
    """

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class UnexpectedResponse(VendorError):
    """An answer does not have the documented form; the message names the JSON path, never the body."""


class PaginationLoop(UnexpectedResponse):
    """Pages repeat or do not advance."""


class Rejected(VendorError):
    """The vendor refused one request (4xx other than 401, 403, 408, 425 and 429)."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ReadFailed(Rejected):
    """A read of one of many items kept failing for its ``Request.fault_deadline_s``; others may do better.

    ``status`` is the last answer's, 0 where none came.
    """


class UnusableId(Rejected):
    """An id, of the vendor or a user, cannot be part of a request's path: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=0)


class AnswerTooLarge(Rejected):
    """One answer is larger than ``answer_max_bytes``; nothing of it was kept. ``status`` is the answer's."""


class WarehouseUnavailable(TaskHistoryError):
    """The warehouse is locked, full, unreachable or was altered by hand."""

    exit_code = ExitCode.UNAVAILABLE


class WarehouseLoginRefused(WarehouseUnavailable):
    """The warehouse does not take the credentials: the user changes them."""

    exit_code = ExitCode.CONFIGURATION


class PackageRefused(WarehouseUnavailable):
    """The warehouse refused the rows of a load package for good; the package is set aside and was not loaded."""


class StateUnavailable(TaskHistoryError):
    """The state that several machines share could not be reached for longer than ``fault_deadline_s``."""

    exit_code = ExitCode.UNAVAILABLE


class AlreadyRunning(TaskHistoryError):
    """Another run, of this process or another one, holds the lock of this pipeline."""

    exit_code = ExitCode.ALREADY_RUNNING


class Stopped(Exception):
    """The run must end in good order now: a signal came or a limit of the run is reached."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

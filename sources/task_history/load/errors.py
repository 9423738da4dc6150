"""Failures of the warehouse become errors of this project, whose class decides the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.exceptions import DatabaseException
from dlt.pipeline.exceptions import PipelineStepFailed

from ..core.errors import Stopped, TaskHistoryError, WarehouseLoginRefused, WarehouseUnavailable
from .dlt_internals import SqlClientBase
from .dlt_setting_errors import configuration_error
from .error_advice import message_with_advice
from .error_kinds import causes, is_login_refused


@contextmanager
def warehouse_errors() -> Iterator[None]:
    """Context manager: converts failures of the warehouse into WarehouseUnavailable, and keeps this project's errors.

    Raises ConfigurationError where dlt refuses one of its settings.
    """
    try:
        yield
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, TaskHistoryError | Stopped):
                raise cause from None
            if (refused := configuration_error(cause)) is not None:
                raise refused from None
        known = isinstance(error, PipelineStepFailed | DatabaseException | DestinationException | OSError)
        # dlt lets through what a driver says when it connects, and what a cloud's client says.
        if not (
            known or SqlClientBase.is_dbapi_exception(error) or type(error).__module__.startswith("google.")
        ):
            raise
        if is_login_refused(error):
            raise WarehouseLoginRefused(message_with_advice(error)) from error
        raise WarehouseUnavailable(message_with_advice(error)) from error

"""Private attributes of google-cloud-bigquery: the bytes that a cursor's statement processed and was billed for."""

from __future__ import annotations

from typing import Any

from ..core.errors import WarehouseUnavailable


def bytes_read(cursor: Any) -> tuple[int, int | None]:
    """The bytes that the last statement of a cursor of ``google.cloud.bigquery.dbapi`` processed, and was billed for.

    The latter is None where the answer does not say it: of a statement that took long the library keeps less.
    https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query#response-body

    Raises:
        WarehouseUnavailable: this version of the library lacks the attribute. Counting zero instead would apply
            the limit of billed bytes to each statement instead of the whole run.
    """
    try:
        # Fetching the job would be one more request.
        rows = cursor._query_rows
        billed = (rows._first_page_response or {}).get("totalBytesBilled")
        return int(rows.total_bytes_processed or 0), None if billed is None else int(billed)
    except AttributeError as error:
        from google.cloud.bigquery import __version__

        raise WarehouseUnavailable(
            f"google-cloud-bigquery {__version__} does not say in its usual place how many bytes a statement processed "
            f"({error}), so the cost of a run cannot be counted. Install google-cloud-bigquery 3.47 "
            "and run the same command again."
        ) from None

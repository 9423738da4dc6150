"""Functions that the views need in Postgres, which has no cast that gives NULL for a text of another type.

Before version 16 it has no test of a text for JSON either.
"""

from __future__ import annotations

from ..core.dataset_names import VIEWS_DATASET
from ..warehouse.sql_text import quoted_name

JSON, JSON_TEXT = (f"{quoted_name(VIEWS_DATASET)}.{name}" for name in ("json_or_null", "json_text"))
FUNCTIONS = (
    f"CREATE OR REPLACE FUNCTION {JSON}(value TEXT) RETURNS JSON LANGUAGE plpgsql IMMUTABLE STRICT AS "
    "$$ BEGIN RETURN value::JSON; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$",
    f"COMMENT ON FUNCTION {JSON}(TEXT) IS 'The JSON; NULL where the text is none.'",
    f"CREATE OR REPLACE FUNCTION {JSON_TEXT}(value TEXT, path TEXT[]) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE STRICT "
    "AS $$ BEGIN RETURN value::JSON #>> path; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$",
    f"COMMENT ON FUNCTION {JSON_TEXT}(TEXT, TEXT[]) IS "
    "'The text at the path in the JSON; NULL where there is none, or where the text is no JSON.'",
)
"""The statements that make them, with their descriptions."""

"""``MERGE`` that replaces rows whole, in three statements instead of the emulator's seven.

Part of ``launcher``'s process.
"""

from __future__ import annotations

from typing import Any

from local_bigquery.jobs import merge
from local_bigquery.models import JobStatistics2
from sqlglot import exp

from tests.destinations.bigquery import translations

_merge = merge.run


def merged(cursor: Any, tree: Any, context: Any) -> Any:
    """As ``merge.run``."""
    kinds = [(when.args.get("matched"), type(when.args["then"])) for when in tree.args["whens"].expressions]
    if kinds != [(True, exp.Update), (False, exp.Insert)]:
        return _merge(cursor, tree, context)
    target, source = tree.this, tree.args["using"]
    table, alias = merge._unaliased(target), target.alias_or_name
    columns = tree.args["whens"].expressions[1].args["then"].this
    names = ", ".join(merge._sql(column) for column in columns.expressions)
    rows = 0
    cursor.execute("BEGIN")
    try:
        (staged,) = translations.parse(f"SELECT * FROM {merge._unaliased(source)} AS staged")
        text, bound = translations.translate(staged, context)
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE {merge.SOURCE} AS {text}", bound)
        context.temporary.add(merge.SOURCE)
        for sql in (
            f"DELETE FROM {table} AS {alias} WHERE EXISTS (SELECT 1 FROM {merge.SOURCE} AS {source.alias_or_name} "
            f"WHERE {merge._sql(tree.args['on'])})",
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {merge.SOURCE}",
        ):
            (part,) = translations.parse(sql)
            text, bound = translations.translate(part, context)
            rows = (cursor.execute(text, bound).fetchone() or (0,))[0]
        cursor.execute("COMMIT")
    except Exception:
        cursor.execute("ROLLBACK")
        raise
    return JobStatistics2(numDmlAffectedRows=str(rows))


def bridge() -> None:
    """From now on."""
    merge.run = merged

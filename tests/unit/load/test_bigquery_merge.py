"""The SQL of a pruned merge names the days that it may read, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlglot

from task_history.load.destinations.bigquery_merge import Merge
from task_history.warehouse.day_conditions import within

DAY = datetime(2026, 9, 1, tzinfo=UTC)
FIRST = "(c >= TIMESTAMP '2026-09-01 00:00:00+00:00' AND c < TIMESTAMP '2026-09-02 00:00:00+00:00')"


def _merge(**options: object) -> Merge:
    return Merge("`p`.`d`.`t`", "`p`.`s`.`t`", ["id", "at", "fetched"], ["id"], "fetched", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("days", "sql"),
    [
        ([], "FALSE"),
        ([DAY], f"({FIRST})"),
        ([DAY, DAY], f"({FIRST})"),
        ([None], "(c IS NULL)"),
        ([None, DAY], f"({FIRST} OR c IS NULL)"),
        (
            [DAY + timedelta(days=1), DAY],
            "((c >= TIMESTAMP '2026-09-01 00:00:00+00:00' AND c < TIMESTAMP '2026-09-03 00:00:00+00:00'))",
        ),
        (
            [DAY, DAY + timedelta(days=2)],
            f"({FIRST} OR (c >= TIMESTAMP '2026-09-03 00:00:00+00:00' AND c < TIMESTAMP '2026-09-04 00:00:00+00:00'))",
        ),
    ],
)
def test_days_that_follow_each_other_are_one_span(days: list[datetime | None], sql: str) -> None:
    """Each day is in it once, days in a row as one range, and what has no day by itself."""
    assert within("c", days) == sql


def test_a_merge_is_one_statement_within_its_days() -> None:
    """One MERGE on one line, which dlt would cut at a semicolon; the newest of a key wins."""
    sql = _merge(partition="at").sql([DAY])
    assert ";" not in sql
    assert "\n" not in sql
    tree = sqlglot.parse_one(sql, read="bigquery")
    assert isinstance(tree, sqlglot.exp.Merge)
    assert "t.id = s.id AND ((t.at >= TIMESTAMP '2026-09-01" in sql
    assert "PARTITION BY id ORDER BY fetched DESC" in sql


def test_a_table_without_partitions_is_merged_by_key_alone() -> None:
    """There is no day to name."""
    assert " ON t.id = s.id WHEN MATCHED" in _merge().sql()


def test_rows_that_may_move_are_looked_for_where_they_were() -> None:
    """Their former days are asked for since a constant instant."""
    former = _merge(partition="at", partition_may_change=True).former_days(DAY)
    assert "t.at >= TIMESTAMP '2026-09-01 00:00:00+00:00' OR t.at IS NULL" in former
    assert "FROM `p`.`d`.`t` AS t" in former


def test_a_staged_row_of_another_day_is_not_merged() -> None:
    """The table is not read where such a row may be stored already: it would be there twice."""
    sql = _merge(partition="at").sql([DAY])
    assert "FROM `p`.`s`.`t` WHERE ((at >= TIMESTAMP '2026-09-01 00:00:00+00:00'" in sql
    assert "at IS NULL" not in sql.split("AS n ")[0]
    assert "FROM `p`.`s`.`t` WHERE (at IS NULL)" in _merge(partition="at").sql([None])


def test_the_merge_says_when_it_wrote() -> None:
    """A row has the instant of the statement that wrote it, whatever its staged row says."""
    staged = Merge("`t`", "`s`", ["`id`", "`loaded_at`"], ["`id`"], None, loaded_at="`loaded_at`").sql()
    assert "UPDATE SET `id` = s.`id`, `loaded_at` = CURRENT_TIMESTAMP() WHEN" in staged
    assert staged.endswith("INSERT (`id`, `loaded_at`) VALUES (s.`id`, CURRENT_TIMESTAMP())")

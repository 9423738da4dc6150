"""Which columns the settings exclude_columns and hash_columns may name, and which fields of the vendor's they mean."""

from __future__ import annotations

from typing import Any

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from task_history import systems
from task_history.core.errors import ConfigurationError
from task_history.core.keyed_hash import KeyedHash
from task_history.settings_reader import Settings, build
from task_history.warehouse import common_tables
from task_history.warehouse.column_rules import ColumnRules, column_rules, needed_columns

KEY = "0123456789abcdef"
CREDENTIALS: dict[str, dict[str, Any]] = {
    "paragon": {"project_id": "p", "api_key": "secret-key"},
    "sailpoint": {"client_id": "c", "client_secret": "secret-key", "tenant": "acme"},
    "twinit": {"namespaces": ["n"], "token": "secret-key", "base_url": "https://localhost"},
    "b3os": {"api_key": "secret-key"},
}


def settings(system: str = "paragon", **values: Any) -> Settings:
    return build(systems.find(system), {**CREDENTIALS[system], **values})


def rules(system: str = "paragon", **values: Any) -> ColumnRules:
    return column_rules(settings(system, hash_key=KEY, **values))


@pytest.mark.parametrize("system", systems.names())
@pytest.mark.parametrize("setting", ["exclude_columns", "hash_columns"])
def test_what_the_connector_works_with_is_refused(system: str, setting: str) -> None:
    """Keys, ids by which tables join, dates, statuses and own columns are refused, with those that are possible."""
    found = systems.find(system)
    table = found.executions
    refused = {
        *table.primary_key,
        "status",
        found.started_column,
        found.workflow_column,
        "run_id",
        "is_open",
        "fetched_at",
    }
    assert refused <= needed_columns(found)[table.name]
    for column in sorted(refused):
        with pytest.raises(ConfigurationError, match=rf"{setting}: {table.name}\.{column} cannot be"):
            rules(system, **{setting: [f"{table.name}.{column}"]})


@pytest.mark.parametrize("system", systems.names())
def test_every_other_column_can_be_left_out(system: str) -> None:
    """Each column of the vendor's tables is either refused or left out, under its name and under the vendor's key."""
    found = systems.find(system)
    needed = needed_columns(found)
    for table in {
        one.name: one for part in (found, *found.companions) for one in common_tables.of_one(part)
    }.values():
        for column in table.columns:
            if column.name in needed[table.name]:
                continue
            of_table = rules(system, exclude_columns=[f"{table.name}.{column.name}"]).of(table.name)
            assert of_table.action(column.source or column.name) == "exclude"
            left = {one.name for one in table.columns if of_table.action(one.source or one.name) is None}
            assert left == {one.name for one in table.columns} - {column.name}


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("workflow_execution.user_id", "Did you mean workflow_executions.user_id?"),
        ("user_id", "Did you mean workflow_executions.user_id?"),
        ("sync_runs.host", "sync_runs is a table of task-history's own"),
        ("a.b.c", "is not TABLE.COLUMN"),
        ("nothing.at_all", "Tables: workflow_executions, "),
        ("*.workflow_id", "cannot be excluded"),
        ("workflow_executions.other_fields", "name those that are meant"),
    ],
)
def test_a_wrong_name_is_refused_with_what_may_be_meant(entry: str, hint: str) -> None:
    """A table that does not exist and a name without a table are refused, since they would leave nothing out."""
    with pytest.raises(ConfigurationError) as raised:
        rules(exclude_columns=[entry])
    assert hint in str(raised.value)


def test_a_column_that_is_not_known_is_taken_with_a_suggestion() -> None:
    """The vendor may send a field later that no column is declared for; a similar column may have been meant."""
    found = rules(exclude_columns=["workflow_executions.usr_id", "workflow_executions.shoe_size"])
    assert [(str(rule), rule.suggestion) for rule in found.unmatched([])] == [
        ("workflow_executions.usr_id", "workflow_executions.user_id"),
        ("workflow_executions.shoe_size", None),
    ]
    stored = [("workflow_executions", "shoe_size")]
    assert [str(rule) for rule in found.unmatched(stored)] == ["workflow_executions.usr_id"]


def test_number_cannot_be_hashed() -> None:
    """A hash is a text: a documented number or date can only be left out."""
    with pytest.raises(ConfigurationError, match=r"task_count is no text \(bigint\).*exclude_columns"):
        rules(hash_columns=["workflow_executions.task_count"])


def test_both_is_refused() -> None:
    """A column that one setting leaves out and the other hashes is refused."""
    with pytest.raises(ConfigurationError, match="in exclude_columns and in hash_columns"):
        rules(exclude_columns=["*.user_id"], hash_columns=["workflow_executions.userId"])


def test_missing_key_is_refused() -> None:
    """Without hash_key nothing can be hashed; the error says how one is made."""
    with pytest.raises(
        ConfigurationError, match=r"hash_key is missing, which hash_columns needs: make one with"
    ):
        column_rules(settings(hash_columns=["*.user_id"]))


def test_fields_are_meant_in_any_spelling() -> None:
    """The vendor's key, the column's name and other capitals are one field; another table's is not meant."""
    of_table = rules(exclude_columns=["workflow_executions.shoe_size"]).of("workflow_executions")
    row = {"id": "1", "shoeSize": 1, "ShoeSize": 2, "shoe_size__v2": 3, "shoe_size__v_text": "x", "shoe": 4}
    assert of_table.applied(row) == {"id": "1", "shoe": 4}
    assert not rules(exclude_columns=["workflow_executions.shoe_size"]).of("step_executions")


@pytest.mark.parametrize("key", ["e+mail", "a@b", "x*y", "p|q", "+@*|"])
def test_a_field_is_meant_by_the_name_of_its_column(key: str) -> None:
    """Also where dlt's naming writes letters for the signs of the vendor's key: the next rows are ruled as well."""
    column = NamingConvention().normalize_identifier(key)
    of_table = rules(exclude_columns=[f"workflow_executions.{column}"]).of("workflow_executions")
    assert of_table.applied({"id": "1", key: "x", column: "y"}) == {"id": "1"}


def test_every_table_means_those_of_the_vendor() -> None:
    """A name after ``*`` that only tables of our own have, such as reason, is a field that the vendor may send."""
    found = rules(exclude_columns=["*.reason"])
    assert found.of("workflow_executions").action("reason") == "exclude"
    assert found.of("rejected_rows").action("reason") is None
    assert rules(exclude_columns=["rejected_rows.value"]).of("rejected_rows").action("value") == "exclude"


def test_filters_of_a_run_are_recorded_hashed() -> None:
    """A run that was narrowed to one user notes the user's hash."""
    found = rules(hash_columns=["*.user_id"])
    filters = {"user": "zelda", "status": "FAILED"}
    assert found.recorded(systems.find("paragon"), filters) == {
        "user": KeyedHash(KEY).of("zelda"),
        "status": "FAILED",
    }


def test_key_is_in_no_text_of_the_rules() -> None:
    """What is stored and shown of the rules tells which key it was, and not the key."""
    found = rules(hash_columns=["*.user_id"])
    assert KEY not in f"{found.text} {found!r} {found.of('workflow_executions')!r}"


def test_names_in_other_letters_are_told_apart() -> None:
    """A rule is about the field of its name in any script, and about no other one of which as few letters are ASCII."""
    entries = ["*.\u0438\u043c\u044f", "*.gr\u00f6\u00dfe", "*.\u0438\u043c\u044f1", "*.stra_e"]
    of = rules(exclude_columns=entries).of("workflow_executions")
    left_out = (
        "\u0438\u043c\u044f",
        "\u0418\u043c\u044f",
        "Gr\u00f6\u00dfe",
        "gr_e",
        "\u0438\u043c\u044f1",
        "_1",
        "stra\u00dfe",
    )
    assert [name for name in left_out if of.action(name) != "exclude"] == []
    others = (
        "\u043f\u043e\u043b\u0435",
        "\u540d\u524d",
        "gr\u00e4e",
        "\u043f\u043e\u043b\u04351",
        "_",
        "",
        "status",
        "run_duration",
    )
    assert [name for name in others if of.action(name) is not None] == []


@pytest.mark.parametrize("entry", ["*.*", "workflow_executions.*", "*._", "*.__v2"])
def test_a_name_without_a_letter_is_refused(entry: str) -> None:
    """A rule that could mean no field is no rule: an asterisk does not stand for all columns."""
    with pytest.raises(ConfigurationError, match="names no column"):
        rules(exclude_columns=[entry])

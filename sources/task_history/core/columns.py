"""Columns of tables, one function for each of dlt's types: ``text("id", "The run's id.", "id")``.

Each takes the column's name, its description, and the vendor's key for it, which a column of this connector's own lacks.
"""

from __future__ import annotations

from .models import Column


def text(name: str, description: str, source: str | None = None, *, is_derived: bool = False) -> Column:
    """A column of text. ``is_derived``: ``source`` is a key that this connector adds, see ``Column``."""
    return Column(name, "text", description, source, is_derived=is_derived)


def customer_data(name: str, description: str, source: str | None = None) -> Column:
    """A column of prose that customers wrote: redacted, and cut at ``payload_max_bytes``."""
    return Column(name, "text", f"{description} Prose, as it was sent.", source, is_customer_data=True)


def customer_json(name: str, description: str, source: str | None = None) -> Column:
    """A column of any customer data as JSON text: redacted, and cut at ``payload_max_bytes``."""
    return Column(name, "text", description, source, is_customer_data=True, is_json=True)


def json_text(name: str, description: str, source: str | None = None) -> Column:
    """A column of JSON text that holds no customer data, such as a list of ids."""
    return Column(name, "text", description, source, is_json=True)


def timestamp(name: str, description: str, source: str | None = None) -> Column:
    """A column of instants, UTC."""
    return Column(name, "timestamp", description, source)


def bigint(
    name: str, description: str, source: str | None = None, *, former_name: str | None = None
) -> Column:
    """A column of whole numbers."""
    return Column(name, "bigint", description, source, former_name=former_name)


def double(name: str, description: str, source: str | None = None) -> Column:
    """A column of numbers with fractions."""
    return Column(name, "double", description, source)


def boolean(name: str, description: str, source: str | None = None) -> Column:
    """A column of true and false."""
    return Column(name, "bool", description, source)


LOADED_AT = timestamp(
    "loaded_at",
    "When this version of the row was written into the warehouse: on DuckDB later than that of every commit before, "
    "elsewhere at most as much earlier as a commit takes. Empty for what was written before there was this column.",
)
"""The column of every table by which a reader finds what is new."""

OCCURRENCE = bigint(
    "occurrence",
    "Which of the steps that have this id in its execution it is, counted from 0: vendors may use an id again, as for "
    "each iteration of a loop.",
)
"""The column of steps that tells those with the same id apart."""

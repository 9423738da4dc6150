"""Reads the data files of redaction, once: names of secrets, words that are none, shapes, forms and commands."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("data")
"""The folder of the data files, one TOML file each."""


@cache
def rules(name: str) -> dict[str, Any]:
    """The content of one data file."""
    with (FOLDER / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def word_set(text: str) -> frozenset[str]:
    """The words of a text of words."""
    return frozenset(text.split())

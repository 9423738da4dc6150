"""The file of the setting ``user_map``: its forms, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history.core.errors import ConfigurationError
from task_history.warehouse.user_map import read_user_map

BOTH = {"u1": ("Acme", "pro", None), "007": ("Zoo\u200f", None, "EU")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "m.csv",
            "\ufeffuser_id,customer,plan,region,other\r\nu1, Acme ,pro,,x\r\n\r\n007,Zoo\u200f,,EU,y\r\n",
        ),
        ("m.CSV", 'region,plan,customer,user_id\n"",pro,"Acme",u1\nEU,,Zoo\u200f,007\n'),
        (
            "m.json",
            '[{"user_id": "u1", "customer": "Acme", "plan": "pro"}, '
            '{"user_id": "007", "customer": "Zoo\u200f", "region": "EU", "plan": null}]',
        ),
        (
            "m.json",
            '{"users": {"u1": {"customer": "Acme", "plan": "pro"}, "007": {"customer": "Zoo\u200f", "region": "EU"}}}',
        ),
        ("m.toml", '[u1]\ncustomer = "Acme"\nplan = "pro"\n[007]\ncustomer = "Zoo\u200f"\nregion = "EU"\n'),
        (
            "m.toml",
            '[[users]]\nuser_id = "u1"\ncustomer = "Acme"\nplan = "pro"\n'
            '[[users]]\nuser_id = "007"\ncustomer = "Zoo\u200f"\nregion = "EU"\n',
        ),
    ],
)
def test_every_form_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    """CSV, JSON and TOML, as rows or by user; ids that look like numbers stay text, empty values are unknown."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert read_user_map(str(path)) == BOTH


def test_a_user_who_is_the_same_twice_is_no_error(tmp_path: Path) -> None:
    """Only different values contradict each other; an entry that is a text is the customer."""
    (tmp_path / "m.csv").write_text("user_id,customer\nu1,Acme\nu1,Acme \n")
    (tmp_path / "m.json").write_text('{"u1": "Acme"}')
    for name in ("m.csv", "m.json"):
        assert read_user_map(str(tmp_path / name)) == {"u1": ("Acme", None, None)}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m.csv", "", "line 1 lacks user_id"),
        ("m.csv", "user_id\nu1\n", "line 1 lacks customer, plan and region"),
        ("m.csv", "user,customer\nu1,A\n", "line 1.*lacks user_id|line 1: 'user' is no column"),
        ("m.csv", "user_id,costumer\nu1,A\n", r"'costumer' is no column. Did you mean customer\?"),
        ("m.csv", "user_id,plan,plan\nu1,A,B\n", "line 1 names 'plan' twice"),
        ("m.csv", "user_id,customer\nu1,A\nu2,B,C\n", "line 3 has 3 values"),
        ("m.csv", "user_id,customer\nu1,A\n,B\n", "line 3: user_id is empty"),
        ("m.csv", 'user_id,customer\nu1,"A\nB"\nu2,C\n', r"line 2: customer 'A\\\\nB' holds a control"),
        (
            "m.csv",
            "user_id,customer\nu1,A\nu2,B\nu1,C\n",
            "line 4: 'u1' is customer 'C' here and customer 'A' in line 2",
        ),
        ("m.csv", 'user_id,customer\nu1,"A\n', "unexpected end"),
        ("m.json", '[{"user_id": "u1", "customer": ["A"]}]', r"entry 1: customer is .*no text"),
        ("m.json", '[{"user_id": "u1", "plan": true}]', "entry 1: plan is 'True', which is no text"),
        ("m.json", '[{"user_id": "u1", "plan": "\\ud800"}]', "holds a control character"),
        ("m.json", '["u1"]', "entry 1: 'u1' is no user"),
        ("m.json", '{"u1": "A", "u1": "B"}', "'u1' stands in it twice"),
        ("m.json", "3", "neither a list nor an object"),
        ("m.json", "{", "line 1"),
        ("m.toml", 'u1 = "A"\nu1 = "B"\n', "line 2"),
        ("m.txt", "", r"ends in none of \.csv"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_value(tmp_path: Path, name: str, text: str, reason: str) -> None:
    """The error names the setting, the file, the place in it and the value."""
    path = tmp_path / name
    path.write_text(text, newline="")
    with pytest.raises(ConfigurationError, match=rf"(?s)user_map: .*{name}.*(?:{reason})"):
        read_user_map(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what the system says of it."""
    with pytest.raises(ConfigurationError, match=r"user_map: .*cannot be read"):
        read_user_map(str(tmp_path / "users.csv"))

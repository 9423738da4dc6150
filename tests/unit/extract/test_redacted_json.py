"""Huge values: what is stored of them is as if all had been searched, and the notes of what was left out add up."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from task_history.core import cutting
from task_history.extract.redacted_json import redacted_json, redacted_prose
from task_history.redaction.redactor import Redactor
from tests.support.torture import rest_as_torture

HUGE = 3 << 20
AT_MOST = 65_536


@dataclass(frozen=True, slots=True)
class Sizes:
    """Characters of a text that are searched at least, and bytes of it that are stored at most."""

    searched: int
    stored: int


@pytest.fixture(
    params=[
        pytest.param(Sizes(1 << 14, 2_048), id="small"),
        pytest.param(Sizes(1 << 20, AT_MOST), id="as set", marks=pytest.mark.torture),
    ]
)
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """What holds at the end of what is searched holds wherever that is: to search a megabyte takes a second."""
    found: Sizes = request.param
    monkeypatch.setattr(cutting, "_MIN_SEARCHED_CHARS", found.searched)
    return found


def test_the_note_says_how_much_of_all_was_cut() -> None:
    """What is kept and what the note says was cut are together what was sent; so is the size."""
    value = "word " * (HUGE // 5)
    text, removed = redacted_json(Redactor(), {"output": value}, AT_MOST)
    kept, said = json.loads(text.text)["output"].split("…")
    assert len(text.text.encode()) <= AT_MOST
    assert (text.cut, removed) == (True, 0)
    assert text.bytes == pytest.approx(HUGE, rel=0.01)
    assert said == f"[cut {len(value) - len(kept)} characters]"


@pytest.mark.parametrize("end", ["[cut 5 characters]", "…[cut 5 characters]", "[cut 999 items]", "…"])
def test_a_text_that_ends_like_a_note_of_ours_is_no_note(end: str, sizes: Sizes) -> None:
    """What a vendor writes counts for nothing, on either side of the size that is searched."""
    at_most = sizes.stored
    for size in (at_most * 2, sizes.searched * 3):
        value = "…" + "b" * size + end
        kept, said = json.loads(redacted_json(Redactor(), value, at_most)[0].text)[1:].split("…")
        assert said == f"[cut {len(value) - 1 - len(kept)} characters]"
    listed = json.loads(redacted_json(Redactor(), [*["word"] * at_most, end], at_most)[0].text)
    assert listed[-1] == f"[cut {at_most + 1 - (len(listed) - 1)} items]" or listed[-1] == end


def test_a_table_of_many_columns_loses_its_secrets(sizes: Sizes) -> None:
    """Rows and headings keep their order and length until they are searched, however large the table is."""
    columns = ["user", "password", *(f"c{number}" for number in range(78))]
    row = ["bob", "Hunter2-Hunter2", *(f"cell {number} " + "x" * 200 for number in range(78))]
    rows = [row] * (sizes.stored // 200)
    for value in ({"columns": columns, "rows": rows}, [columns, *rows]):
        assert "Hunter2" not in redacted_json(Redactor(), value, sizes.stored)[0].text


@pytest.mark.parametrize("before", ["", "x", "payload: ", "payload=ab,"])
def test_encoded_secrets_are_found_where_the_text_is_cut(before: str, sizes: Sizes) -> None:
    """Hexadecimal digits of JSON, longer than what is searched."""
    document = json.dumps({"rows": [{"password": "Hunter2-Hunter2"}] * (sizes.searched // 16)})
    stored = redacted_json(Redactor(), before + " " + document.encode().hex(), sizes.stored)[0].text
    assert b"Hunter2".hex() not in stored


@pytest.mark.parametrize("joined", rest_as_torture(["|", "/", ",", ";"], ["|"]))
def test_no_half_of_a_secret_is_stored_where_a_text_without_spaces_is_cut(joined: str, sizes: Sizes) -> None:
    """Also where the text before it becomes so short by redaction that its end would fit."""
    for shift in range(0, 80, 3):
        before = "password=" + "k" * (sizes.searched - 60 - shift)
        text = before + joined + "postgres://bob:Zq7vKx2mXw9@h" + joined
        stored = redacted_json(Redactor(), text * 2, sizes.stored)[0].text
        assert "Zq7vK" not in stored


@pytest.mark.parametrize("secret", ["Hunter2-Hunter2", "AKIA" + "QWERTYUIOPASDFGH"])
@pytest.mark.parametrize("shift", [None, 100, -80, -75, -70, -60])
def test_no_part_of_a_secret_is_stored(secret: str, shift: int | None, sizes: Sizes) -> None:
    """Wherever the text ends that is searched, and however much shorter the text before becomes by redaction."""
    at = 0 if shift is None else shift % sizes.searched
    long_one = "password: " + "Z9" * (at // 2)
    text = f"{long_one[:at]} the password: {secret} and token {secret}" + " tail" * (sizes.searched // 2)
    redactor = Redactor()
    stored = redacted_json(redactor, text, sizes.stored)[0].text
    assert secret[:6] not in stored + redacted_prose(redactor, text, sizes.stored)


def test_a_text_that_was_shortened_says_so(sizes: Sizes) -> None:
    """Prose ends with the sign of a cut, even where it would fit once its secrets are gone."""
    stored = redacted_prose(Redactor(), "password=" + "k" * (sizes.searched * 3), sizes.stored)
    assert stored.endswith("…")
    assert "kkk" not in stored


def test_a_long_list_of_bytes_is_searched() -> None:
    """Numbers that are the bytes of a text with a secret, more than the 65,536 bytes that are stored."""
    document = json.dumps({"password": "Hunter2-Hunter2", "rest": "word " * 40_000})
    value = {"type": "Buffer", "data": list(document.encode())}
    stored = redacted_json(Redactor(), value, AT_MOST)[0].text
    assert ",".join(map(str, b"Hunter2")) not in stored

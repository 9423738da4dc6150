"""Promises of own_secrets.py and columns.py: the run's own secrets are found whole, in part and encoded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history.core.redaction_mark import MARK
from task_history.redaction.arrow_columns import without_own
from task_history.redaction.own_secrets import OwnSecrets
from task_history.redaction.redactor import Redactor

KEY = "pk_live_9fQ2xLw71kPp0aZb3Rt5Yh6J"
FORMS = {
    "whole": KEY,
    "within a word": f"x{KEY}y",
    "first half": KEY[:16],
    "second half": KEY[16:],
    "twelve characters": KEY[9:21],
    "base64": base64.b64encode(KEY.encode()).decode(),
    "login": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "login of one letter": base64.b64encode(f"u:{KEY}".encode()).decode(),
    "base64 with more behind it": base64.b64encode(f"us:{KEY}:x".encode()).decode(),
    "part of base64": base64.b64encode(KEY.encode()).decode()[:20],
}


def _hex_of_each(text: str, form: str) -> str:
    return "".join(form.format(ord(letter)) for letter in text)


# How a vendor, or what it ran, may write each letter of the key.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "escaped in JSON": lambda text: _hex_of_each(text, "\\u{:04x}"),
    "escaped in JSON twice": lambda text: _hex_of_each(text, "\\\\u{:04X}"),
    "escaped in braces": lambda text: _hex_of_each(text, "\\u{{{:x}}}"),
    "escaped in bytes": lambda text: _hex_of_each(text, "\\x{:02x}"),
    "escaped in octal": lambda text: _hex_of_each(text, "\\{:03o}"),
    "escaped in a URL": lambda text: _hex_of_each(text, "%{:02x}"),
    "escaped in a URL twice": lambda text: _hex_of_each(text, "%25{:02X}"),
    "some letters escaped": lambda text: "".join(f"{a}%{ord(b):02x}" for a, b in batched(text)),
    "entities": lambda text: _hex_of_each(text, "&#{};"),
    "entities in hexadecimal": lambda text: _hex_of_each(text, "&#x{:x};"),
    "entities escaped": lambda text: _hex_of_each(text, "&amp;#{};"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    "hexadecimal in pairs": lambda text: text.encode().hex(" "),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "upper case": str.upper,
    "lower case": str.lower,
    "other case": str.swapcase,
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "full width": lambda text: "".join(chr(ord(letter) + 0xFEE0) for letter in text),
    "full width escaped": lambda text: _hex_of_each(
        "".join(chr(ord(letter) + 0xFEE0) for letter in text), "\\u{:04x}"
    ),
}


def batched(text: str) -> Iterator[tuple[str, str]]:
    return zip(text[::2], text[1::2], strict=True)


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_other_spellings(spell: Callable[[str], str]) -> None:
    """A key is gone however its letters are written, whole and by half, in texts, JSON and columns; all else stays."""
    own = OwnSecrets([KEY])
    for part in (KEY, KEY[:16], KEY[16:]):
        text = f'größe %20 "\\u00e9" &#233; was {spell(part)}: ok ＡＢ 50%'
        expected = text.replace(spell(part), MARK)
        assert expected == own.without(text)
        table = pa.table({"a": ["b", text, None]})
        assert {"a": ["b", expected, None]} == without_own(table, own).to_pydict()
    document = json.dumps({"a": f"was {spell(KEY)}, ok", "b": [1.0]})
    assert json.dumps({"a": f"was {MARK}, ok", "b": [1.0]}) == Redactor(secrets=own).text(document)[0]


def test_words_in_other_case_stay() -> None:
    """A secret of words alone, and words within a random one, are found in their own case only."""
    own = OwnSecrets(["Organization-9fQ2xLw71kPp", "correct horse battery"])
    for text in (
        "ORGANIZATION and organization",
        "Correct Horse Battery",
        "70 72 6f 67, 50% off \\u0070 &#112;",
    ):
        assert text is own.without(text)


def _shows(text: str, key: str, size: int = 12) -> bool:
    return any(key[at : at + size] in text for at in range(len(key) - size + 1))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_a_secret(form: str) -> None:
    """A secret, a part of it that gives it away, and its base64 are gone; what stands around stays."""
    new = OwnSecrets([KEY]).without(f"was {form} ok")
    assert MARK in new
    assert new.startswith("was ")
    assert new.endswith(" ok")
    assert not _shows(new, KEY)
    assert not _shows(new, base64.b64encode(KEY.encode()).decode(), 16)


secrets = st.text('abcXYZ0189-_/+=.%&"\\ äß', min_size=4, max_size=60)


@given(secrets, st.text(max_size=20), st.text(max_size=20), st.data())
@settings(max_examples=150)
def test_no_part_is_left(secret: str, before: str, after: str, data: st.DataObject) -> None:
    """Whole, encoded for a URL or as JSON text, a secret is gone; JSON around it stays JSON."""
    own = OwnSecrets([secret])
    if not own:
        return
    for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        if form.isascii() or form == secret:
            assert form not in own.without(f"{before}{form}{after}")
    document = json.dumps({"a": before + secret + after}, ensure_ascii=False)
    assert isinstance(json.loads(own.without(document))["a"], str)
    size = data.draw(st.integers(12, 60))
    if len(secret) > size:
        at = data.draw(st.integers(0, len(secret) - size))
        part = secret[at : at + size]
        assert part not in own.without(f"({part})") or all(run.isalpha() for run in part.split("-"))


READABLE = (
    "pk_live_ is how keys begin",
    "9fQ2x and 71kPp0a",
    "task 0aZb3Rt",
    "https://example.com/live/x",
    MARK,
    f"{MARK}#2",
)


@pytest.mark.parametrize("text", READABLE)
def test_what_is_no_secret_stays(text: str) -> None:
    """Short parts and words that a secret shares with other text stay: the very same text."""
    assert text is OwnSecrets([KEY]).without(text)


def test_words_of_a_secret_stay() -> None:
    """A long word within a random secret is a word; of a secret made of words any long part goes."""
    assert "the organization here" == OwnSecrets(["organization-9fQ2xLw71kPp"]).without(
        "the organization here"
    )
    assert f"say {MARK}!" == OwnSecrets(["correct horse battery staple"]).without("say correct horse ba!")


def test_secrets_are_added() -> None:
    """A token that is given to the run later is found by all that hold its secrets."""
    own = OwnSecrets()
    redactor = Redactor(secrets=own)
    assert "Kx9-token-1234-abcd" == redactor.text("Kx9-token-1234-abcd")[0]
    own.add("Kx9-token-1234-abcd")
    assert MARK == redactor.text("Kx9-token-1234-abcd")[0]


@given(st.lists(st.text("ab9fQ2xLw", max_size=40), max_size=4), st.text("ab9fQ2xLw", min_size=4, max_size=40))
@settings(max_examples=100)
def test_arrow_finds_what_python_finds(texts: list[str], secret: str) -> None:
    """A column is looked through by the same rule as a text."""
    own = OwnSecrets([secret])
    found = without_own(pa.table({"a": pa.array([*texts, None], pa.string())}), own)
    assert [*map(own.without, texts), None] == found["a"].to_pylist()


def test_every_column() -> None:
    """A secret is taken out of texts and numbers of any column; other columns are the very same."""
    own = OwnSecrets([KEY, "1234567890"])
    table = pa.table(
        {
            "id": [f"x-{KEY}", "b", None],
            "n": pa.array([1234567890, 2, None], pa.int64()),
            "d": pa.array([1234567890.0, 2.5, None], pa.float64()),
            "large": pa.array([KEY[:14], "b", None], pa.large_string()),
            "ok": [True, False, None],
            "other": ["a", "b", "c"],
        }
    )
    new = without_own(table, own)
    assert {
        "id": [f"x-{MARK}", "b", None],
        "n": [None, 2, None],
        "d": [None, 2.5, None],
        "large": [MARK, "b", None],
        "ok": [True, False, None],
        "other": ["a", "b", "c"],
    } == new.to_pydict()
    assert new.schema == table.schema
    assert without_own(table.select(["ok", "other"]), own).equals(table.select(["ok", "other"]))


@pytest.mark.parametrize("before_bytes", [0, 100, 9 << 20])
def test_every_chunk(before_bytes: int) -> None:
    """A secret is taken out of whichever chunk of a column it stands in, however much text stands before it."""
    first = pa.array(["a" * before_bytes, None, "b", ""])
    second = pa.array(["c", f"x-{KEY}", None, "d"])
    table = pa.table(
        {
            "front": pa.chunked_array([first, second.slice(3)]),
            "back": pa.chunked_array([first.slice(1), second.slice(1, 2)]),
        }
    )
    new = without_own(table, OwnSecrets([KEY]))
    assert table["front"].to_pylist() == new["front"].to_pylist()
    assert [None, "b", "", f"x-{MARK}", None] == new["back"].to_pylist()


@pytest.mark.parametrize(
    "texts", [[f"x-{KEY}"] * 3, [KEY, "b", KEY], ["b", KEY, "b"], [None, KEY, KEY], ["b", None, KEY], [KEY]]
)
def test_values_that_stand_in_many_rows(texts: list[str | None]) -> None:
    """A secret is taken out of each row, whether all rows have the same value or some of them."""
    expected = [None if text is None else text.replace(KEY, MARK) for text in texts]
    assert expected == without_own(pa.table({"a": texts}), OwnSecrets([KEY]))["a"].to_pylist()


def test_numbers_in_payloads() -> None:
    """A secret of digits that a payload holds as a number is gone."""
    redactor = Redactor(secrets=["1234567890123"])
    assert {"a": MARK, "b": 12, "c": Decimal("1.5")} == redactor.payload(
        {"a": 1234567890123, "b": 12, "c": Decimal("1.5")}
    ).value

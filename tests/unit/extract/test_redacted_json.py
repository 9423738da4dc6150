"""Huge values: what is stored of them is as if all had been searched, and the notes of what was left out add up."""

from __future__ import annotations

import json

import pytest

from task_history.core.json import shortened
from task_history.extract.redacted_json import redacted_json, redacted_prose
from task_history.redaction.redactor import Redactor

HUGE = 3 << 20
AT_MOST = 65_536


def test_a_short_value_is_left_as_it_is() -> None:
    """Nothing is left out of what is within the bound, and it is the same object."""
    value = {"name": "x" * 1_000}
    assert shortened(value, 1 << 20) == (value, 0)
    assert shortened(value, 1 << 20)[0] is value


@pytest.mark.parametrize(
    ("value", "note"),
    [
        ("word " * (HUGE // 5), "characters"),
        ([{"id": number} for number in range(HUGE // 12)], "items"),
        ({f"key{number}": number for number in range(HUGE // 16)}, "keys"),
    ],
    ids=["text", "list", "object"],
)
def test_the_note_says_how_much_of_all_was_left_out(value: object, note: str) -> None:
    """What is kept and what the note says was cut are together what was sent; so is the size."""
    text, removed = redacted_json(Redactor(), value, AT_MOST)
    stored = json.loads(text.text)
    assert len(text.text) <= AT_MOST
    assert (text.cut, removed) == (True, 0)
    assert text.bytes == pytest.approx(len(json.dumps(value, separators=(",", ":"))), rel=0.01)
    if isinstance(stored, str):
        kept, said = stored.split("…")
        kept_length = len(kept)
    elif isinstance(stored, list):
        said = stored[-1]
        kept_length = len(stored) - 1
    else:
        said = stored["[cut]"]
        kept_length = len(stored) - 1
    assert said == f"[cut {len(value) - kept_length} {note}]"  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", ["Hunter2-Hunter2", "AKIA" + "QWERTYUIOPASDFGH"])
@pytest.mark.parametrize("at", [0, 100, (1 << 20) - 80, (1 << 20) - 75, (1 << 20) - 70, (1 << 20) - 60])
def test_no_part_of_a_secret_is_stored(secret: str, at: int) -> None:
    """Wherever the text ends that is searched, and however much shorter the text before becomes by redaction."""
    long_one = "password: " + "Z9" * (at // 2)
    text = f"{long_one[:at]} the password: {secret} and token {secret}" + " tail" * 400_000
    stored = redacted_json(Redactor(), text, AT_MOST)[0].text + redacted_prose(Redactor(), text, AT_MOST)
    assert secret[:6] not in stored


def test_a_text_that_was_shortened_says_so() -> None:
    """Prose ends with the sign of a cut, even where it would fit once its secrets are gone."""
    text = "password=" + "k" * HUGE
    assert redacted_prose(Redactor(), text, AT_MOST).endswith("…")
    assert "kkk" not in redacted_prose(Redactor(), text, AT_MOST)

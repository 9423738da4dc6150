"""Words that are told to be no secret before the rules are read."""

from __future__ import annotations

import random
import re
from string import ascii_letters

import pytest

from task_history.redaction.data_files import FOLDER
from task_history.redaction.redactor import Redactor


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_the_rules_keep_each_word_that_they_are_not_asked_about(mode: str) -> None:
    """Also names of secrets and random letters; one of the run's own secrets, or a part of it, is no such word."""
    shuffled = random.Random(1)
    words = {
        word for file in FOLDER.glob("*.toml") for word in re.findall("[A-Za-z]{1,15}", file.read_text())
    }
    words |= {word.upper() for word in words}
    words |= {"".join(shuffled.choices(ascii_letters, k=shuffled.randint(1, 15))) for _ in range(3_000)}
    redactor = Redactor(["colour"], secrets=["hunterSecret"], mode=mode)
    asked = [word for word in words if redactor.is_word(word)]
    assert len(asked) > 5_000
    assert [word for word in asked if redactor.payload(word).value != word] == []
    assert not redactor.is_word("hunterSecret")
    assert not redactor.is_word("hunterSecr")
    assert redactor.text("hunterSecret")[1] == 1

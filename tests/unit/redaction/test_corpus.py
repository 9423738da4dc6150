"""Promises of redaction over corpora of secrets and ordinary objects: at most 5 % missed, at most 2 % damaged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from task_history.redaction.redactor import Redactor

from . import corpus

CORPORA = {"first": corpus.FIRST, "second": corpus.SECOND, "third": corpus.THIRD}
SECRETS = 600
ARGUABLE = ({"exposedHeaders": ["X-Auth-Token", "ETag2"]},)
"""Ordinary objects that cannot be told from secrets: a name, and a word with a digit beside it."""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("chosen", CORPORA.values(), ids=CORPORA)
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_secrets_go(chosen: corpus.Corpus, mode: str) -> None:
    """No secret of the corpus is left, in either mode."""
    redactor = Redactor(mode=mode)
    left = []
    for label, value, secret in chosen.secrets(SECRETS):
        new = _text(redactor.payload(value).value)
        # What is encoded whole does not show the secret before, either.
        if secret in new or secret[-8:] in new or new == _text(value):
            left.append(label)
    assert left == []


@pytest.mark.parametrize("chosen", CORPORA.values(), ids=CORPORA)
def test_ordinary_objects_stay(chosen: corpus.Corpus) -> None:
    """Every ordinary object of the corpus stays, but for those that are listed as arguable."""
    redactor = Redactor()
    damaged = [value for value in chosen.ordinary if redactor.payload(value).value != value]
    assert [value for value in damaged if value not in ARGUABLE] == []


@pytest.mark.parametrize("value", ARGUABLE)
def test_what_is_arguable_is_damaged(value: Any) -> None:
    """The list of arguable objects holds no more than those that are damaged."""
    assert Redactor().payload(value).value != value

"""Names of secrets that two words make in other languages, such as ``code de vérification`` and ``Vahvistuskoodi``.

The *noun* is the word for the secret itself: code, key or token. The other word says what it is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .data_files import rules
from .lookalikes import in_latin

_MIN_STEM_CHARS = 4
"""Minimum Latin letters of a noun by which the name is found in text; many other words contain a shorter one."""
_RARE = frozenset({"kod"})
"""Shorter nouns that few other words contain."""


def forms(line: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The names that a table of ``data/secret_names_other_languages_two_words.toml`` makes, each with the noun in it."""
    for noun in line["nouns"].split():
        for purpose in line.get("of", "-").split():
            for form in line["forms"]:
                yield form.format(noun=noun, of=purpose.replace("_", " ")), noun


def _stem(name: str, noun: str) -> str:
    """The part of the name by which it is found in text: the noun, or the whole name where the noun is too frequent."""
    latin = in_latin(noun)
    return noun if len(latin) >= _MIN_STEM_CHARS or latin in _RARE or not latin.isascii() else name


STEMS = {
    name: _stem(name, noun)
    for line in rules("secret_names_other_languages_two_words").values()
    for name, noun in forms(line)
}
"""Each such name, and the part by which it is found."""

NOUNS = frozenset(
    noun
    for line in rules("secret_names_other_languages_two_words").values()
    for noun in line["nouns"].split()
)
"""All words for codes, keys and tokens in these names."""

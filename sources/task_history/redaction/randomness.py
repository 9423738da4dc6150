"""Judges whether a text looks random: like a key, and not like words, an id, a path or the number of an article.

A text looks random that has eight characters or more without white space, is not made of words and numbers, and is no
id, path or article number of a known form.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ..core.models import Json
from .data_files import rules, word_set
from .expressions import expression

ORDINARY_CHARS = 500
"""Maximum characters of a value that is compared to ordinary forms; prose may be longer."""
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
TIME = r"[0-9]{2}(?::?[0-9]{2}){0,2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
DATE = rf"[12][0-9]{{3}}-[01][0-9]-[0-3][0-9](?:[T ]{TIME})?"
FAMILIAR = expression(rf"(?<![^\W_])(?:{UUID}|{DATE})(?![^\W_])")
_NO_WORD = expression(r"(?<![^\W_])(?!(?:[^\W\d_]+\d{0,2}|\d+)(?![^\W_]))[^\W_]")
SPACE = expression(r"\s")
ID = expression(
    r"[0-9a-f]{24}"  # MongoDB: https://www.mongodb.com/docs/manual/reference/bson-types/#objectid
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}"  # ULID: https://github.com/ulid/spec
    rf"|(?:{'|'.join(sorted(word_set(rules('no_secrets')['id_prefixes'])))})_(?:test_|live_)?[A-Za-z0-9]{{6,40}}"
    r"|[A-Z]{2}[A-Z0-9]{9}[0-9]"  # ISIN: https://www.iso.org/standard/78502.html
    r"|[A-Z]{2,8}[0-9]{3,10}[A-Z]{0,3}"
    r"|(?=.{5,40}\Z)[A-Z]{2,12}(?:[-_][A-Z0-9]{1,12}){1,3}"
    r"|(?=.{5,40}\Z)[A-Z0-9]{1,8}(?:[-_/.][A-Za-z0-9]{1,6}){1,6}"  # numbers of articles
    r"|0x[0-9a-fA-F]{40}|[A-Z0-9]{8,10}"
    r"|(?:[A-Za-z]{3,20}-){2,5}[0-9a-f]{32,64}"  # of a cache: its words and a checksum
)
LICENCE = expression(r"(?=\D*\d)(?=[^A-Z]*[A-Z])(?:[A-Z0-9]{4,6}-){3,7}[A-Z0-9]{4,6}")
PATH = expression(
    r"(?:https?|s3|gs|file)://[\w.:-]+(?:/[\w.%+~-]{1,64})*/?"
    r"|(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[\w.+ -]{1,64}[/\\])*[\w.+ -]{1,64}"
    r"|[a-z][a-z0-9_-]{0,40}/(?:[\w.=+@-]{1,64}/)*[\w.+=@-]{1,80}|[\w.+-]{1,80}\.[a-z][a-z0-9]{1,4}"
)
FILE_IN_FOLDER = expression(r"/[^/]{1,120}\.[a-z][a-z0-9]{1,6}\Z")


def is_random(value: Json) -> bool:
    """Whether a value looks random, which makes it a secret under a bare ``key``."""
    if not isinstance(value, str) or len(value) < 8 or SPACE.search(value):
        return False
    if _NO_WORD.search(FAMILIAR.sub("-", value)) is None:
        return False
    if len(value) > ORDINARY_CHARS or LICENCE.fullmatch(value):
        return True
    is_path = PATH.fullmatch(value) is not None
    return not (
        ID.fullmatch(value) or (is_path and (not has_long_run(value) or FILE_IN_FOLDER.search(value)))
    )


_KINDS_OF_LETTERS = (str.islower, str.isupper, str.isdigit)
_JUMBLED = 0.4
"""Share of letters and digits of a random text behind which one of another kind follows: about 0.6 of random ones."""
_RUN = expression(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX_KEY = expression(
    r"(?:0x)?(?=[0-9a-f]*[a-f])(?=[a-f]*[0-9])(?:[0-9a-f]{32}|[0-9a-f]{48,})"
    r"|(?=[0-9A-F]*[A-F])(?=[A-F]*[0-9])(?:[0-9A-F]{32}|[0-9A-F]{48}|[0-9A-F]{64})"
)


def is_jumbled(value: str) -> bool:
    """Whether small letters, capitals and digits mix in a text as they do at random, and not as words do."""
    kinds = [
        next((kind for kind in _KINDS_OF_LETTERS if kind(letter)), None)
        for letter in value
        if letter.isalnum()
    ]
    if not set(_KINDS_OF_LETTERS) <= set(kinds):
        return False
    changes = sum(one is not other for one, other in pairwise(kinds))
    return changes >= _JUMBLED * (len(kinds) - 1)


def is_key_material(value: str) -> bool:
    """Whether a text looks like a key: long and of mixed letters, or of hexadecimal digits."""
    return len(value) <= ORDINARY_CHARS and (
        _HEX_KEY.fullmatch(value) is not None or (_RUN.fullmatch(value) is not None and is_jumbled(value))
    )


def has_long_run(value: str) -> bool:
    return any(len(run) >= 30 and is_mixed(run) for run in re.split(r"[/\\.]", value))


def is_mixed(text: str) -> bool:
    """Whether a text holds letters and digits."""
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))

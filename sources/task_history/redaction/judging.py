"""Judges values: which value under the name of a secret is one, by its length, letters and words.

Under a bare ``key`` a value is a secret if it looks random (``randomness``). Under ``token`` or ``session`` it is the
other way round: any value is a secret that does not look ordinary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice

from ..core.models import Json
from .data_files import rules, word_set
from .expressions import expression
from .kinds_of_names import ABOUT, Kind, kind_of, words_of
from .placeholders import CREDENTIAL_SCHEMES, is_algorithm, is_placeholder, is_public
from .randomness import (
    DATE,
    FILE_IN_FOLDER,
    ID,
    LICENCE,
    ORDINARY_CHARS,
    PATH,
    SPACE,
    has_long_run,
    is_key_material,
    is_mixed,
    is_random,
)
from .schemas import is_schema

Judge = Callable[[Kind, Json], bool]
"""Whether a value under a name of this kind is a secret."""

REPORTING = word_set(rules("no_secrets")["reports"])
"""Words that report on a secret and do not reveal it."""
_ORDINARY_WORDS = REPORTING | {word.lower() for word in word_set(rules("no_secrets")["schemes"])}
_STATES = word_set(rules("no_secrets")["states"])
_MESSAGES = word_set(rules("no_secrets")["messages"])
_VALIDATIONS = word_set(rules("no_secrets")["validations"])
_PROSE_CHARS = 10_000
_MIN_SECRET_NUMBER = 100
"""Numbers below this count or measure under any name."""
_MAX_SETTING = 1_000
"""Numbers below this are settings where other settings stand beside them."""
_CODE_CHARS = 4
"""Maximum characters of a short code, such as that of a room."""
_CODE_DIGITS = 3
"""Minimum digits of a short code that opens something."""
_KEY_CHARS = 16
"""Minimum characters of a key in a list of keys."""
_PIECE_CHARS = 16
"""Maximum characters of a piece of text, as language models split it."""
_PIECE_SIGNS = "▁Ġ#"
"""What begins a word among the pieces of a text."""
_REPORT_WORDS = 4
"""Maximum words of a report on a secret that is nothing else."""
_LABEL_CHARS = 120
"""Maximum characters of a text that may be the label of a form's field."""
_MIN_SECRET_WORD_CHARS = 20
"""Minimum characters of a word that may be a secret though it has letters alone."""
_DATA_SIGNS = frozenset('{}[]"')
_LEAVES = 200
"""Maximum values in a list or object that is judged by its parts."""

_DATE = expression(DATE)
_CODE = expression(r"[A-Za-z_]\w*(?:(?:::|->|\.|\()[\w().]*)+")
_KNOWN_ID = expression(
    r"(?=[\w-]{1,20}\Z)[A-Za-z]{1,12}(?:[-_][0-9]{1,4}){1,3}|"
    rf"(?:{'|'.join(sorted(word_set(rules('no_secrets')['id_prefixes'])))})_(?:test_|live_)?[A-Za-z0-9]{{6,40}}"
    r"|S-1-[0-9-]{3,80}"  # https://learn.microsoft.com/en-us/windows-server/identity/ad-ds/manage/understand-security-identifiers
    r"|[A-Z]{2}[0-9a-f]{32}"  # https://www.twilio.com/docs/glossary/what-is-a-sid
)
_FILE = expression(r"[\w./\\:~-]{1,200}\.(?:pem|key|crt|cer|p12|pfx|jks|pub|json|txt|ya?ml|env|ini|conf)")
_PROSE_WORD = expression(
    r"[(\"'«„“]?(?:[^\W\d_]+(?:['’-][^\W\d_]+)*|\d{1,4}|\d{1,4}(?:st|nd|rd|th))[)\"'».,;:!?…”]*|[-–—&/+]|\+?[\d()]{1,6}|\d{1,4}x\d{1,5}(?:k?m)?"
)
_APP_PASSWORD = expression(r"[a-z]{4}(?: [a-z]{4}){3}")
"""https://support.google.com/accounts/answer/185833"""
_RANDOM_WORDS = expression(rf"(?=.*\b[^\Waeiouy]{{4}}\b){_APP_PASSWORD.pattern}")
"""Such words of which one has no vowel."""
_NAME_LIKE = expression(r"(?:[A-Z][a-z]{2,}){1,4}|[a-z]{0,3}[A-Z]{2,6}|[^\W\d_]*[^\x00-\x7f\W\d_][^\W\d_]*")
_WORD = expression(r"[^\W\d_]+(?:[-_. ][^\W\d_]+)*")
_PLAIN = expression(
    rf"{DATE}|[0-2]?\d:[0-5]\d(?::[0-5]\d)?(?:[ ]?[AaPp][Mm])?|v?\d{{1,3}}(?:\.\d{{1,3}}){{0,3}}"
    rf"|[A-Z]{{2,10}}-\d{{1,7}}|0x[0-9a-fA-F]{{40}}|[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|(?:CVSS:\d\.\d/)?(?:[A-Za-z]{1,3}:[A-Z]{1,2}/){3,40}[A-Za-z]{1,3}:[A-Z]{1,2}"  # https://www.first.org/cvss/
    r"|[A-Z]{1,4}\d{1,2}|(?:[A-Z][a-z]{0,2}\.){1,5}|[\[<]/?[A-Za-z_]{1,12}[\]>]"
    r"|[a-z]{2,12}(?:_[a-z]{2,12}){1,4}(?:_[0-9]{1,4})?|[a-z]{3,20}-[0-9]{14,30}"
    r"|[A-Z]{2,6}[/-][A-Z]{2,6}|[a-z]{1,8}-[a-z]{1,8}|#[0-9a-fA-F]{3,8}|-?\d{1,5}(?:\.\d{1,3})?(?:px|rem|em|%|ms|s|m|h|d|pt|vh|vw|fr)"
)
_VERSION = expression(
    r"[0-9]{1,4}(?:st|nd|rd|th)|[0-9]{1,4}x[0-9]{1,5}(?:k?m)?|ssh-(?:ed25519|rsa)|(?:GPIO|[A-D])_?[0-9]{1,2}|-?[0-9]{1,3}\.[0-9]{1,8},-?[0-9]{1,3}\.[0-9]{1,8}|[~^v>=<]{1,3}\d{1,4}(?:\.\d{1,4}){0,3}|\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[a-z]{1,8}\.?\d{0,4})?"
)
_SIGNS = expression(r"[^\w\s]{0,3}")
"""Signs of a language: ``unexpected token: "}"``."""
_MNEMONIC_WORDS = (12, 15, 18, 21, 24)
"""https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki"""
_POSTAL = expression(r"[1-9][0-9]{5}")


def is_number(value: Json) -> bool:
    """Whether a value is a number, or a text of one."""
    if isinstance(value, str):
        digits: str = value.removesuffix("%")
        return digits.isascii() and digits.replace(".", "", 1).isdigit()
    return isinstance(value, int | float | Decimal)


def is_prose(text: str) -> bool:
    """Whether a text is words that a person wrote; the words of a wallet's seed are none."""
    words = text.split() if len(text) <= _PROSE_CHARS else []
    if (
        len(words) < 2
        or len(words) > 400
        or _APP_PASSWORD.fullmatch(text)
        or words[0].lower().strip(":") in CREDENTIAL_SCHEMES
    ):
        return False
    if not all(_PROSE_WORD.fullmatch(word) for word in words) or not any(len(word) > 2 for word in words):
        return False
    return not _is_mnemonic(words, text)


def _leaves(value: Json) -> Iterator[Json]:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
        else:
            yield inner


def _all_leaves(value: Json, judge: Callable[[Json], bool]) -> bool:
    leaves = list(islice(_leaves(value), _LEAVES + 1))
    return len(leaves) <= _LEAVES and all(map(judge, leaves))


def is_ordinary(value: Json) -> bool:
    """Whether a value under ``token``, ``auth`` and the like is none of a secret."""
    if isinstance(value, dict):
        # An object describes its token: a number, or a short word, is not the token itself.
        return len(value) <= _LEAVES and all(
            is_ordinary(inner)
            or is_number(inner)
            or (isinstance(inner, str) and len(inner) <= _PIECE_CHARS and inner.isalpha())
            for inner in value.values()
        )
    if isinstance(value, list):
        return len(value) <= _LEAVES and all(map(is_ordinary, value))
    if not isinstance(value, str):
        return value is None or isinstance(value, bool) or abs(value) < 1_000
    value = value.strip()
    if len(value) > ORDINARY_CHARS:
        return is_prose(value)
    if (
        value.lower() in _ORDINARY_WORDS
        or _SIGNS.fullmatch(value)
        or is_prose(value)
        or _are_weak_words(value)
    ):
        return True
    if (
        _NAME_LIKE.fullmatch(value)
        or _FILE.fullmatch(value)
        or _PLAIN.fullmatch(value)
        or is_algorithm(value)
    ):
        return True
    return (
        PATH.fullmatch(value) is not None
        and not has_long_run(value)
        and not is_mixed(value.rsplit("/", 1)[-1][:-3])
    )


def _is_plain_word(value: Json) -> bool:
    """Whether a value is a word of letters alone, in the case of words: a token of a text, a way to sign in."""
    value = value.lstrip(_PIECE_SIGNS) if isinstance(value, str) else ""
    if not value.isalpha() or len(value) < 2 or len(value) >= _MIN_SECRET_WORD_CHARS:
        return False
    return (
        len(value) >= _CODE_CHARS
        if value.islower()
        else len(value) <= _CODE_CHARS or value.istitle() or value.isupper()
    )


def _are_plain_words(text: str) -> bool:
    words = re.split("[-_. ]", text)
    return all(map(_is_plain_word, words))


def _is_code(value: Json) -> bool:
    """Whether a value is a code that opens something: of several digits, or longer and no words."""
    if isinstance(value, dict | list):
        return not _all_leaves(value, lambda inner: not _is_code(inner))
    text = str(value)
    return sum(map(str.isdigit, text)) >= _CODE_DIGITS or (
        len(text) > _CODE_CHARS + 1 and not _is_words(value)
    )


def _are_weak_words(text: str) -> bool:
    """Whether a text of several words holds none that could be a secret, as a sentence or a line of code does."""
    words = text.split()
    if len(words) < 2 or words[0].lower().strip(":") in CREDENTIAL_SCHEMES or _is_mnemonic(words, text):
        return False
    if not _DATA_SIGNS.isdisjoint(text) or _RANDOM_WORDS.fullmatch(text):
        return False
    return not any(len(word) >= _MIN_SECRET_WORD_CHARS or is_mixed(word) for word in words)


def _is_mnemonic(words: list[str], text: str) -> bool:
    return len(words) in _MNEMONIC_WORDS and text.replace(" ", "").isalpha() and text.islower()


def _is_id(value: Json) -> bool:
    if not isinstance(value, str) or len(value) > ORDINARY_CHARS or LICENCE.fullmatch(value):
        return False
    return ID.fullmatch(value) is not None


def _is_words(value: Json) -> bool:
    if isinstance(value, dict | list):
        return _all_leaves(value, _is_words)
    if isinstance(value, str) and (len(value) <= _CODE_CHARS or (len(value) < 60 and _WORD.fullmatch(value))):
        return _RANDOM_WORDS.fullmatch(value) is None
    if isinstance(value, str) and len(value) <= ORDINARY_CHARS and _KNOWN_ID.fullmatch(value):
        return True
    return is_ordinary(value)


def is_secret(kind: Kind, value: Json) -> bool:
    """Whether a value under a name of this kind is a secret."""
    if kind is Kind.HARMLESS:
        return False
    if kind is Kind.OWN:
        kind = Kind.SECRET
    elif isinstance(value, int | float) and abs(value) < _MIN_SECRET_NUMBER:
        return False
    # Most values are told by the kind of the name, and by no more than that.
    return _IS_SECRET[kind](value) and not _is_none(kind, value)


def _is_none(kind: Kind, value: Json) -> bool:
    """Whether a value is no secret under any name of one: a placeholder, a report, a description of a secret."""
    if isinstance(value, str):
        is_short = len(value) <= ORDINARY_CHARS
        return (is_short and _is_none_in_short(kind, value)) or is_public(value)
    if isinstance(value, dict):
        return is_schema(value) or _is_description(value) or _are_settings(value)
    return (
        isinstance(value, list)
        and kind is Kind.SECRET
        and bool(value)
        and all(isinstance(inner, str) and (_is_label(inner) or _is_validation(inner)) for inner in value)
    )


def _is_none_in_short(kind: Kind, value: str) -> bool:
    return (
        is_placeholder(value)
        or value.lower() in _STATES
        or _is_report(value)
        or _VERSION.fullmatch(value) is not None
        or _DATE.fullmatch(value) is not None
        or (value[:1] == "$" and kind_of(value[1:]) is not Kind.HARMLESS and value[1:].isidentifier())
        or (kind is Kind.SECRET and (_is_label(value) or _is_validation(value)))
    )


def _is_report(value: str) -> bool:
    """Whether a text is words that report on a secret and nothing else: ``not set``."""
    words = value.lower().split()
    return 1 < len(words) <= _REPORT_WORDS and all(word in REPORTING for word in words)


_MARKUP = expression(r"\s*<(?:p|div|br|table|span|img|html|body|a|b|i)(?:\s[^<>]{0,2000})?/?>", re.IGNORECASE)


def _is_markup(value: Json) -> bool:
    """Whether a text is HTML, as the signature below a letter is."""
    return isinstance(value, str) and _MARKUP.match(value) is not None


def _is_validation(value: str) -> bool:
    """Whether a text says how a form checks a secret, such as ``required|min:8``."""
    if len(value) > _LABEL_CHARS:
        return False
    rules_of_form = [rule.partition(":")[0].strip().lower() for rule in value.split("|")]
    return all(rule in _VALIDATIONS or rule in _STATES for rule in rules_of_form)


def _is_label(value: str) -> bool:
    """Whether a text names a secret, or says what is wrong with it, as forms do: ``Neues Passwort``, ``is too short``."""
    if len(value) > _LABEL_CHARS or not any(map(str.isalpha, value)):
        return False
    words = [word.strip("().,;:!?…") for word in value.lower().split()]
    if len(words) > 1 and not _MESSAGES.isdisjoint(words) and is_prose(value):
        reports = [word in _MESSAGES or word in REPORTING or bool(kind_of(word)) for word in words]
        return sum(reports) * 2 >= len(words)
    is_lower = value.isascii() and value.islower() and len(words) == 1
    if any(map(str.isdigit, value)) or is_lower or words[0] in CREDENTIAL_SCHEMES:
        return False
    return (len(words) == 1 or is_prose(value)) and kind_of(value) is not Kind.HARMLESS


def _is_description(value: dict[str, Json]) -> bool:
    """Whether an object says of what type a secret is and who gave it, and does not hold it."""
    return bool(value) and all(
        (words_of(name) or [""])[-1] in ABOUT and _all_leaves(inner, _is_words)
        for name, inner in value.items()
    )


def _are_settings(value: dict[str, Json]) -> bool:
    """Whether an object holds switches and small numbers, as a policy for passwords does, and nothing else."""
    leaves = list(islice(_leaves(value), 2))
    is_switch = len(leaves) == 1 and isinstance(leaves[0], bool)
    return is_switch or (len(leaves) > 1 and _all_leaves(value, _is_setting))


def _is_setting(value: Json) -> bool:
    return value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _MAX_SETTING)


def _is_no_count(value: Json) -> bool:
    return not _all_leaves(value, is_number) if value not in ([], {}) else True


def _is_word_number_or_id(value: Json) -> bool:
    return is_number(value) or _is_words(value) or _is_id(value)


def _are_pieces(value: Json) -> bool:
    """Whether a list holds the pieces of a text: short, and without digits."""
    return isinstance(value, list) and all(
        isinstance(piece, str) and len(piece) <= _PIECE_CHARS and not any(map(str.isdigit, piece))
        for piece in value
    )


_IS_SECRET: dict[Kind, Callable[[Json], bool]] = {
    Kind.SECRET: lambda _: True,
    Kind.UNLESS_ORDINARY: lambda value: not is_ordinary(value) and not _is_plain_word(value),
    Kind.UNLESS_WORD: lambda value: (
        not (
            isinstance(value, str)
            and (
                len(value) < _CODE_CHARS
                or (len(value) < 60 and _are_plain_words(value))
                or (PATH.fullmatch(value) and FILE_IN_FOLDER.search(value) and not has_long_run(value))
            )
        )
    ),
    Kind.IF_CODE: _is_code,
    Kind.UNLESS_WORDS: lambda value: not _is_words(value) and not _is_markup(value),
    Kind.UNLESS_WORDS_OR_NUMBERS: lambda value: not _all_leaves(value, _is_word_number_or_id),
    Kind.UNLESS_NUMBER: lambda value: (
        _is_no_count(value) and not (isinstance(value, str) and is_prose(value))
    ),
    Kind.UNLESS_NUMBER_OR_ORDINARY: lambda value: (
        _is_no_count(value) and not is_ordinary(value) and not _are_pieces(value)
    ),
    Kind.UNLESS_POSTAL: lambda value: not _POSTAL.fullmatch(str(value)),
    Kind.IF_RANDOM: is_random,
    Kind.IF_JUMBLED: lambda value: isinstance(value, str) and is_key_material(value) and not _is_id(value),
}


def is_secret_or_doubtful(kind: Kind, value: Json) -> bool:
    """The same for those who would rather lose a value than keep a secret: a value in doubt is a secret."""
    if kind in (Kind.IF_RANDOM, Kind.IF_JUMBLED):
        return isinstance(value, str) and len(value) >= 8 and not SPACE.search(value) and not value.isalpha()
    return kind is not Kind.HARMLESS


def is_no_name(text: str) -> bool:
    """Whether a text beside a secret's name, where another name may stand as well, is the secret."""
    return len(text) >= 4 and any(map(str.isdigit, text)) and not _CODE.fullmatch(text)


def is_secret_in_object(name: str, value: Json) -> bool:
    """Whether a value is a secret under a name that is a secret's only in an object of another name."""
    if name == "number":
        return isinstance(value, str | int) and is_card_number(str(value))
    if isinstance(value, list):
        return bool(value) and all(is_random(inner) and len(inner) >= _KEY_CHARS for inner in value)
    if isinstance(value, str) and name == "answer":
        return len(value) > 2 and not is_ordinary(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return name == "code" and 999 < value
    return isinstance(value, str) and is_no_name(value) and not is_ordinary(value) and not _is_id(value)


def is_card_number(digits: str) -> bool:
    """Whether digits are the number of a card, by its check digit: https://www.iso.org/standard/70484.html"""
    digits = digits.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19):
        return False
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0

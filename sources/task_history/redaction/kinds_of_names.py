"""Classifies names of fields by which of their values are secrets.

The names themselves stand in ``data/secret_names_english.toml`` and ``data/secret_names_other_languages.toml``;
``patterns`` makes what it looks for in text from the same files. A name decides on its words: ``apiKey``,
``X-Api-Key`` and ``API_KEY`` are one, in letters that only look like these, too (``lookalikes``). What a value looks
like is judged in ``judging``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import cache, lru_cache
from itertools import pairwise

from . import two_word_names
from .data_files import rules, word_set
from .expressions import expression
from .lookalikes import in_latin


class Kind(IntEnum):
    """Classification of a name by the values that are secrets under it."""

    HARMLESS = 0
    SECRET = 1
    """Any value."""
    UNLESS_ORDINARY = 2
    """Any but known words, prose, acronyms, paths: ``token: "USDC"`` and ``auth: "oauth2"`` stay."""
    UNLESS_WORDS = 3
    """Any but words: ``session: "Morning workshop"`` stays."""
    UNLESS_WORDS_OR_NUMBERS = 4
    UNLESS_NUMBER = 5
    """``pass: 3`` is a count; ``pass: "…"`` is not."""
    UNLESS_NUMBER_OR_ORDINARY = 6
    """``tokens: 12`` and ``tokens: {"prompt": 3}`` are counts; ``tokens: ["…"]`` is not."""
    UNLESS_POSTAL = 7
    """Any but an Indian postal code."""
    IF_JUMBLED = 10
    """A value of many letters and digits that mix at random, or of hexadecimal digits."""
    OWN = 9
    """Any value, small numbers included: a name of the user's."""
    IF_CODE = 11
    """``door_code: "4711"`` is a secret; ``locker_code: "B-13"`` names a place."""
    UNLESS_WORD = 12
    """Any but words without digits: ``encryption_key: "customer-managed"`` stays."""
    IF_RANDOM = 8
    """``key: "first_name"`` is a name; ``key: "9fQ2xLw71"`` is not."""

    __hash__ = int.__hash__  # kinds are looked up with each value, and an enum's own hash takes longer


NO_SECRET_BY_NAME = frozenset({Kind.HARMLESS, Kind.IF_RANDOM, Kind.IF_JUMBLED})
"""Kinds of names that do not make a secret of a value by themselves."""


_KEPT_CHARS = 64
"""Maximum characters of a name that is remembered."""


def squash(name: str) -> str:
    """The name without case, accents and separators, in Latin letters."""
    return _squash_kept(name) if len(name) <= _KEPT_CHARS else _squash(name)


def _squash(name: str) -> str:
    return "".join(filter(str.isalnum, in_latin(in_latin(name).casefold())))


_squash_kept = lru_cache(20_000)(_squash)


def spelled(name: str) -> str:
    """The words of a name in a data file as they are compared: in Latin letters and lower case."""
    return in_latin(name.casefold()).replace("_", " ")


_RULES = rules("secret_names_english")
_SECTIONS = {
    "always": Kind.SECRET,
    "unless_ordinary": Kind.UNLESS_ORDINARY,
    "unless_words": Kind.UNLESS_WORDS,
    "unless_words_or_numbers": Kind.UNLESS_WORDS_OR_NUMBERS,
    "unless_number": Kind.UNLESS_NUMBER,
    "unless_postal": Kind.UNLESS_POSTAL,
    "if_random": Kind.IF_RANDOM,
    "if_jumbled": Kind.IF_JUMBLED,
}
OTHER_LANGUAGES = tuple(name for names in rules("secret_names_other_languages").values() for name in names)
WRITTEN: dict[str, Kind] = {
    **{name: kind for section, kind in _SECTIONS.items() for name in _RULES[section]},
    **dict.fromkeys((*OTHER_LANGUAGES, *two_word_names.STEMS), Kind.SECRET),
    **{f"{kind} code": Kind.IF_CODE for kind in _RULES["kinds_of_code"]},
}
"""Names as the data files write them, with their kinds."""
NAMES = {spelled(name): kind for name, kind in WRITTEN.items()}
_ALONE = frozenset(map(spelled, word_set(_RULES["alone"]["words"])))
PHRASES = frozenset(
    form
    for name in (*WRITTEN, *(f"{kind} key" for kind in _RULES["kinds_of_key"]))
    if " " in name or "_" in name
    for form in (spelled(name), name.lower().replace("_", " "), in_latin(name).lower().replace("_", " "))
)
"""Names of several words, as they stand in lower-case text whose letters are Latin ones or not."""
_WORDS = {name: kind for name, kind in NAMES.items() if " " not in name and name not in _ALONE}
_PHRASES = {name: kind for name, kind in NAMES.items() if " " in name}
_PHRASES_BY_FIRST: dict[str, list[tuple[str, Kind]]] = {}
for _phrase, _kind in _PHRASES.items():
    _PHRASES_BY_FIRST.setdefault(_phrase.split()[0], []).append((_phrase, _kind))
# Counts and lists; "sessions" and "keys" are none of secrets.
_PLURALS = {
    word + "s": word
    for word, kind in _WORDS.items()
    if kind in (Kind.SECRET, Kind.UNLESS_ORDINARY) and word not in ("pin", "bearer")
} | {"signatures": "signature"}
_HUMAN_CHOSEN = frozenset(
    {*word_set(_RULES["endings"]["names_that_people_choose"]), *map(spelled, OTHER_LANGUAGES)}
)
"""Names of secrets that people choose: a word may be one."""
_CHOSEN_KEYS = word_set(_RULES["endings"]["keys_that_people_choose"])
"""Kinds of keys that people choose: a word may be one."""
KEY_KINDS = frozenset(map(spelled, _RULES["kinds_of_key"]))
_ORDINARY = tuple(f" {spelled(name)} " for name in _RULES["ordinary"])
_ABOUT = word_set(_RULES["endings"]["about"])
ABOUT = _ABOUT | {f"{word[:-1]}ies" if word[-1] == "y" else f"{word}s" for word in _ABOUT}
"""A name that ends in one of these tells about a secret; it does not hold it."""
_ID_IS_SECRET = word_set(_RULES["endings"]["id_is_secret"])
ASKS = word_set(_RULES["endings"]["asks"])
"""A name that begins with one of these asks about a secret."""
PAGING = word_set(_RULES["paging"]["words"])
_KEYS_OF_IDS = word_set(_RULES["keys_of_ids"]["words"])
_PIN_NOT_POSTAL = word_set(_RULES["pin_not_postal"]["words"])
"""Words beside "pin code" that mean it is a PIN and no postal code."""
_ENDINGS_OF_KEYS = frozenset({"key", "pk"})
_GLUED_CHARS = 5
"""Minimum letters of a name that others may stand glued to, as in ``accesstoken``; shorter ones end many words."""
_NEVER_GLUED = frozenset({"session", "signature", "bearer", "mnemonic", "samlresponse", "serial", "ticket"})
_GLUED_LATIN = {
    name.replace(" ", ""): kind
    for name, kind in NAMES.items()
    if len(name) >= _GLUED_CHARS and name not in _NEVER_GLUED and kind not in NO_SECRET_BY_NAME
}
_INFLECTED_CHARS, _ENDING_CHARS = 24, 4
"""Maximum characters of a name with an ending, and of the ending."""
_INFLECTED = frozenset(
    name for name in map(spelled, OTHER_LANGUAGES) if " " not in name and len(name) > _ENDING_CHARS
)
_NOT_LATIN = tuple(name for name in (*OTHER_LANGUAGES, *two_word_names.STEMS) if not in_latin(name).isascii())
GLUED: dict[str, Kind] = {
    **_GLUED_LATIN,
    **{form: Kind.SECRET for name in _NOT_LATIN for form in (squash(name), spelled(name).replace(" ", ""))},
    **{name + "s": Kind.SECRET for name in ("password", "credential", "secret")},
    **{f"{kind.replace(' ', '')}key": Kind.SECRET for kind in KEY_KINDS if len(kind) > 3},
}
"""Names written as one word, with letters before them."""
_GLUED_PHRASES = frozenset(squash(name) for name in PHRASES)
_GLUED_LENGTHS = sorted({len(name) for name in GLUED}, reverse=True)
_GLUED_PAGING = tuple(word + "token" for word in PAGING)
IN_URL = frozenset({"key", "code"})
"""Names of parameters that are secrets in a URL, when they are long."""
IN_URL_IF_RANDOM = frozenset({"sign", "sig", "s", "hmac", "hash", "auth", "t", "k"})
"""Names of parameters that are secrets in a URL, when they look random."""
SCHEMED_HEADERS = ("authorization",)
"""Headers whose value is more than one word."""
COOKIE_HEADERS = ("cookie", "cookies")
HEADINGS = frozenset(
    {"pin", "credential", "credentials", "cookies"}
    | {name for name, kind in _WORDS.items() if kind not in (Kind.SECRET, Kind.IF_RANDOM)}
) - {"token", "authorization", "authentication", "bearer", "jwt", "keyfile"}
"""Headings, too: "Session: Opening" is one when a word follows."""
FIELD_TYPES = word_set(_RULES["pairs"]["field_types"])
PAIR_NAMES_IN_TEXT = word_set(_RULES["pairs"]["names"])
PAIR_VALUES_IN_TEXT = word_set(_RULES["pairs"]["values"])
PAIR_NAMES = PAIR_NAMES_IN_TEXT.union(map(squash, word_set(_RULES["pairs"]["names_in_other_languages"])))
PAIR_VALUES = PAIR_VALUES_IN_TEXT.union(map(squash, word_set(_RULES["pairs"]["values_in_other_languages"])))
NEVER_VALUES = word_set(_RULES["pairs"]["never_values"])
"""Fields beside the name of a secret that hold something else: an id, a time, an address."""
PROSE_PAIR_VALUES = word_set(_RULES["pairs"]["values_unless_prose"])
ANSWERS = word_set(_RULES["pairs"]["values_of_questions"])
IN_OBJECTS: dict[str, frozenset[str]] = {
    outer: frozenset(name.split()[1] for name in _RULES["in_objects"] if name.split()[0] == outer)
    for outer in {name.split()[0] for name in _RULES["in_objects"]}
}
"""Names that are those of secrets in an object of that name: ``{"wifi": {"key": …}}``."""
KEYS_THAT_NAME = word_set(_RULES["keys_that_name"]["objects"])
"""Objects in which a "key" names something."""
FLAT_PAIRS = word_set(_RULES["pairs"]["flat"])

_CODE_FILE = expression(r"\.(?:py|tsx?|jsx?|java|go|rb|rs|md|html?|css|php|cs|kt|sql|swift|svelte|vue)$")
_CAMEL = expression(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_SEPARATED = expression(r"[^\W\d_]+")
_WITH_DIGITS = expression(r"[^\W_]+")


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, split at separators and camel-case humps."""
    return [word.lower() for word in _CAMEL.findall(in_latin(name))]


def kind_of(name: str) -> Kind:
    """Classifies the name, without looking at the value."""
    if "." in name and _CODE_FILE.search(name):
        return Kind.HARMLESS
    kind = _kind_in_latin(in_latin(name))
    # A letter may look like another Latin one in lower case.
    return kind or (Kind.HARMLESS if name.isascii() else _kind_in_latin(in_latin(name.casefold())))


def _kind_in_latin(name: str) -> Kind:
    camel = [word.lower() for word in _CAMEL.findall(name)]
    kind = _kind_of_words(camel)
    if kind is Kind.HARMLESS:
        lower = name.lower()
        for words in (_SEPARATED.findall(lower), _WITH_DIGITS.findall(lower)):
            if words != camel and words[-1:] != ["4"] and (kind := _kind_of_words(words)):
                break
    if kind is Kind.HARMLESS and camel and not _tells_about(camel):
        kind = _kind_of_glued(squash(name), camel)
    return kind


def _kind_of_glued(name: str, words: list[str]) -> Kind:
    """The kind of a name that ends in one of a secret, without anything between."""
    end = next((name[-length:] for length in _GLUED_LENGTHS if name[-length:] in GLUED), None)
    if end in _GLUED_PHRASES and len(words) > 1 and name.isascii() and not _begins_a_word(end, words):
        return Kind.HARMLESS
    return Kind.HARMLESS if end is None or name.endswith(_GLUED_PAGING) else GLUED[end]


def _begins_a_word(end: str, words: list[str]) -> bool:
    """Whether the end of a name is within its last word, or begins with a word: not as ``lockcode`` in "clock code"."""
    chars = 0
    for word in reversed(words):
        chars += len(word)
        if chars >= len(end):
            return chars == len(end) or word == words[-1]
    return True


def _tells_about(words: list[str]) -> bool:
    """Whether a name tells, or asks, about a secret, or is known to be none of one."""
    if words[-2:] == ["code", "login"]:
        return False
    return words[-1] in ABOUT or words[0] in ASKS or f" {' '.join(words)} ".endswith(_ORDINARY)


_MAX_BEFORE: dict[str, int] = {"key": 2, "keys": 2}
for _phrase in _PHRASES:
    _MAX_BEFORE[_phrase.split()[-1]] = max(_MAX_BEFORE.get(_phrase.split()[-1], 0), _phrase.count(" "))


@lru_cache(20_000)
def words_before(name: str) -> int:
    """How many words before such a word may make a secret's name of it: ``API key``, ``mot de passe``."""
    words = _SEPARATED.findall(spelled(name))
    return _MAX_BEFORE.get(words[-1], 1) if words else 1


_PRECEDING = frozenset(
    word for phrase in (*_PHRASES, *(f"{kind} key" for kind in KEY_KINDS)) for word in phrase.split()[:-1]
)


@lru_cache(20_000)
def may_precede(word: str) -> bool:
    """Whether a word is one of those that make a secret's name with the word behind them."""
    words = words_of(word)
    return not word.isascii() or (bool(words) and words[-1] in _PRECEDING)


@lru_cache(20_000)
def is_inflected(name: str) -> bool:
    """Whether a word is the name of a secret in another language with an ending, as in ``şifreniz``."""
    word = spelled(name) if len(name) <= _INFLECTED_CHARS else ""
    return any(word[:-cut] in _INFLECTED for cut in range(1, _ENDING_CHARS + 1))


def _kind_of_words(words: list[str]) -> Kind:
    if not words:
        return Kind.HARMLESS
    joined = f" {' '.join(words)} "
    if len(words) == 1 or joined[1:-1] in NAMES:
        return NAMES.get(joined[1:-1]) or _kind_of_plural(words)
    last_word = words[-1]
    if _tells_about(words):
        return Kind.HARMLESS
    for word in words:
        for phrase, kind in _PHRASES_BY_FIRST.get(word, ()):
            if last_word == "id" and not phrase.endswith("id"):
                continue
            if f" {phrase} " in joined or f" {phrase}s " in joined:
                is_sign_in = kind is Kind.UNLESS_POSTAL and not _PIN_NOT_POSTAL.isdisjoint(words)
                return Kind.SECRET if is_sign_in else kind
    if last_word == "id" and not _ID_IS_SECRET.intersection(words):
        return Kind.HARMLESS
    return (
        _kind_of_one_word(words)
        or _kind_of_key(words)
        or (Kind.UNLESS_NUMBER if last_word in ("pass", "pw") else Kind.HARMLESS)
        or (
            Kind.IF_JUMBLED
            if last_word in _ENDINGS_OF_KEYS and words[-2] not in _KEYS_OF_IDS
            else Kind.HARMLESS
        )
    )


def _kind_of_one_word(words: list[str]) -> Kind:
    """The kind by one of the words that is a name of a secret in any company."""
    last_word = words[-1]
    for word in words:
        single = _PLURALS.get(word, word)
        kind = _WORDS.get(single, Kind.HARMLESS)
        if (
            kind in NO_SECRET_BY_NAME
            or kind is Kind.UNLESS_NUMBER
            or single in ("sid", "pat", "seed", "pass")
        ):
            if single in ("pat", "seed", "pem") and word == last_word:
                return kind
            continue
        if single == "token" and PAGING.intersection(words):
            continue
        if single == "auth" and word != last_word:
            continue
        if single == "secret" and word != last_word and not words[-1].startswith("key"):
            return Kind.UNLESS_WORDS
        if single != word and (word == last_word or kind is not Kind.SECRET):
            return Kind.UNLESS_NUMBER if single in _HUMAN_CHOSEN else Kind.UNLESS_NUMBER_OR_ORDINARY
        return kind
    return Kind.HARMLESS


def _kind_of_plural(words: list[str]) -> Kind:
    single = _PLURALS.get(words[0])
    if single is None:
        return Kind.HARMLESS
    return Kind.UNLESS_NUMBER if single in _HUMAN_CHOSEN else Kind.UNLESS_NUMBER_OR_ORDINARY


def _kind_of_key(words: list[str]) -> Kind:
    for (first, before), word in zip(pairwise(["", *words]), words[1:], strict=False):
        if word in ("key", "keys") and not KEY_KINDS.isdisjoint({before, f"{first} {before}"}):
            return Kind.SECRET if before in _CHOSEN_KEYS else Kind.UNLESS_WORD
    return Kind.HARMLESS


MOSTLY_OTHER_WORDS = frozenset({"pat", "sid", "sig", "pem", "mdp", "pk"})
"""Short names that most often are the beginning of another word, such as path."""


@cache  # each run makes several redactors, and each error message one
def stems() -> tuple[str, ...]:
    """Lower-case words such that every name of a secret contains one, but for ``MOSTLY_OTHER_WORDS``."""
    made = set(map(spelled, two_word_names.STEMS))
    words = {_stem(name) for name in [*(NAMES.keys() - made), *(name.lower() for name in OTHER_LANGUAGES)]}
    for name in {*map(_stem, OTHER_LANGUAGES), *two_word_names.STEMS.values()}:
        cases = (name, name.capitalize(), name.upper())
        words |= {name.lower(), spelled(name), squash(name), *(in_latin(case).lower() for case in cases)}
    words -= MOSTLY_OTHER_WORDS
    return tuple(sorted(word for word in words if words.isdisjoint(_parts(word))))


def _parts(word: str) -> Iterator[str]:
    """All texts within a word but itself."""
    chars = len(word)
    return (
        word[start:end]
        for start in range(chars)
        for end in range(start + 1, chars + 1)
        if end - start < chars
    )


_FREQUENT = word_set(
    "name sim id link json words card answer number phrase frage api string value data header info pan combination "
    "acces accès acceso accesso verifica"
)
"""Words that end names of secrets, but are too frequent to be looked for alone."""


def _stem(name: str) -> str:
    """The part of a name by which it is found in text: its last word, or all where that is too frequent."""
    last_word = name.rsplit(" ", 1)[-1]
    return name if last_word in _FREQUENT else last_word

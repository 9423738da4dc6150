"""Redaction of secrets in free text that is not JSON."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator

from . import patterns, shapes
from .edits import MARK, Edit, Origin, Span, applied, joined, without_overlaps
from .encodings import FEWEST_CHARS, encoded_runs, may_be_escaped_again, unescapes
from .folding import folded, folds, lowered
from .judging import FAMILIAR, REPORTING, is_no_name, is_random, is_secret, is_secret_or_doubtful
from .names import HEADINGS, IN_URL, SCHEMED_HEADERS, Kind, kind_of, squash
from .own_secrets import OwnSecrets
from .tables import secrets_in_columns, secrets_in_inserts
from .values import closing, phrase_end, value_span, word_span
from .vocabulary import Vocabulary

_NAMES_KEPT = 20_000
_NAMING_ATTRIBUTES = frozenset({"name", "key", "property", "field", "param"})
"""Attributes that name what stands in the element, as in ``<property name="password">``."""
_VALUE_CHARS = 64
"""Maximum characters of a name that stands as a value."""
_NAME_CHARS = 256
"""Maximum characters of a name before the word that marks it as a secret's."""


class Known:
    """The secrets to look for: built-in names, the user's ``extra_names``, and the run's own secrets."""

    def __init__(self, extra_names: Iterable[str], own: OwnSecrets, *, is_strict: bool = False) -> None:
        extra_names = tuple(extra_names)
        self.is_strict = is_strict
        self.is_secret = is_secret_or_doubtful if is_strict else is_secret
        self._extra = frozenset(filter(None, map(squash, extra_names)))
        self.stems = patterns.Stems(extra_names)
        self.own = own
        self.vocabulary = Vocabulary(self.stems)
        """Shared by all texts, so that it learns."""
        self._kinds: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """Classifies the name, see ``names.Kind``."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = Kind.SECRET if squash(name) in self._extra else kind_of(name)
            if len(self._kinds) >= _NAMES_KEPT:
                self._kinds.clear()
            if len(name) <= 128:
                self._kinds[name] = kind
        return kind

    def may_be_name(self, text: str) -> bool:
        """Quick check whether a text that stands as a value may be the name of a secret."""
        return (len(text) <= _VALUE_CHARS or " " not in text) and (
            not text.isascii() or self.stems.search(text.lower()) is not None or squash(text) in self._extra
        )

    def kind_of_value(self, text: str) -> Kind:
        """Classifies a text that stands as a value and may be a name."""
        return self.kind(text) if self.may_be_name(text) else Kind.HARMLESS


class _Draft:
    """A text that is redacted step by step, with the replacements made so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lower = lowered(text)
        self.edits: list[Edit] = []
        self.count = 0

    def cut(self, spans: Iterable[Span]) -> None:
        """Replaces the spans by the redaction mark."""
        text = self.text
        edits = [Edit(begin, end) for begin, end in spans if text[begin:end] != MARK]
        if edits:
            self.count += len(edits)
            self.edits = joined(self.edits, edits)
            self.text = applied(text, edits)
            self.lower = lowered(self.text)


class TextPass:
    """Redacts texts and counts the secrets that it removes."""

    def __init__(self, known: Known) -> None:
        self._kind = known.kind
        self._kind_of_value = known.kind_of_value
        self._is_secret = known.is_secret
        self._is_strict = known.is_strict
        self._stems = known.stems
        self._own = known.own
        self._vocabulary = known.vocabulary
        self.count = 0

    def decoded_edits(self, text: str, depth: int) -> list[Edit]:
        """The replacements in a text that was decoded, JSON in it included."""
        raise NotImplementedError

    def plain(self, text: str, depth: int) -> list[Edit]:
        """The replacements that redact a text that is not JSON."""
        if (self._vocabulary.covers(text) or FAMILIAR.fullmatch(text)) and not self._own.edits(text):
            return []
        is_escaped = not text.isascii() or patterns.MAY_BE_ESCAPED.search(text) is not None
        is_named = is_escaped and self._is_named(text)
        letters = _letters(text) if is_named else []
        draft = _Draft(applied(text, letters))
        self._cut_all(draft, depth)
        self.count += draft.count
        edits = draft.edits
        if letters and edits:
            origin = Origin(letters)
            edits = without_overlaps(Edit(*origin.span(edit.begin, edit.end), edit.new) for edit in edits)
        if is_escaped and (is_named or patterns.ESCAPED_URL.search(text)):
            edits = joined(edits, self._in_escapes(applied(text, edits), depth))
        return edits

    def _is_named(self, text: str) -> bool:
        """Whether a text may hold a secret's name once its escapes are resolved, those within others too."""
        plain = folded(text)
        if self._stems.search(plain):
            return True
        if not may_be_escaped_again(text):
            return False
        for _ in range(2):
            plain = folded(applied(plain, unescapes(plain)))
        return self._stems.search(plain) is not None

    def _in_escapes(self, text: str, depth: int) -> list[Edit]:
        """The replacements in the text without its escapes, as they are in the text."""
        escapes = unescapes(text)
        if not escapes:
            return []
        inner = self.decoded_edits(applied(text, escapes), depth)
        origin = Origin(escapes)
        return without_overlaps(sorted(Edit(*origin.span(edit.begin, edit.end)) for edit in inner))

    def _encoded(self, text: str, depth: int) -> Iterator[Span]:
        """Spans of base64 and hexadecimal digits in which a secret is encoded."""
        for span, decoded in encoded_runs(text):
            before = self.count
            if self.decoded_edits(decoded, depth):
                yield span
            self.count = before

    def _cut_all(self, draft: _Draft, depth: int) -> None:
        if own := self._own.edits(draft.text):
            draft.cut((edit.begin, edit.end) for edit in own)
        if draft.text.isalnum():
            self._cut_shapes(draft, depth)
            return
        if "PRIVATE KEY" in draft.text:
            draft.cut(shapes.private_keys(draft.text))
        if "Private-Lines" in draft.text:
            draft.cut(shapes.putty_keys(draft.text))
        if self._stems.search(draft.lower):
            draft.cut(self._pairs(draft.text, draft.lower))
            if "\n" in draft.text:
                draft.cut(secrets_in_columns(draft.text, self._kind, self._is_secret))
            if "into" in draft.lower:
                draft.cut(secrets_in_inserts(draft.text, self._kind, self._is_secret))
        self._where_signs_are(draft)
        self._escaped_xml(draft)
        if any(scheme in draft.lower for scheme in patterns.SCHEMES):
            draft.cut(_schemes(draft.text, draft.lower))
        self._cut_shapes(draft, depth)

    def _cut_shapes(self, draft: _Draft, depth: int) -> None:
        text = draft.text
        longest = max(map(len, text.split()), default=0)
        if longest < shapes.FEWEST_CHARS:
            return
        if "eyJ" in text:
            draft.cut(shapes.jwts(text))
        is_aws = "AKIA" in draft.text or "ASIA" in draft.text
        if shapes.may_hold_tokens(draft.text):
            draft.cut(shapes.tokens(draft.text))
        if longest >= FEWEST_CHARS:
            draft.cut(shapes.tokens_from_within(draft.text))
            draft.cut(self._encoded(draft.text, depth))
        if is_aws and draft.count:
            draft.cut(match.span() for match in patterns.AWS_SECRET.finditer(draft.text))
        if self._is_strict and longest >= FEWEST_CHARS:
            draft.cut(_long_runs(draft.text))

    # Forms with a characteristic sign

    def _where_signs_are(self, draft: _Draft) -> None:
        if "://" in draft.text:
            if "@" in draft.text:
                for pattern in (patterns.URL_LOGIN, patterns.URL_TOKEN):
                    draft.cut(match.span(2) for match in pattern.finditer(draft.text))
            if any(sign in draft.lower for sign in patterns.WEBHOOK_SIGNS):
                draft.cut(match.span(2) for match in patterns.WEBHOOK.finditer(draft.text))
        for sign, pattern in patterns.NAMED:
            if sign in draft.lower:
                draft.cut(self._after_signs(draft.text, pattern))
        self._commands(draft)
        if "<" in draft.text and "=" in draft.text:
            draft.cut(self._attributes(draft.text))

    def _commands(self, draft: _Draft) -> None:
        if "-u" in draft.lower:
            draft.cut(match.span("value") for match in patterns.LOGIN_FLAG.finditer(draft.text))
        if "identified" in draft.lower:
            draft.cut(match.span("value") for match in patterns.IDENTIFIED.finditer(draft.text))
        if "raw" in draft.lower:
            draft.cut(self._raw_headers(draft.text))
        if "auth" in draft.lower:
            draft.cut(match.span("value") for match in patterns.SMTP_AUTH.finditer(draft.text))
        if any(word in draft.text for word in patterns.COMMAND_WORDS):
            draft.cut(shapes.after_commands(draft.text))

    def _attributes(self, text: str) -> Iterator[Span]:
        """``<input type="password" value="…">`` and ``<add value="…" key="apiKey"/>``."""
        for tag in patterns.TAG.finditer(text):
            attributes = list(patterns.ATTRIBUTE.finditer(text, *tag.span("attributes")))
            given = {attribute["name"].lower(): attribute for attribute in attributes}
            value = given.get("value")
            if value is None and not _NAMING_ATTRIBUTES.isdisjoint(given):
                value = patterns.ELEMENT_TEXT.match(text, tag.end())
            if value is None:
                continue
            names = [attribute["value"] for name, attribute in given.items() if name != "value"]
            kind = next(filter(None, map(self._kind_of_value, names)), Kind.HARMLESS)
            if "type" in given and given["type"]["value"].lower() == "password":
                kind = Kind.SECRET
            if value["value"] and self._is_secret(kind, value["value"]):
                yield value.span("value")

    def _escaped_xml(self, draft: _Draft) -> None:
        if "3c" in draft.lower or "lt;" in draft.lower or "#60;" in draft.lower:
            for pattern in (patterns.ESCAPED_XML, patterns.ESCAPED_XML_PAIR):
                draft.cut(self._after_signs(draft.text, pattern))

    def _after_signs(self, text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
        for match in pattern.finditer(text):
            value = match["value"]
            if not value.strip() or not self._is_secret(self._kind(match["name"]), value):
                continue
            if pattern is patterns.FLAG and value.lower() in REPORTING:
                continue
            if pattern is patterns.LIST and (not is_no_name(value) or self._kind(value)):
                continue
            yield match.span("value")

    def _raw_headers(self, text: str) -> Iterator[Span]:
        """``rawHeaders: ['X-Api-Key', '…']``: names and values in turn."""
        position = 0
        while head := patterns.RAW_HEADERS.search(text, position):
            position = head.end()
            name = None
            while item := patterns.NEXT_TEXT.match(text, position):
                begin, end = item.end(), closing(text, item["open"], item.end())
                position = end + len(item["open"])
                if name is None:
                    name = text[begin:end]
                    continue
                if self._is_secret(self._kind(name), text[begin:end]):
                    yield begin, end
                name = None

    # Values after a name

    def _pairs(self, text: str, lower: str) -> Iterator[Span]:
        """Values after a secret name in text: ``name=value``, ``name: value``, ``"name": "value"``."""
        position = done = 0
        while stem := self._stems.search(lower, position):
            start = _name_start(text, stem.start(), done)
            position = _name_end(text, stem.end())
            if match := patterns.PARTING.match(lower, position):
                position = match.end("sep")
                span = self._span_after(text, lower, match, start)
            elif match := patterns.SAYING.match(lower, position):
                span = self._span_said(text, match, start)
            else:
                continue
            if span is None:
                continue
            begin, end = span
            if text.startswith(MARK, begin):
                position = begin + len(MARK)
                continue
            yield span
            position = done = end

    def _span_after(self, text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.start()]
        if match["sep"] == ":" and _is_in_arn(text, start, match.end()):
            return None
        kind = self._kind_in_url(text, start, match) or self._kind_in_text(text, start, name)
        if not kind:
            return None
        if kind is Kind.IF_RANDOM:
            begin, end = word_span(text, match)
        else:
            begin, end = value_span(text, lower, match, start)
            if kind is Kind.SECRET and not match["open"] and ":" in match["sep"]:
                end = phrase_end(text, begin, end)
        value = text[begin:end]
        if match["sep"].startswith("==") and not _is_assigned(lower, match, value):
            return None
        if match["sep"] in patterns.ALSO_BETWEEN_NAMES and not match["open"] and not is_no_name(value):
            return None
        # A header's value of several words is a scheme and a credential, whatever the scheme is called.
        is_header = " " in value and name.lower().endswith(SCHEMED_HEADERS)
        if not value or (not match["open"] and _is_report(name, value, match)):
            return None
        return (begin, end) if is_header or self._is_secret(kind, value) else None

    def _span_said(self, text: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.start()]
        value = match["value"]
        if value.strip(".,;:!?") in REPORTING or name.lower() in HEADINGS - {"pin"}:
            return None
        is_quoted = match["open"] and not name.lower().endswith("token")
        if not is_quoted and not any(map(str.isdigit, value)):
            return None
        return match.span("value") if self._is_secret(self._kind_in_text(text, start, name), value) else None

    def _kind_in_url(self, text: str, start: int, match: re.Match[str]) -> Kind:
        """``?key=`` and ``?code=`` are secrets in a URL, when they are long."""
        is_param = match["sep"] == "=" and start > 0 and text[start - 1] in "?&"
        if is_param and text[start : match.start()].lower() in IN_URL:
            begin, end = value_span(text, text, match, start)
            return Kind.SECRET if end - begin >= 16 else Kind.HARMLESS
        return Kind.HARMLESS

    def _kind_in_text(self, text: str, start: int, name: str) -> Kind:
        """The kind of the name, or of the name with the word before it: ``API key``."""
        kind = self._kind(name)
        if kind not in (Kind.HARMLESS, Kind.IF_RANDOM) or start < 2 or text[start - 1] != " ":
            return kind
        begin = _name_start(text, start - 1, max(0, start - 32))
        phrase_kind = self._kind(f"{text[begin : start - 1]} {name}") if begin < start - 1 else kind
        return phrase_kind or kind


def _letters(text: str) -> list[Edit]:
    """The replacements that turn escaped, look-alike and invisible letters into plain ones."""
    # Nothing else may come of it: a quotation mark would end a value before its end, and a sign of a URL parts it.
    return [
        edit
        for edit in folds(text)
        if patterns.IN_NAMES.fullmatch(edit.new) and not (edit.new in (":", "=") and text[edit.begin] == "%")
    ]


def _schemes(text: str, lower: str) -> Iterator[Span]:
    for match in patterns.SCHEME.finditer(lower):
        start, end = match.span("value")
        if _is_credential(match["scheme"], text[start:end], is_all=match.span() == (0, len(text))):
            yield start, end


def _is_in_arn(text: str, start: int, end: int) -> bool:
    """Whether a name and a colon are part of an Amazon resource name."""
    if text[start - 1 : start] != ":" or text[end - 1 : end].isspace():
        return False
    return "arn:" in text[max(0, start - 120) : start].rsplit(None, 1)[-1]


def _is_assigned(lower: str, match: re.Match[str], value: str) -> bool:
    """Whether ``==`` gives a value: ``password==x`` does; ``token == other`` compares, unless a secret follows."""
    begin, end = match.span("sep")
    if match["open"]:
        return lower[match.end() : match.end() + 1] not in ("", " ", ",", ":", ";", "}", "]", ")", "\n", "\r")
    is_glued = not (lower[begin - 1].isspace() or lower[end : end + 1].isspace())
    return is_glued or is_random(value)


def without_long_runs(text: str) -> str:
    """The text without runs of twenty characters or more in which letters and digits mix, since their meaning is
    unknown. UUIDs and dates stay."""
    return patterns.LONG_RUN.sub(_long_run, text)


def _long_runs(text: str) -> Iterator[Span]:
    for match in patterns.LONG_RUN.finditer(text):
        if _long_run(match) == MARK:
            yield match.span()


def _long_run(match: re.Match[str]) -> str:
    rest = FAMILIAR.sub("", match[0])
    is_mixed = any(map(str.isdigit, rest)) and any(map(str.isalpha, rest))
    return MARK if len(rest) >= 20 and is_mixed else match[0]


def _is_report(name: str, value: str, match: re.Match[str]) -> bool:
    is_on_next_line = "\n" in match.string[match.end("sep") : match.end()]
    word = (value.split(None, 1)[0] if is_on_next_line else value).strip(".,;:!?()[]{}<>").lower()
    if word in ("null", "none", "nil", "true", "false", "undefined", ""):
        return True
    if ":" not in match["sep"] or match["quote"]:
        return False
    return word in REPORTING or (name.lower() in HEADINGS and word.isalpha())


def _is_credential(scheme: str, value: str, *, is_all: bool) -> bool:
    if scheme == "basic":
        value = value.rstrip("=|:.,~").translate(_STANDARD_BASE64)
        try:
            return b":" in b64decode(value + "=" * (-len(value) % 4), validate=True)
        except ValueError:
            return False
    word = value.strip(".:=|-")
    if word.lower() in REPORTING or word.lower() in (
        "token",
        "tokens",
        "authorization",
        "scheme",
        "header",
    ):
        return False
    if is_all and scheme == "bearer":
        return True
    is_word = word.isalpha() and (word[1:].islower() or word.isupper()) and len(word) < 20
    return not is_word and len(word) >= (4 if scheme == "bearer" else 16)


_STANDARD_BASE64 = str.maketrans("-_", "+/")


def _name_start(text: str, start: int, floor: int) -> int:
    floor = max(floor, start - _NAME_CHARS)
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return start


def _name_end(text: str, end: int) -> int:
    match = patterns.NAME_REST.match(text, end)
    return match.end() if match else end

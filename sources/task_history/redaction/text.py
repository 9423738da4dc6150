"""Redaction of secrets in free text that is not JSON."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator

from . import patterns
from .edits import MARK, Edit, Origin, Span, applied, joined, without_overlaps
from .folding import folded, folds, lowered
from .names import FAMILIAR, HEADINGS, IN_URL, Kind, is_no_name, is_random, is_secret, kind_of, squash
from .own_secrets import OwnSecrets
from .tables import secrets_in_columns
from .values import closing, value_span, word_span

_NAMES_KEPT = 20_000
_NAME_CHARS = 256
"""Maximum characters of a name before the word that marks it as a secret's."""


class Known:
    """The secrets to look for: built-in names, the user's ``extra_names``, and the run's own secrets."""

    def __init__(self, extra_names: Iterable[str], own: OwnSecrets) -> None:
        extra_names = tuple(extra_names)
        self._extra = frozenset(filter(None, map(squash, extra_names)))
        self.stems = patterns.stems(extra_names)
        self.own = own
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
        self._stems = known.stems
        self._own = known.own
        self.count = 0

    def plain(self, text: str) -> list[Edit]:
        """The replacements that redact a text that is not JSON."""
        letters = self._letters(text)
        draft = _Draft(applied(text, letters))
        self._cut_all(draft)
        self.count += draft.count
        if not letters or not draft.edits:
            return draft.edits
        origin = Origin(letters)
        return without_overlaps(Edit(*origin.span(edit.begin, edit.end), edit.new) for edit in draft.edits)

    def _letters(self, text: str) -> list[Edit]:
        """The replacements that turn names into plain letters; empty where the text has no secret's name."""
        if text.isascii() and not patterns.MAY_BE_ESCAPED.search(text):
            return []
        return _letters(text) if self._stems.search(folded(text)) else []

    def _cut_all(self, draft: _Draft) -> None:
        if own := self._own.edits(draft.text):
            draft.cut((edit.begin, edit.end) for edit in own)
        if draft.text.isalnum():
            if patterns.SHAPES.search(draft.text):
                draft.cut(_shapes(draft.text))
            return
        if "PRIVATE KEY" in draft.text:
            draft.cut(_pem(draft.text))
        if self._stems.search(draft.lower):
            draft.cut(self._pairs(draft.text, draft.lower))
            if "\n" in draft.text:
                draft.cut(secrets_in_columns(draft.text, self._kind))
        self._where_signs_are(draft)
        self._escaped_xml(draft)
        if any(scheme in draft.lower for scheme in patterns.SCHEMES):
            draft.cut(_schemes(draft.text, draft.lower))
        _cut_shapes(draft)

    # Forms with a characteristic sign

    def _where_signs_are(self, draft: _Draft) -> None:
        if "://" in draft.text:
            for pattern in (patterns.URL_LOGIN, patterns.URL_TOKEN, patterns.SLACK_HOOK):
                draft.cut(match.span(2) for match in pattern.finditer(draft.text))
        for sign, pattern in patterns.NAMED:
            if sign in draft.lower:
                draft.cut(self._after_signs(draft.text, pattern))
        if "-u" in draft.lower:
            draft.cut(match.span("value") for match in patterns.LOGIN_FLAG.finditer(draft.text))
        if "identified" in draft.lower:
            draft.cut(match.span("value") for match in patterns.IDENTIFIED.finditer(draft.text))
        if "raw" in draft.lower:
            draft.cut(self._raw_headers(draft.text))
        if "-p" in draft.text and any(command in draft.lower for command in patterns.GLUING_COMMANDS):
            draft.cut(_glued_flags(draft.text))

    def _escaped_xml(self, draft: _Draft) -> None:
        if "3c" in draft.lower or "lt;" in draft.lower or "#60;" in draft.lower:
            for pattern in (patterns.ESCAPED_XML, patterns.ESCAPED_XML_PAIR):
                draft.cut(self._after_signs(draft.text, pattern))

    def _after_signs(self, text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
        for match in pattern.finditer(text):
            value = match["value"]
            if not value.strip() or not is_secret(self._kind(match["name"]), value):
                continue
            if pattern is patterns.FLAG and value.lower() in patterns.REPORTING:
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
                if is_secret(self._kind(name), text[begin:end]):
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
        kind = self._kind_in_url(text, start, match) or self._kind_in_text(text, start, name)
        if not kind:
            return None
        if kind is Kind.SECRET_IF_RANDOM:
            begin, end = word_span(text, match)
        else:
            begin, end = value_span(text, lower, match, start)
        value = text[begin:end]
        if match["sep"].startswith("==") and not _is_assigned(lower, match, value):
            return None
        if match["sep"] in patterns.ALSO_BETWEEN_NAMES and not match["open"] and not is_no_name(value):
            return None
        if not value or not is_secret(kind, value) or (not match["open"] and _is_report(name, value, match)):
            return None
        return begin, end

    def _span_said(self, text: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.start()]
        value = match["value"]
        if value.strip(".,;:!?") in patterns.REPORTING or name.lower() in HEADINGS - {"pin"}:
            return None
        is_quoted = match["open"] and not name.lower().endswith("token")
        if not is_quoted and not any(map(str.isdigit, value)):
            return None
        return match.span("value") if self._kind_in_text(text, start, name) is Kind.SECRET else None

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
        if kind not in (Kind.HARMLESS, Kind.SECRET_IF_RANDOM) or start < 2 or text[start - 1] != " ":
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


# Shapes


def _cut_shapes(draft: _Draft) -> None:
    if "eyJ" in draft.text:
        draft.cut(_jwts(draft.text))
    is_aws = "AKIA" in draft.text or "ASIA" in draft.text
    if patterns.SHAPES.search(draft.text):
        draft.cut(_shapes(draft.text))
    if len(draft.text) > 30:
        for sign, shape, before_it in patterns.WITHIN:
            if sign in draft.text:
                draft.cut(_within(draft.text, shape, before_it))
    if is_aws and draft.count:
        draft.cut(match.span() for match in patterns.AWS_SECRET.finditer(draft.text))


def _pem(text: str) -> Iterator[Span]:
    position = 0
    while begin := patterns.PEM_BEGIN.search(text, position):
        end = patterns.PEM_END.search(text, begin.end())
        position = end.end() if end else len(text)
        yield begin.start(), position


def _shapes(text: str) -> Iterator[Span]:
    for match in patterns.SHAPES.finditer(text):
        # Names of styles and packages have these beginnings too, but no digits; numbers no letters.
        is_name = match[0].startswith(("sk-", "pypi-", "EAA")) and not any(map(str.isdigit, match[0]))
        is_number = match[0].startswith("00") and not any(map(str.isalpha, match[0]))
        if not is_name and not is_number:
            yield match.span()


def _within(text: str, shape: re.Pattern[str], before_it: int) -> Iterator[Span]:
    done = 0
    for match in shape.finditer(text):
        start = match.start()
        floor = max(done, start - before_it)
        while start > floor and text[start - 1].isalnum():
            start -= 1
        done = match.end()
        yield start, done


def _jwts(text: str) -> Iterator[Span]:
    for match in patterns.JWT_RUN.finditer(text):
        parts = match[0].split(".")
        if len(parts) >= 3 and len(parts[0]) >= 8 and len(parts[1]) >= 4:
            yield match.span()


def _glued_flags(text: str) -> Iterator[Span]:
    for match in patterns.GLUED_FLAG.finditer(text):
        if patterns.GLUING_COMMAND.search(text[max(0, match.start() - 200) : match.start()]):
            yield match.span("value")


def _schemes(text: str, lower: str) -> Iterator[Span]:
    for match in patterns.SCHEME.finditer(lower):
        start, end = match.span("value")
        if _is_credential(match["scheme"], text[start:end], is_all=match.span() == (0, len(text))):
            yield start, end


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
    return word in patterns.REPORTING or (name.lower() in HEADINGS and word.isalpha())


def _is_credential(scheme: str, value: str, *, is_all: bool) -> bool:
    if scheme == "basic":
        value = value.rstrip("=|:.,~").translate(_STANDARD_BASE64)
        try:
            return b":" in b64decode(value + "=" * (-len(value) % 4), validate=True)
        except ValueError:
            return False
    word = value.strip(".:=|-")
    if word.lower() in patterns.REPORTING or word.lower() in (
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

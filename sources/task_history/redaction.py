"""What never leaves this process: secrets in payloads, taken out before anything is written.

``Redactor`` takes them out of parsed JSON, by the names they stand under and by their shapes, before
``json_text`` cuts the value: what is cut first can no longer be recognised.

A name decides on its words: ``apiKey``, ``X-Api-Key`` and ``API_KEY`` are one. ``null``, ``true``,
``false`` and what is empty stay under any name, since they hold nothing.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

import simplejson

from . import secret_patterns as patterns
from .json_text import exact_json, unused_name
from .model import Json
from .secret_patterns import Kind

MARK = "[redacted]"
MAX_DEPTH = 150
"""Levels, those of JSON within strings included; what lies deeper is redacted whole."""
_NAMES_KEPT = 20_000
_INT_DIGITS = 4_300
"""Python converts no longer digits to int; they stay exact as Decimal."""

_PAIR_NAMES = frozenset(
    {
        "key",
        "name",
        "header",
        "headername",
        "field",
        "fieldname",
        "param",
        "parameter",
        "variable",
        "property",
        "label",
        "k",
    }
)
_PAIR_VALUES = frozenset({"value", "values", "val", "v", "default"})


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without its secrets, and how many were taken out."""

    value: Json
    count: int


class _Unusable(ValueError):
    """JSON of which a parsed form would not hold everything."""


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unusable
    return found


def _exact_int(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INT_DIGITS else Decimal(digits)


class Redactor:
    """Takes secrets out of values and texts; knows them by name, by shape, and by ``secrets`` literally.

    ``extra_names`` are names of fields, whole, in any case and separation.
    """

    def __init__(self, extra_names: Iterable[str] = (), *, secrets: Iterable[str] = ()) -> None:
        extra_names = tuple(extra_names)
        self._extra = frozenset(filter(None, map(patterns.squash, extra_names)))
        self._stems = patterns.stems(extra_names)
        # Shorter ones would take words and numbers of the payload with them.
        known = [secret for secret in secrets if len(secret) >= 4 and secret not in MARK]
        literals = {
            form for secret in known for form in (secret, quote(secret, safe=""), exact_json(secret)[1:-1])
        }
        self._literals = sorted(literals, key=lambda literal: (-len(literal), literal))
        self._kinds: dict[str, Kind] = {}
        self._sound_names: set[str] = set()

    def payload(self, value: Json) -> Redacted:
        """The parsed JSON value without its secrets; the very same object when it holds none."""
        work = _Pass(self)
        try:
            return Redacted(work.value(value, 0), work.count)
        except RecursionError:
            return Redacted(MARK, 1)

    def text(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many were taken out. JSON text stays JSON text."""
        found = self.payload(text)
        return found.value, found.count

    def kind(self, name: str) -> Kind:
        """What the name says of the value under it."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = Kind.SECRET if patterns.squash(name) in self._extra else patterns.kind_of(name)
            if len(self._kinds) >= _NAMES_KEPT:
                self._kinds.clear()
            if len(name) <= 128:
                self._kinds[name] = kind
        return kind

    def is_known_sound(self, name: str) -> bool:
        """Whether the name was found before to hold no secret itself."""
        return name in self._sound_names

    def remember_sound(self, name: str) -> None:
        if len(name) <= 128:
            if len(self._sound_names) >= _NAMES_KEPT:
                self._sound_names.clear()
            self._sound_names.add(name)


class _Pass:
    """One pass over one value, which counts."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._kind = redactor.kind
        self._stems = redactor._stems
        self._literals = redactor._literals
        self.count = 0

    # Structures

    def value(self, value: Json, depth: int) -> Json:
        if isinstance(value, str):
            return self.string(value, depth)
        if isinstance(value, dict | list):
            if depth >= MAX_DEPTH:
                return self.whole(value)
            return (
                self._object(value, depth + 1) if isinstance(value, dict) else self._array(value, depth + 1)
            )
        if self._literals and isinstance(value, int | Decimal) and not isinstance(value, bool):
            digits = exact_json(value)
            return MARK if self._plain_literals(digits) != digits else value
        return value

    def whole(self, value: Json, kind: Kind = Kind.SECRET) -> Json:
        """The mark in place of the value, unless there is nothing in it."""
        if value is None or isinstance(value, bool) or value in ("", [], {}, MARK):
            return value
        if kind is Kind.SECRET_UNLESS_NUMBER and isinstance(value, int | float | Decimal):
            return value
        self.count += 1
        return MARK

    def _object(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        pair = self._pair_kind(value)
        new: dict[str, Json] = {}
        is_changed = False
        for name, inner in value.items():
            kind = self._kind(name)
            if not kind and pair and _is_pair_value(name):
                kind = pair
            kept = self.whole(inner, kind) if kind else self.value(inner, depth)
            new_name = self._name(name, value, new)
            is_changed = is_changed or kept is not inner or new_name is not name
            new[new_name] = kept
        return new if is_changed else value

    def _name(self, name: str, *taken: dict[str, Json]) -> str:
        """The name itself, or another when it holds a secret: tokens are used as keys."""
        if self._redactor.is_known_sound(name):
            return name
        new = self.plain(name)
        if new == name:
            self._redactor.remember_sound(name)
            return name
        return unused_name(new, {key for names in taken for key in names})

    def _pair_kind(self, value: dict[str, Json]) -> Kind:
        """What ``{"key": "Authorization", "value": …}`` says of its value."""
        if 2 <= len(value) <= 16:
            for by, name in value.items():
                if isinstance(name, str) and len(name) <= 64:
                    word = by.lower()
                    if word in _PAIR_NAMES and (kind := self._kind(name)):
                        return kind
                    if word == "type" and name in ("password", "secret"):
                        return Kind.SECRET
        return Kind.HARMLESS

    def _array(self, value: list[Json], depth: int) -> list[Json]:
        if value and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
        ):
            new = [self._named(pair[0], pair, depth + 1) for pair in value]
        else:
            new = [self.value(inner, depth) for inner in value]
            for at, flag in enumerate(value[:-1]):
                if isinstance(flag, str) and flag[:1] == "-" and (kind := self._kind(flag)):
                    new[at + 1] = self.whole(new[at + 1], kind)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new

    def _named(self, name: str, pair: list[Json], depth: int) -> list[Json]:
        kind = self._kind(name)
        first = self.value(name, depth)
        second = self.whole(pair[1], kind) if kind else self.value(pair[1], depth)
        return pair if first is name and second is pair[1] else [first, second]

    # Strings

    def string(self, text: str, depth: int) -> str:
        if len(text) < 5 and not self._literals:
            return text
        if depth < MAX_DEPTH and (text[:1] in '{["' or text[:1].isspace()):
            stripped = text.strip()
            if stripped[:1] in ("{", "[", '"') and len(stripped) > 1:
                try:
                    inner = simplejson.loads(
                        stripped, use_decimal=True, parse_int=_exact_int, object_pairs_hook=_no_duplicates
                    )
                except RecursionError:
                    return str(self.whole(text))
                except ValueError:
                    return self.plain(text)
                kept = self.value(inner, depth + 1)
                return text if kept is inner else exact_json(kept)
        return self.plain(text)

    def plain(self, text: str) -> str:
        """The text, which is no JSON, without its secrets."""
        before = self.count
        new = self._plain_literals(text)
        if "PRIVATE KEY" in new:
            new = self._pem(new)
        new = self._pairs(new)
        if "://" in new:
            new = patterns.URL_LOGIN.sub(lambda m: m[1] + self._mark(m[2]), new)
            new = patterns.URL_TOKEN.sub(lambda m: m[1] + self._mark(m[2]), new)
            new = patterns.SLACK_HOOK.sub(lambda m: m[1] + self._mark(m[2]), new)
        for sign, pattern in patterns.NAMED:
            if sign in new:
                new = pattern.sub(self._named_match, new)
        if "-u" in new:
            new = patterns.LOGIN_FLAG.sub(self._value_match, new)
        new = self._schemes(new)
        if "eyJ" in new:
            new = patterns.JWT_RUN.sub(self._jwt, new)
        is_aws = "AKIA" in new or "ASIA" in new
        new = patterns.SHAPES.sub(self._shape, new)
        if is_aws and self.count > before:
            new = patterns.AWS_SECRET.sub(lambda m: self._mark(m[0]), new)
        return new if self.count > before else text

    def _mark(self, found: str) -> str:
        if found != MARK:
            self.count += 1
        return MARK

    def _plain_literals(self, text: str) -> str:
        for literal in self._literals:
            if literal in text:
                self.count += text.count(literal)
                text = text.replace(literal, MARK)
        return text

    def _pem(self, text: str) -> str:
        parts = []
        at = 0
        while begin := patterns.PEM_BEGIN.search(text, at):
            end = patterns.PEM_END.search(text, begin.end())
            parts += [text[at : begin.start()], self._mark(begin[0])]
            at = end.end() if end else len(text)
        return "".join(parts) + text[at:]

    def _shape(self, match: re.Match[str]) -> str:
        # Names of styles and packages have these beginnings too, but no digits.
        is_name = match[0].startswith(("sk-", "pypi-")) and not any(map(str.isdigit, match[0]))
        return match[0] if is_name else self._mark(match[0])

    def _jwt(self, match: re.Match[str]) -> str:
        parts = match[0].split(".")
        if len(parts) < 3 or len(parts[0]) < 8 or len(parts[1]) < 4:
            return match[0]
        return self._mark(match[0])

    def _named_match(self, match: re.Match[str]) -> str:
        value = match["value"]
        kind = self._kind(match["name"])
        if not kind or not value.strip() or value == MARK or (kind > 1 and _is_number(value)):
            return match[0]
        if match.re is patterns.FLAG and value.lower() in patterns.REPORTING:
            return match[0]
        return self._value_match(match)

    def _value_match(self, match: re.Match[str]) -> str:
        start = match.start("value") - match.start()
        return match[0][:start] + self._mark(match["value"]) + match[0][start + len(match["value"]) :]

    def _schemes(self, text: str) -> str:
        lower = _lower(text)
        if not any(word in lower for word in patterns.SCHEME_WORDS):
            return text
        parts = []
        at = 0
        for match in patterns.SCHEME.finditer(lower):
            start, end = match.span("value")
            if _is_credential(match["scheme"], text[start:end], is_all=match.span() == (0, len(text))):
                parts += [text[at:start], self._mark(text[start:end])]
                at = end
        return "".join(parts) + text[at:] if parts else text

    def _pairs(self, text: str) -> str:
        """Values after a secret name in text: ``name=value``, ``name: value``, ``"name": "value"``."""
        lower = _lower(text)
        parts = []
        at = done = 0
        while stem := self._stems.search(lower, at):
            at = stem.end()
            start = _name_start(text, stem.start(), done)
            if match := patterns.PARTING.match(lower, at):
                at = match.end("sep")
                span = self._span_after(text, lower, match, start)
            elif match := patterns.SAYING.match(lower, at):
                span = self._span_said(text, match, start)
            else:
                continue
            if span is None:
                continue
            begin, end = span
            if text.startswith(MARK, begin):
                at = begin + len(MARK)
                continue
            parts += [text[done:begin], self._mark(text[begin:end])]
            at = done = end
        return "".join(parts) + text[done:] if parts else text

    def _span_after(self, text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.end("rest")]
        kind = self._kind_in_text(text, start, name) or self._kind_in_url(text, start, match)
        if not kind:
            return None
        begin, end = _value_span(text, lower, match, start)
        value = text[begin:end]
        if (
            not value
            or (kind > 1 and _is_number(value))
            or (not match["open"] and _is_report(name, value, match))
        ):
            return None
        return begin, end

    def _span_said(self, text: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.end("rest")]
        value = match["value"]
        if value.strip(".,;:!?") in patterns.REPORTING or name.lower() in patterns.PROSE - {"pin"}:
            return None
        is_quoted = match["open"] and not name.lower().endswith("token")
        if not is_quoted and not any(map(str.isdigit, value)):
            return None
        return match.span("value") if self._kind_in_text(text, start, name) is Kind.SECRET else None

    def _kind_in_url(self, text: str, start: int, match: re.Match[str]) -> Kind:
        """``?key=`` and ``?code=`` are secrets in a URL, when they are long."""
        is_param = match["sep"] == "=" and start > 0 and text[start - 1] in "?&"
        if is_param and text[start : match.end("rest")].lower() in ("key", "code"):
            begin, end = _value_span(text, text, match, start)
            return Kind.SECRET if end - begin >= 16 else Kind.HARMLESS
        return Kind.HARMLESS

    def _kind_in_text(self, text: str, start: int, name: str) -> Kind:
        """What the name says, or it and the word before it: ``API key``."""
        kind = self._kind(name)
        if kind or start < 2 or text[start - 1] != " ":
            return kind
        first = _name_start(text, start - 1, max(0, start - 32))
        return self._kind(f"{text[first : start - 1]} {name}") if first < start - 1 else kind


def _lower(text: str) -> str:
    # The one letter that grows in lower case would shift every position behind it.
    return text.replace("\u0130", "I").lower()


def _is_number(value: str) -> bool:
    return value.isascii() and value.replace(".", "", 1).isdigit()


def _is_report(name: str, value: str, match: re.Match[str]) -> bool:
    word = value.strip(".,;:!?()[]{}<>").lower()
    if word in ("null", "none", "nil", "true", "false", "undefined", ""):
        return True
    if ":" not in match["sep"] or match["quote"]:
        return False
    return word in patterns.REPORTING or (name.lower() in patterns.PROSE and word.isalpha())


def _is_pair_value(name: str) -> bool:
    name = name.lower()
    return name in _PAIR_VALUES or name.endswith("value")


def _is_credential(scheme: str, value: str, *, is_all: bool) -> bool:
    if scheme == "basic":
        try:
            return b":" in b64decode(value.rstrip("=|:.,") + "==", validate=True)
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


def _name_start(text: str, start: int, floor: int) -> int:
    floor = max(floor, start - 64)
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return start


_PLAIN_VALUE = re.compile(r"[^\s&;\"'<>`]+")
_ENCODED_VALUE = re.compile(r"(?:(?!%22|%26|%2[cC]|%7[dD])[^\s&\"'<>`])+")
_LINE = re.compile(r"[^\r\n]+")
_HEADER = re.compile(r"(?i)(?:bearer|basic|token|apikey|bot|negotiate|ntlm)[ \t]+")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def _value_span(text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int]:
    """Where the value after a name begins and ends."""
    begin = match.end()
    if match["open"]:
        return begin, _closing(text, match["open"], begin)
    if match["quote"] and text[begin : begin + 1] in ("{", "["):
        return begin, _structure_end(text, begin)
    found = (_ENCODED_VALUE if match["sep"][0] == "%" else _PLAIN_VALUE).match(text, begin)
    end = found.end() if found else begin
    name = lower[start : match.end("rest")]
    if match["sep"] == ":" and name.endswith(("authorization", "cookie", "cookies")):
        scheme = _HEADER.match(text, begin)
        if scheme and (value := _PLAIN_VALUE.match(text, scheme.end())):
            end = value.end()
        elif found and (line := _LINE.match(text, begin)):
            around = text[start - 1] if start and text[start - 1] in "\"'`" else ""
            end = line.end() if not around else min(line.end(), _closing(text, around, begin))
    while end > begin and text[end - 1] in ",\\":
        end -= 1
    return begin, end


def _closing(text: str, mark: str, begin: int) -> int:
    """Where the quotation ends that ``mark`` opened; the end of the text when it was cut off."""
    sign = mark[-1] if mark[-1] in "\"'`" else mark
    escapes = len(mark) - len(sign)
    at = text.find(sign, begin)
    while at >= 0:
        slashes = at
        while slashes > begin and text[slashes - 1] == "\\":
            slashes -= 1
        if (at - slashes <= escapes and (at - slashes) % 2 == escapes % 2) or len(sign) > 1:
            return at - escapes if at - slashes == escapes else slashes
        if escapes == 0 and (at - slashes) % 2 == 0:
            return at
        at = text.find(sign, at + 1)
    return len(text)


def _structure_end(text: str, begin: int) -> int:
    depth = 0
    for match in _STRUCTURE.finditer(text, begin):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


# Text of bounded size

"""Secrets in text that is no JSON: where they begin, where they end, and the text without them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from urllib.parse import quote

from ..core.json import exact_json
from . import patterns
from .names import FAMILIAR, Kind, is_secret, kind_of, squash

MARK = "[redacted]"
_NAMES_KEPT = 20_000


class Known:
    """What is known of secrets: their names, the user's own ``extra_names``, and ``secrets`` literally."""

    def __init__(self, extra_names: Iterable[str], secrets: Iterable[str]) -> None:
        extra_names = tuple(extra_names)
        self._extra = frozenset(filter(None, map(squash, extra_names)))
        self.stems = patterns.stems(extra_names)
        # Shorter ones would take words and numbers of the payload with them.
        known = [secret for secret in secrets if len(secret) >= 4 and secret not in MARK]
        literals = {
            form for secret in known for form in (secret, quote(secret, safe=""), exact_json(secret)[1:-1])
        }
        self.literals = sorted(literals, key=lambda literal: (-len(literal), literal))
        self._kinds: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """What the name says of the value under it."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = Kind.SECRET if squash(name) in self._extra else kind_of(name)
            if len(self._kinds) >= _NAMES_KEPT:
                self._kinds.clear()
            if len(name) <= 128:
                self._kinds[name] = kind
        return kind


class TextPass:
    """One pass over texts, which counts what it took out."""

    def __init__(self, known: Known) -> None:
        self._kind = known.kind
        self._stems = known.stems
        self._literals = known.literals
        self.count = 0

    def plain(self, text: str) -> str:
        """The text, which is no JSON, without its secrets."""
        before = self.count
        new = self.without_literals(text)
        if new.isalnum():
            new = patterns.SHAPES.sub(self._shape, new)
            return new if self.count > before else text
        if "PRIVATE KEY" in new:
            new = self._pem(new)
        lower = _lower(new)
        new = self._pairs(new, lower)
        new = self._where_signs_are(new, lower)
        new = self._schemes(new, lower)
        if "eyJ" in new:
            new = patterns.JWT_RUN.sub(self._jwt, new)
        is_aws = "AKIA" in new or "ASIA" in new
        new = patterns.SHAPES.sub(self._shape, new)
        if len(new) > 30:
            for sign, shape, before_it in patterns.WITHIN:
                if sign in new:
                    new = self._within(new, shape, before_it)
        if is_aws and self.count > before:
            new = patterns.AWS_SECRET.sub(lambda m: self._mark(m[0]), new)
        return new if self.count > before else text

    def without_literals(self, text: str) -> str:
        for literal in self._literals:
            if literal in text:
                self.count += text.count(literal)
                text = text.replace(literal, MARK)
        return text

    def _mark(self, found: str) -> str:
        if found != MARK:
            self.count += 1
        return MARK

    # Shapes

    def _pem(self, text: str) -> str:
        parts = []
        at = 0
        while begin := patterns.PEM_BEGIN.search(text, at):
            end = patterns.PEM_END.search(text, begin.end())
            parts += [text[at : begin.start()], self._mark(begin[0])]
            at = end.end() if end else len(text)
        return "".join(parts) + text[at:]

    def _shape(self, match: re.Match[str]) -> str:
        # Names of styles and packages have these beginnings too, but no digits; numbers no letters.
        is_name = match[0].startswith(("sk-", "pypi-", "EAA")) and not any(map(str.isdigit, match[0]))
        is_number = match[0].startswith("00") and not any(map(str.isalpha, match[0]))
        return match[0] if is_name or is_number else self._mark(match[0])

    def _within(self, text: str, shape: re.Pattern[str], before_it: int) -> str:
        parts = []
        done = 0
        for match in shape.finditer(text):
            start = match.start()
            floor = max(done, start - before_it)
            while start > floor and text[start - 1].isalnum():
                start -= 1
            parts += [text[done:start], self._mark(text[start : match.end()])]
            done = match.end()
        return "".join(parts) + text[done:] if parts else text

    def _jwt(self, match: re.Match[str]) -> str:
        parts = match[0].split(".")
        if len(parts) < 3 or len(parts[0]) < 8 or len(parts[1]) < 4:
            return match[0]
        return self._mark(match[0])

    # Forms that a sign tells

    def _where_signs_are(self, text: str, lower: str) -> str:
        if "://" in lower:
            for pattern in (patterns.URL_LOGIN, patterns.URL_TOKEN, patterns.SLACK_HOOK):
                text = pattern.sub(lambda m: m[1] + self._mark(m[2]), text)
        for sign, pattern in patterns.NAMED:
            if sign in lower:
                text = pattern.sub(self._named_match, text)
        if "-u" in lower:
            text = patterns.LOGIN_FLAG.sub(self._value_match, text)
        if "identified" in lower:
            text = patterns.IDENTIFIED.sub(self._value_match, text)
        if "raw" in lower:
            text = self._raw_headers(text)
        if "-p" in text and any(command in lower for command in patterns.GLUING_COMMANDS):
            text = patterns.GLUED_FLAG.sub(self._glued_flag, text)
        return text

    def _named_match(self, match: re.Match[str]) -> str:
        value = match["value"]
        kind = self._kind(match["name"])
        if not value.strip() or value == MARK or not is_secret(kind, value):
            return match[0]
        if match.re is patterns.FLAG and value.lower() in patterns.REPORTING:
            return match[0]
        return self._value_match(match)

    def _value_match(self, match: re.Match[str]) -> str:
        start = match.start("value") - match.start()
        return match[0][:start] + self._mark(match["value"]) + match[0][start + len(match["value"]) :]

    def _glued_flag(self, match: re.Match[str]) -> str:
        before = match.string[max(0, match.start() - 200) : match.start()]
        return self._value_match(match) if patterns.GLUING_COMMAND.search(before) else match[0]

    def _raw_headers(self, text: str) -> str:
        """``rawHeaders: ['X-Api-Key', '…']``: names and values in turn."""
        parts = []
        at = done = 0
        while head := patterns.RAW_HEADERS.search(text, at):
            at = head.end()
            name = None
            while item := patterns.NEXT_TEXT.match(text, at):
                begin, end = item.end(), _closing(text, item["open"], item.end())
                at = end + len(item["open"])
                if name is None:
                    name = text[begin:end]
                    continue
                if is_secret(self._kind(name), text[begin:end]):
                    parts += [text[done:begin], self._mark(text[begin:end])]
                    done = end
                name = None
        return "".join(parts) + text[done:] if parts else text

    def _schemes(self, text: str, lower: str) -> str:
        if not (
            "bearer" in lower or "basic" in lower or "token " in lower or "apikey" in lower
            or "bot " in lower or "negotiate" in lower or "ntlm" in lower
        ):  # fmt: skip
            return text
        lower = _lower(text)
        parts = []
        at = 0
        for match in patterns.SCHEME.finditer(lower):
            start, end = match.span("value")
            if _is_credential(match["scheme"], text[start:end], is_all=match.span() == (0, len(text))):
                parts += [text[at:start], self._mark(text[start:end])]
                at = end
        return "".join(parts) + text[at:] if parts else text

    # Values after a name

    def _pairs(self, text: str, lower: str) -> str:
        """Values after a secret name in text: ``name=value``, ``name: value``, ``"name": "value"``."""
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
        kind = self._kind_in_url(text, start, match) or self._kind_in_text(text, start, name)
        if not kind:
            return None
        if kind is Kind.SECRET_IF_RANDOM:
            begin, end = _word_span(text, match)
        else:
            begin, end = _value_span(text, lower, match, start)
        value = text[begin:end]
        if not value or not is_secret(kind, value) or (not match["open"] and _is_report(name, value, match)):
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
        if kind not in (Kind.HARMLESS, Kind.SECRET_IF_RANDOM) or start < 2 or text[start - 1] != " ":
            return kind
        first = _name_start(text, start - 1, max(0, start - 32))
        more = self._kind(f"{text[first : start - 1]} {name}") if first < start - 1 else kind
        return more or kind


def without_long_runs(text: str) -> str:
    """The text without runs of twenty characters or more in which letters and digits mix: nobody can tell whose
    they are. UUIDs and dates stay."""
    return patterns.LONG_RUN.sub(_long_run, text)


def _long_run(match: re.Match[str]) -> str:
    rest = FAMILIAR.sub("", match[0])
    is_mixed = any(map(str.isdigit, rest)) and any(map(str.isalpha, rest))
    return MARK if len(rest) >= 20 and is_mixed else match[0]


def _lower(text: str) -> str:
    # The one letter that grows in lower case would shift every position behind it.
    return text.replace("\u0130", "I").lower()


def _is_report(name: str, value: str, match: re.Match[str]) -> bool:
    is_on_next_line = "\n" in match.string[match.end("sep") : match.end()]
    word = (value.split(None, 1)[0] if is_on_next_line else value).strip(".,;:!?()[]{}<>").lower()
    if word in ("null", "none", "nil", "true", "false", "undefined", ""):
        return True
    if ":" not in match["sep"] or match["quote"]:
        return False
    return word in patterns.REPORTING or (name.lower() in patterns.PROSE and word.isalpha())


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
    floor = max(floor, start - 64)
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return start


# Where the value after a name begins and ends

_PLAIN_VALUE = re.compile(r"[^\s&;\"'<>`]+")
_ENCODED_VALUE = re.compile(r"(?:(?!%22|%26|%2[cC]|%7[dD])[^\s&\"'<>`])+")
_WORD = re.compile(r"[^\s&;\"'<>`=:%,{}\[\]]+")
_LINE = {"": re.compile(r"[^\r\n]+")} | {
    mark: re.compile(rf"(?:\\[^\r\n]|[^\r\n\\{mark}])+") for mark in "\"'`"
}
_SCHEME = re.compile(
    r"(?i)[\[({]{0,2}(?:bearer|basic|token|api-?key|bot|negotiate|ntlm|jwt|oauth|digest)(?:[ \t]+|[ \t]*[:=][ \t]*)(?=\S)"
)
_ANY_SCHEME = re.compile(r"[\[({]{0,2}[A-Za-z][A-Za-z0-9-]{0,19}[ \t]+(?=\S)")
_CREDENTIAL = re.compile(r"\\{0,8}(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\s&;\"'<>`]+)")
_PARAMETERS = re.compile(r"[\w-]{1,32}=\\{0,8}[\"']")
_COOKIES = re.compile(r"[^\s&;\"'<>`]*(?:;[ \t]*[^\s&;\"'<>`]+)*")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}[ \t]*(?:#[^\r\n]*)?\r?\n")
_ESCAPED_BLOCK = re.compile(r"[|>][-+0-9]{0,2}(?:\\{1,16}r)?\\{1,16}n[^\"'\r\n]*")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def _word_span(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where a value begins and ends that is a secret only if it looks random: it holds no other name and value."""
    begin = match.end()
    if match["open"]:
        return begin, _closing(text, match["open"], begin)
    found = _WORD.match(text, begin)
    return begin, found.end() if found else begin


def _value_span(text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int]:
    """Where the value after a name begins and ends."""
    begin = match.end()
    if match["open"]:
        return begin, _closing(text, match["open"], begin)
    if match["quote"] and text[begin : begin + 1] in ("{", "["):
        return begin, _structure_end(text, begin)
    name = lower[start : match.end("rest")]
    if match["sep"][0] == ":" and (end := _indented_end(text, match, start)) > begin:
        return begin, end
    found = (_ENCODED_VALUE if match["sep"][0] == "%" else _PLAIN_VALUE).match(text, begin)
    end = found.end() if found else begin
    if found and match["sep"][0] != "%":
        if text[end - 1] == "(" and text[end : end + 1] in ("'", '"'):
            return begin, _closing(text, text[end], end + 1)
        end = _header_end(text, name, match, start, end)
    while end > begin and text[end - 1] in ",\\":
        end -= 1
    return begin, end


def _header_end(text: str, name: str, match: re.Match[str], start: int, end: int) -> int:
    """Where the value of a header ends that is more than one word; ``end`` is the end of its first word."""
    begin = match.end()
    is_header = name.endswith("authorization")
    around = text[start - 1] if start and text[start - 1] in "\"'`" else ""
    if name.endswith(("cookie", "cookies")):
        if match["sep"] == ":":
            return _line_end(text, begin, around)
        cookies = _COOKIES.match(text, begin)
        return cookies.end() if cookies else end
    scheme = _SCHEME.match(text, begin)
    if is_header:
        after = scheme.end() if scheme else begin
        if (match["sep"] == ":" and not scheme) or _PARAMETERS.match(text, after):
            return _line_end(text, begin, around)
    is_scheme = scheme is not None
    scheme = scheme or (_ANY_SCHEME.match(text, begin) if is_header else None)
    if scheme is None or (around and text.startswith(around, scheme.end())):
        return end
    word = _CREDENTIAL.match(text, scheme.end())
    if word is None:
        return end
    if word[0].strip(".,;:!?").lower() in patterns.REPORTING:
        return begin if is_scheme else end
    return max(end, word.end())


def _line_end(text: str, begin: int, around: str) -> int:
    """Where the line ends, or the quotation within it that ``around`` opened."""
    found = _LINE[around].match(text, begin)
    return found.end() if found else begin


def _indented_end(text: str, match: re.Match[str], start: int) -> int:
    """Where the lines end that YAML takes for the value: those further in than the name's own line."""
    begin = match.end()
    if escaped := _ESCAPED_BLOCK.match(text, begin):
        return escaped.end()
    is_next_line = "\n" in text[match.end("sep") : begin]
    block = _BLOCK.match(text, begin)
    if not block and not is_next_line:
        return begin
    line = text[max(text.rfind("\n", 0, start) + 1, start - 200) : start]
    indent = len(line) - len(line.lstrip(" \t"))
    at = block.end() if block else text.rfind("\n", match.end("sep"), begin) + 1
    end = begin
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop].rstrip()
        if line and len(line) - len(line.lstrip(" \t")) <= indent:
            break
        end = at + len(line) if line else end
        at = stop + 1
    return end


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

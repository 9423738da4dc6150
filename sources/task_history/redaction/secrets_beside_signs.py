"""Secrets that no name announces: they stand where addresses, commands, protocols or markup have a secret."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator

from . import patterns, shapes
from .edits import Span
from .expressions import expression
from .judging import REPORTING, is_card_number, is_no_name
from .kinds_of_names import Kind
from .known_secrets import KnownSecrets
from .lookalikes import in_latin
from .placeholders import is_cipher
from .randomness import is_key_material, is_mixed
from .redacted_text import RedactedText
from .secrets_beside_names import kind_of_label
from .sentences import is_passphrase, is_password, is_strong
from .value_spans import closing

_NAMING_ATTRIBUTES = frozenset({"name", "key", "property", "field", "param"})
"""Attributes that name what stands in the element, as in ``<property name="password">``."""

_JUDGES: dict[str, Callable[[str], bool]] = {
    "strong": is_strong,
    "password": is_password,
    "words": is_passphrase,
    "mixed": is_mixed,
}
"""Groups of forms whose values are secrets if they look like one."""
_METAVAR = expression(r"<?[A-Z][A-Z_]{1,30}>?[\])]{0,2}(?:\.\.\.)?")
"""What the help of a command shows for a value: ``[--token TOKEN]``."""
_MARKS = frozenset(["", *"\"'`.,;:-/|"])
"""Values that are no more than a mark."""


class SignPass:
    """Finds secrets beside such signs."""

    def __init__(self, known: KnownSecrets) -> None:
        self._kind = known.kind
        self._kind_of_value = known.kind_of_value
        self._is_secret = known.is_secret

    def cut_at_signs(self, redacted: RedactedText) -> None:
        """Cuts secrets beside signs that need no name."""
        if "://" in redacted.suspect_words:
            if "@" in redacted.suspect_words:
                redacted.cut(_key_users(redacted.text))
                for pattern in (patterns.URL_LOGIN, patterns.URL_TOKEN):
                    redacted.cut(match.span(2) for match in pattern.finditer(redacted.text))
            if any(sign in redacted.suspect_words_lower for sign in patterns.WEBHOOK_SIGNS):
                redacted.cut(match.span(2) for match in patterns.WEBHOOK.finditer(redacted.text))
        if "Private-Lines" in redacted.suspect_words:
            redacted.cut(shapes.putty_keys(redacted.text))
        self._commands(redacted)
        redacted.cut(_cards(redacted))
        if "(" in redacted.text and ("'" in redacted.text or '"' in redacted.text):
            redacted.cut(_in_calls(redacted.text))
        signs = f"{redacted.suspect_words}{redacted.suspect_words_lower}"
        signs = signs if signs.isascii() else signs + in_latin(signs)
        if patterns.ANY_FORM.search(signs):
            for sign, pattern in patterns.FORMS:
                if sign in signs:
                    redacted.cut(self._in_form(redacted.text, pattern))

    def cut_named_at_signs(self, redacted: RedactedText) -> None:
        """Cuts secrets that stand beside their names and a sign."""
        lower = redacted.lower
        if "raw" in lower:
            redacted.cut(self._raw_headers(redacted.text))
        for sign, pattern in patterns.NAMED:
            if sign in lower:
                redacted.cut(self._after_signs(redacted.text, pattern))
        for sign, pattern in patterns.NAMED_FORMS:
            if sign in lower:
                redacted.cut(self._in_form(redacted.text, pattern))
        if "<" in lower and "=" in lower:
            redacted.cut(self._attributes(redacted.text))
        if "</" in lower:
            redacted.cut(self._labelled(redacted.text))
        if "3c" in lower or "lt;" in lower or "#60;" in lower:
            for pattern in (patterns.ESCAPED_XML, patterns.ESCAPED_XML_PAIR):
                redacted.cut(self._after_signs(redacted.text, pattern))

    def _commands(self, redacted: RedactedText) -> None:
        suspect_words = redacted.suspect_words_lower
        if "-u" in suspect_words:
            redacted.cut(match.span("value") for match in patterns.LOGIN_FLAG.finditer(redacted.text))
        if "identified" in suspect_words:
            redacted.cut(match.span("value") for match in patterns.IDENTIFIED.finditer(redacted.text))
        if "auth" in suspect_words:
            redacted.cut(match.span("value") for match in patterns.SMTP_AUTH.finditer(redacted.text))
        if patterns.ANY_COMMAND.search(redacted.suspect_words):
            redacted.cut(shapes.after_commands(redacted.text))

    def _attributes(self, text: str) -> Iterator[Span]:
        """``<input type="password" value="…">`` and ``<add value="…" key="apiKey"/>``."""
        for tag in patterns.TAG.finditer(text):
            attributes = list(patterns.ATTRIBUTE.finditer(text, *tag.span("attributes")))
            given = {attribute["name"].lower(): attribute for attribute in attributes}
            value = given.get("value")
            part = "value"
            if value is None and not _NAMING_ATTRIBUTES.isdisjoint(given):
                value = patterns.ELEMENT_TEXT.match(text, tag.end())
                part = "cdata" if value is not None and value["cdata"] else "value"
            if value is None:
                continue
            names = [attribute["value"] for name, attribute in given.items() if name != "value"]
            kind = next(filter(None, map(self._kind_of_value, names)), Kind.HARMLESS)
            if "type" in given and given["type"]["value"].lower() == "password":
                kind = Kind.SECRET
            if value[part] and self._is_secret(kind, value[part]):
                yield value.span(part)

    def _labelled(self, text: str) -> Iterator[Span]:
        """``<dt>Password</dt><dd>…</dd>``: the text of an element behind that of one that names it."""
        position = 0
        while match := patterns.LABELLED.search(text, position):
            position = match.end("name")
            if kind_of_label(match["name"], self._kind_of_value) and is_strong(match["strong"]):
                yield match.span("strong")
                position = match.end()

    def _after_signs(self, text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
        for match in pattern.finditer(text):
            value = match["value"]
            if value.strip() in _MARKS or not self._is_secret(self._kind(match["name"]), value.strip("\"'")):
                continue
            if pattern is patterns.FLAG and (
                value.lower() in REPORTING or _METAVAR.fullmatch(value.split(None, 1)[0])
            ):
                continue
            if pattern is patterns.LIST and (not is_no_name(value) or self._kind(value)):
                continue
            yield match.span("value")

    def _in_form(self, text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
        for match in pattern.finditer(text):
            group = next((group for group in _JUDGES if group in pattern.groupindex), None)
            if group is not None:
                value = match[group].rstrip(".,;:") if group == "strong" else match[group]
                if _JUDGES[group](value):
                    yield match.start(group), match.start(group) + len(value)
            elif "name" not in pattern.groupindex or self._is_secret(
                self._kind(match["name"]), match["value"]
            ):
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


def _key_users(text: str) -> Iterator[Span]:
    """Spans of users in addresses with a login that are keys themselves: ``https://key:secret@…``."""
    for match in patterns.URL_LOGIN.finditer(text):
        begin, end = match.start(1) + len("://"), match.end(1) - 1
        if is_key_material(text[begin:end]):
            yield begin, end


def _cards(redacted: RedactedText) -> Iterator[Span]:
    """Spans of the numbers of cards in a text that speaks of one."""
    if patterns.CARD_WORD.search(redacted.suspect_words_lower):
        for match in patterns.CARD.finditer(redacted.text):
            if is_card_number(match["card"]):
                yield match.span("card")


def _in_calls(text: str) -> Iterator[Span]:
    """``jwt.sign(payload, '…')``: what looks like a secret among the arguments of what signs in or encrypts."""
    done = 0
    opened = text.find("(")
    while opened >= 0:
        begin, opened = opened + 1, text.find("(", opened + 1)
        called = text[max(0, begin - patterns.CALLER_CHARS) : begin - 1]
        if begin < done or not called[-1:].isalnum() or not patterns.CALLER.search(called.lower()):
            continue
        end = min(len(text), begin + patterns.ARGUMENTS_CHARS)
        depth = 1
        position = begin
        while position < end and depth:
            if literal := patterns.LITERAL.match(text, position, end):
                value = literal["value"]
                login = patterns.LOGIN.fullmatch(value)
                if login and is_strong(login["value"]):
                    yield literal.start("value") + login.start("value"), literal.end("value")
                elif not literal["key"] and " " not in value and is_strong(value) and not is_cipher(value):
                    yield literal.span("value")
                position = literal.end()
                continue
            depth += {"(": 1, ")": -1, "\n": -depth}.get(text[position], 0)
            position += 1
        done = position


def credentials(text: str, lower: str) -> Iterator[Span]:
    """Spans of credentials behind their schemes: ``Bearer …``."""
    for match in patterns.SCHEME.finditer(lower):
        start, end = match.span("value")
        if _is_credential(match["scheme"], text[start:end], is_all=match.span() == (0, len(text))):
            yield start, end


def _is_credential(scheme: str, value: str, *, is_all: bool) -> bool:
    if scheme == "basic":
        value = value.rstrip("=|:.,~").translate(_STANDARD_BASE64)
        try:
            return b":" in b64decode(value + "=" * (-len(value) % 4), validate=True)
        except ValueError:
            return False
    word = value.strip(".:=|-")
    if _IDENTIFIER.fullmatch(value):
        return False
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


_IDENTIFIER = expression(r"[a-z]{1,20}(?:_[a-z]{1,20})*(?:=.*)?|0x[0-9a-fA-F]{40}")
_STANDARD_BASE64 = str.maketrans("-_", "+/")

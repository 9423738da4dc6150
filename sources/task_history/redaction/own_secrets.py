"""Detection of the run's own secrets (keys, client secrets, tokens) in text: whole, in part, or encoded."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote, quote_plus

from ..core.json_writing import exact_json
from ..core.redaction_mark import MARK
from .edits import Edit, Origin, applied, without_overlaps
from .folding import NOT_PLAIN, escapes_of, folded, folds, lowered
from .lookalikes import in_latin

_MIN_SECRET_CHARS = 4
"""Shorter secrets are ignored: they would match the vendor's words and numbers."""
_PART_CHARS = (8, 12)
"""Minimum and maximum characters of a detectable part, which is half of a secret."""
_BASE64_PART_CHARS = 16
_HEX_PART_BYTES = 12
_ESCAPE_BEGUN = re.compile(r"(?<!\\)(?:\\\\){0,15}(?P<cut>\\(?:u[0-9a-fA-F]{0,3})?)\Z")


class _Form:
    """One spelling of a secret, in lower case if the case of its letters ``is_customer_data``.

    ``part`` is the number of characters that count as a leak; ``between`` is a separator between its letters.
    """

    def __init__(self, text: str, part: int, *, is_customer_data: bool = False, between: str = "") -> None:
        self.text = lowered(text) if is_customer_data else text
        self.part = min(part, len(text))
        self.is_customer_data = is_customer_data
        self._written = text
        self._between = between

    def anchors(self) -> Iterator[tuple[str, int]]:
        """Short lower-case pieces with their offsets, such that every part of ``part`` characters holds one."""
        size = (self.part + 1) // 2 if self.part < len(self.text) else self.part
        for offset in range(0, len(self.text) - size + 1, size):
            yield lowered(self.text[offset : offset + size]), offset

    def span_at(self, text: str, position: int, offset: int) -> tuple[int, int] | None:
        """The longest match whose character ``offset`` is at ``position``; None when it is too short."""
        form = self.text
        begin, end = position, position
        while begin > 0 and offset > 0 and text[begin - 1] == form[offset - 1]:
            begin, offset = begin - 1, offset - 1
        first, offset = offset, offset + end - begin
        while end < len(text) and offset < len(form) and text[end] == form[offset]:
            end, offset = end + 1, offset + 1
        if self._between:
            begin, end = begin + (text[begin] == self._between), end - (text[end - 1] == self._between)
        size = end - begin
        if size < self.part or text[begin:end] in MARK:
            return None
        # One word of a secret that is more than letters may stand anywhere.
        written = self._written[first : first + size]
        is_word = size < len(form) and _is_word(written) and not form.isalpha()
        return None if is_word else (begin, end)


class OwnSecrets:
    """Finds the secrets of a run in texts. Thread-safe, also while a token is added."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self.known: tuple[str, ...] = ()
        """The secrets themselves; another tuple once one is added."""
        self._anchors: dict[str, list[tuple[_Form, int]]] = {}
        self._sizes: tuple[int, ...] = ()
        self._search: re.Pattern[str] | None = None
        self._escapes: re.Pattern[str] | None = None
        self.digits: frozenset[str] = frozenset()
        """Secrets of digits only, which a vendor may send as numbers."""
        self.add(*secrets)

    def __bool__(self) -> bool:
        return self._search is not None

    def add(self, *secrets: str) -> None:
        """Adds secrets to find."""
        with self._lock:
            new = [value for value in secrets if len(value) >= _MIN_SECRET_CHARS and value not in MARK]
            if set(new) <= set(self.known):
                return
            self.known = tuple(dict.fromkeys([*self.known, *new]))
            anchors: dict[str, list[tuple[_Form, int]]] = {}
            for form in (form for secret in self.known for form in _forms(secret)):
                for anchor, offset in form.anchors():
                    anchors.setdefault(anchor, []).append((form, offset))
            self._sizes = tuple(sorted(set(map(len, anchors))))
            self._anchors = anchors
            self.digits = frozenset(value for value in self.known if value.isascii() and value.isdigit())
            self._escapes = escapes_of(self.known)
            self._search = re.compile(_alternatives(anchors))

    @property
    def pattern(self) -> str:
        """A regular expression that matches every text with a secret, and few others."""
        if self._search is None or self._escapes is None:
            return ""
        return f"(?i:{self._search.pattern})|{self._escapes.pattern}|{NOT_PLAIN.pattern}"

    def edits(self, text: str) -> list[Edit]:
        """The replacements that redact the secrets."""
        if self._search is None:
            return []
        lower = lowered(text)
        edits = self._edits(text, lower) if self._search.search(lower) else []
        is_plain = text.isascii() and "%" not in text and "\\" not in text and "#" not in text
        if is_plain or not self._may_be_folded(text) or not self._search.search(folded(text)):
            return edits
        letters = folds(text)
        plain = applied(text, letters)
        origin = Origin(letters)
        more = [
            Edit(*_with_whole_escapes(text, *origin.span(edit.begin, edit.end)))
            for edit in self._edits(plain, lowered(plain))
        ]
        return without_overlaps(sorted([*edits, *more]))

    def _may_be_folded(self, text: str) -> bool:
        """Whether the text may hold escaped or look-alike letters of a secret."""
        if not text.isascii() and NOT_PLAIN.search(text):
            return True
        return self._escapes is not None and self._escapes.search(text) is not None

    def _edits(self, text: str, lower: str) -> list[Edit]:
        found: list[Edit] = []
        at = 0
        while self._search is not None and (match := self._search.search(lower, at)):
            span = self._longest(text, lower, match.start())
            if span is None:
                at = match.start() + 1
                continue
            begin, at = _with_whole_escapes(text, *span)
            if found and begin < found[-1].end:
                begin = found.pop().begin
            found.append(Edit(begin, at))
        return found

    def without(self, text: str) -> str:
        """The text with the secrets redacted."""
        return applied(text, self.edits(text))

    def _longest(self, text: str, lower: str, position: int) -> tuple[int, int] | None:
        spans = [
            span
            for size in self._sizes
            for form, offset in self._anchors.get(lower[position : position + size], ())
            if (span := form.span_at(lower if form.is_customer_data else text, position, offset)) is not None
        ]
        return (min(begin for begin, _ in spans), max(end for _, end in spans)) if spans else None


def _with_whole_escapes(text: str, begin: int, end: int) -> tuple[int, int]:
    """The span, extended so that it splits no JSON escape, which would break the JSON around it."""
    floor = max(0, begin - 32)
    if begun := _ESCAPE_BEGUN.search(text[floor:begin]):
        begin = floor + begun.start("cut")
    if begun := _ESCAPE_BEGUN.search(text[begin:end]):
        end = min(len(text), begin + begun.start("cut") + (6 if "u" in begun["cut"] else 2))
    return begin, end


def _alternatives(anchors: Iterable[str]) -> str:
    """A pattern for both Python's and Arrow's engine, with one branch per first letter, for speed."""
    tails: dict[str, list[str]] = {}
    for anchor in sorted(anchors):
        tails.setdefault(anchor[0], []).append(re.escape(anchor[1:]))
    return "|".join(f"{re.escape(first)}(?:{'|'.join(all_)})" for first, all_ in tails.items())


def _forms(secret: str) -> list[_Form]:
    least, most = _PART_CHARS
    plain = {
        secret,
        exact_json(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        in_latin(secret),
        escape(secret),
        quote(secret),
        quote_plus(secret),
        re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quote(secret, safe="")),
    }
    # Words are found as they are; a random key gives itself away in any case of its letters.
    is_customer_data = (
        len(secret) >= least and any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))
    )
    forms = [
        _Form(text, max(least, min(most, -(-len(text) // 2))), is_customer_data=is_customer_data)
        for text in sorted(plain)
        if len(text) >= _MIN_SECRET_CHARS
    ]
    if len(secret) >= least:
        forms += [_Form(text, _BASE64_PART_CHARS) for text in sorted(_base64(secret))]
        data = secret.encode("utf-8", "replace")
        for sign in ("", " ", ":"):
            text = data.hex(sign) if sign else data.hex()
            forms.append(
                _Form(
                    text, _HEX_PART_BYTES * (2 + len(sign)) - len(sign), is_customer_data=True, between=sign
                )
            )
    return forms


def _base64(secret: str) -> set[str]:
    """The parts of its base64 that do not depend on the bytes before and after it."""
    data = secret.encode("utf-8", "replace")
    return {
        encode(bytes(before) + data).decode()[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        for before in range(3)
        for encode in (b64encode, urlsafe_b64encode)
    }


def _is_word(text: str) -> bool:
    return text.isalpha() and (text.islower() or text.isupper() or text.istitle())

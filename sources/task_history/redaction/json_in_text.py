"""Redaction of texts that hold JSON: its values are redacted, the rest of the text stays exact."""

from __future__ import annotations

from ..core.json_writing import exact_json
from ..core.models import Json
from ..core.redaction_mark import MARK
from . import json_spans
from .clean_texts import MAX_CHARS
from .edits import Edit, Origin, applied, joined, without_overlaps
from .known_secrets import KnownSecrets
from .text import TextPass

MAX_DEPTH = 150
"""Maximum levels, those of JSON inside strings included; deeper values are redacted whole."""
_MIDDLE_DEPTH = MAX_DEPTH // 2
_FAILURES = 8
"""Documents of one text that may be invalid or hold secrets before the fast parser is no longer tried."""
_DECODED_DEPTH = 4
"""Maximum encodings within each other that are decoded."""
_KEY_BYTES, _DIFFERENT_BYTES = 64, 44
"""Bytes of a key of Solana, and fewer different ones than nearly each has: https://solana.com/docs/core/accounts."""
MIN_BYTES, _MAX_BYTES = 12, 4 << 20
"""Numbers in a list that may be the bytes of a text."""


class DocumentPass(TextPass):
    """Redacts texts and the JSON documents in them."""

    def __init__(self, known: KnownSecrets) -> None:
        super().__init__(known)
        self._clean_texts = known.clean_texts
        self._decoding = 0
        self._edited: dict[tuple[int, str], tuple[list[Edit], int]] = {}

    def value(self, value: Json, depth: int) -> Json:
        """Redacts a parsed value; returns the same object if it holds no secret."""
        raise NotImplementedError

    def string(self, text: str, depth: int) -> str:
        if len(text) < 5 and not self._own:
            return text
        if len(text) > MAX_CHARS:
            return applied(text, self._edits(text, depth))
        if (suspicions := self._clean_texts.suspicions(text)) is not None:
            self.suspicions += suspicions
            return text
        suspicions = self.suspicions
        edits = self._edits(text, depth)
        # Within too many encodings or levels less is found.
        if not edits and not self._decoding and depth < _MIDDLE_DEPTH:
            self._clean_texts.add(text, self.suspicions - suspicions)
        return applied(text, edits)

    def _edits(self, text: str, depth: int) -> list[Edit]:
        """The replacements in the text: inside its JSON documents, and in the text around them."""
        if depth >= MAX_DEPTH or not json_spans.may_hold(text):
            return self.plain(text, depth)
        if cached := self._edited.get((depth, text)):
            self.count += cached[1]
            return cached[0]
        before = self.count
        edits, is_json = self._documents(text, depth + 1)
        if not is_json:
            edits = joined(edits, self.plain(applied(text, edits), depth))
        if edits:
            self._edited[depth, text] = edits, self.count - before
        return edits

    def decoded_edits(self, text: str, depth: int) -> list[Edit]:
        """The replacements in a text that was decoded; none where too many encodings are within each other."""
        if self._decoding >= _DECODED_DEPTH:
            return []
        self._decoding += 1
        try:
            return self._edits(text, depth + 1)
        finally:
            self._decoding -= 1

    def are_secret_bytes(self, value: list[Json], depth: int) -> bool:
        """Whether the numbers are the bytes of a text that holds a secret, as Node writes a ``Buffer``."""
        try:
            some = bytes(value[:_MAX_BYTES])
            if len(some) == len(value) == _KEY_BYTES and len(set(some)) > _DIFFERENT_BYTES:
                return True
            text = some.decode(errors="strict" if len(some) == len(value) else "ignore")
        except (TypeError, ValueError):
            return False
        before = self.count
        is_secret = text.isprintable() and bool(self.decoded_edits(text, depth))
        self.count = before
        return is_secret

    def _documents(self, text: str, depth: int) -> tuple[list[Edit], bool]:
        """The replacements in the text's JSON documents, and whether the text is JSON only."""
        edits: list[Edit] = []
        is_json = True
        position = failures = 0
        while (begin := json_spans.next_begin(text, position)) is not None:
            is_json = is_json and json_spans.is_blank(text, position, begin)
            # Each failure of the fast parser takes as long as all the text before it.
            if failures < _FAILURES and (end := self._end_of_clean(text, begin, depth)) is not None:
                position = end
                continue
            failures += 1
            document = json_spans.read(text, begin)
            new = self.value(document.root.value, depth)
            inner: list[Edit] = []
            self._differences(text, document.root, new, depth, inner)
            if not document.is_whole:
                # It is no JSON, and the mark reads better by itself.
                inner = [edit if text[edit.begin] == '"' else edit._replace(new=MARK) for edit in inner]
            edits += inner
            position = document.end
            is_json = is_json and document.is_whole
        return without_overlaps(sorted(edits)), is_json and json_spans.is_blank(text, position, len(text))

    def _end_of_clean(self, text: str, begin: int, depth: int) -> int | None:
        """The end of a valid document without secrets; None for any other."""
        before = self.count
        try:
            value, end = json_spans.parse(text, begin)
        except (ValueError, RecursionError):
            return None
        if self.value(value, depth) is value:
            return end
        self.count = before
        return None

    def _differences(
        self, text: str, part: json_spans.Part, new: Json, depth: int, edits: list[Edit]
    ) -> None:
        """Adds the replacements that turn the part's value into ``new``."""
        old = part.value
        if new is old:
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for inner, (old_name, (name, value)) in zip(
                part.parts, zip(old, new.items(), strict=True), strict=True
            ):
                if name is not old_name and inner.name is not None:
                    edits.append(Edit(*inner.name, exact_json(name)))
                self._differences(text, inner, value, depth + 1, edits)
        elif isinstance(old, list) and isinstance(new, list):
            for inner, value in zip(part.parts, new, strict=True):
                self._differences(text, inner, value, depth + 1, edits)
        else:
            edits += self._within_string(text, part, new, depth) or [part.replaced(text, exact_json(new))]

    def _within_string(self, text: str, part: json_spans.Part, new: Json, depth: int) -> list[Edit]:
        """The replacements inside a JSON string that leave its other characters as sent; empty if there are none."""
        old = part.value
        if not isinstance(old, str) or new == MARK:
            return []
        before = self.count
        edits = self._edits(old, depth)
        self.count = before
        if applied(old, edits) != new:
            return []
        origin = Origin(json_spans.escapes(text, part))
        offset = part.begin + 1
        return [
            Edit(begin + offset, end + offset, exact_json(edit.new)[1:-1])
            for edit in edits
            for begin, end in (origin.span(edit.begin, edit.end),)
        ]

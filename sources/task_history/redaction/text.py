"""Redaction of secrets in free text that is not JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..core.redaction_mark import MARK
from . import patterns, shapes
from .edits import Edit, Origin, Span, applied, joined, without_overlaps
from .encodings import MIN_CHARS, encoded_runs, may_be_escaped_again, spaced_hex, unescapes
from .expressions import expression
from .folding import folded, folds
from .judging import REPORTING
from .kinds_of_names import (
    HEADINGS,
    IN_URL,
    IN_URL_IF_RANDOM,
    NO_SECRET_BY_NAME,
    SCHEMED_HEADERS,
    Kind,
    is_inflected,
    may_precede,
    words_before,
)
from .known_secrets import KnownSecrets
from .no_values import is_message, is_no_value, is_postal
from .ordinary_lines import Reading, tells_of_names_alone
from .placeholders import is_reference
from .randomness import FAMILIAR, has_long_run, is_key_material
from .redacted_text import RedactedText
from .secrets_beside_signs import SignPass, credentials
from .sentences import (
    BEFORE_CHARS,
    BEHIND_CHARS,
    is_path_or_id,
    is_strong,
    random_behind,
    secret_answered,
    secret_before,
    secret_behind,
)
from .tables_in_text import (
    listed_codes,
    secrets_in_columns,
    secrets_in_copies,
    secrets_in_inserts,
    secrets_in_markup,
)
from .value_spans import phrase_end, value_span, without_words_behind, word_span
from .vocabulary import FEW_WORDS

_PHRASE_CHARS = 48
"""Characters around a word in which the other words of a name may stand."""
_NAMED_IN_QUOTES = ("token", "secret", "secrets", "credentials")
"""Names in front of a quotation that is the secret's name as often: ``secret "web-tls" not found``."""
_DECIMAL = expression(r"[0-9]+[.][0-9]")
_NAME_CHARS = 256
"""Maximum characters of a name before the word that marks it as a secret's."""


class TextPass(SignPass):
    """Redacts texts and counts the secrets that it removes."""

    def __init__(self, known: KnownSecrets) -> None:
        super().__init__(known)
        self._is_strict = known.is_strict
        self._stems = known.stems
        self._own = known.own
        self._vocabulary = known.vocabulary
        self._ordinary_lines = known.ordinary_lines
        self.count = 0
        self.suspicions = 0
        """Texts so far in which words may tell of a secret."""

    def decoded_edits(self, text: str, depth: int) -> list[Edit]:
        """The replacements in a text that was decoded, JSON in it included."""
        raise NotImplementedError

    def plain(self, text: str, depth: int) -> list[Edit]:
        """The replacements that redact a text that is not JSON."""
        words, unknown = self._vocabulary.unknown(text)
        own = self._own.edits(text)
        reading = (
            self._ordinary_lines.read(text, words)
            if len(words) > 1 and unknown and not own
            else Reading.SEARCHED
        )
        if reading is Reading.ORDINARY:
            self.suspicions += 1
            return []
        if reading is Reading.CLEAN:
            return []
        suspect_words = self._vocabulary.suspect_words_of(text, words, unknown) if unknown else ""
        self.suspicions += bool(suspect_words)
        if text[2:3] in (" ", ":") and text[2] == text[5:6] == text[8:9] and self._is_spaced_hex(text, depth):
            self.count += 1
            return [Edit(0, len(text))]
        if not own and (not suspect_words or FAMILIAR.fullmatch(text)):
            return []
        if not own and (reading is Reading.SCHEMED or _is_only_words(text, suspect_words)):
            return self._in_words(RedactedText(text, suspect_words))
        is_escaped = not text.isascii() or patterns.MAY_BE_ESCAPED.search(suspect_words) is not None
        is_named = is_escaped and self._is_named(suspect_words)
        letters = _letters(text) if is_named else []
        redacted = RedactedText(
            applied(text, letters),
            f"{suspect_words}{applied(suspect_words, _letters(suspect_words))}" if letters else suspect_words,
        )
        if own or letters:
            redacted.cut((edit.begin, edit.end) for edit in self._own.edits(redacted.text))
        self._cut_all(redacted, depth)
        self.count += redacted.count
        edits = redacted.edits
        if letters and edits:
            origin = Origin(letters)
            edits = without_overlaps(Edit(*origin.span(edit.begin, edit.end), edit.new) for edit in edits)
        if is_escaped and (is_named or patterns.ESCAPED_URL.search(suspect_words)):
            edits = joined(edits, self._in_escapes(applied(text, edits), depth))
        return edits

    def _in_words(self, redacted: RedactedText) -> list[Edit]:
        """The replacements in a text of words alone: behind a scheme, or in a table."""
        if patterns.ANY_SCHEME.search(redacted.suspect_words_lower):
            redacted.cut(credentials(redacted.text, redacted.lower))
        if "\n" in redacted.text and ("," in redacted.text or "  " in redacted.text):
            redacted.cut(secrets_in_columns(redacted.text, self._kind, self._is_secret))
        self.count += redacted.count
        return redacted.edits

    def _is_named(self, text: str) -> bool:
        """Whether words may hold a secret's name once their escapes are resolved, those within others too."""
        plain = folded(text)
        if self._stems.may_begin(plain):
            return True
        if not may_be_escaped_again(text):
            return False
        for _ in range(2):
            plain = folded(applied(plain, unescapes(plain)))
        return self._stems.may_begin(plain)

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

    def _is_spaced_hex(self, text: str, depth: int) -> bool:
        """Whether a text is hexadecimal digits in pairs in which a secret is encoded."""
        decoded = spaced_hex(text)
        before = self.count
        is_secret = decoded is not None and bool(self.decoded_edits(decoded, depth))
        self.count = before
        return is_secret

    def _cut_all(self, redacted: RedactedText, depth: int) -> None:
        if not (redacted.text.isalnum() and redacted.text.isascii()):
            if self._stems.may_begin(redacted.suspect_words_lower):
                self._cut_named(redacted)
            self.cut_at_signs(redacted)
            if patterns.ANY_SCHEME.search(redacted.suspect_words_lower):
                redacted.cut(credentials(redacted.text, redacted.lower))
        self._cut_shapes(redacted, depth)

    def _cut_named(self, redacted: RedactedText) -> None:
        """Cuts secrets by their names."""
        if "PRIVATE KEY" in redacted.text or "Static key" in redacted.text:
            redacted.cut(shapes.private_keys(redacted.text))
        redacted.cut(
            self._pairs(redacted.text, redacted.lower, _spans_near(redacted.text, redacted.suspect_words))
        )
        if "\n" in redacted.text:
            redacted.cut(secrets_in_columns(redacted.text, self._kind, self._is_secret))
            if "codes" in redacted.lower:
                redacted.cut(listed_codes(redacted.text))
        if "</" in redacted.text:
            redacted.cut(secrets_in_markup(redacted.text, self._kind, self._is_secret))
        if "into" in redacted.lower:
            redacted.cut(secrets_in_inserts(redacted.text, self._kind, self._is_secret))
        if "stdin" in redacted.lower:
            redacted.cut(secrets_in_copies(redacted.text, self._kind, self._is_secret))
        if not redacted.text.isascii():
            redacted.cut(match.span("value") for match in patterns.UNPARTED.finditer(redacted.text))
        self.cut_named_at_signs(redacted)

    def _cut_shapes(self, redacted: RedactedText, depth: int) -> None:
        longest = max(map(len, redacted.suspect_words.split()), default=0)
        if longest < shapes.MIN_CHARS:
            return
        if "eyJ" in redacted.suspect_words:
            redacted.cut(shapes.jwts(redacted.text))
        is_aws = shapes.holds_aws_key_id(redacted.text)
        if shapes.may_hold_tokens(redacted.suspect_words):
            redacted.cut(shapes.tokens(redacted.text))
        if longest >= MIN_CHARS:
            redacted.cut(shapes.tokens_from_within(redacted.text))
            redacted.cut(self._encoded(redacted.text, depth))
        if is_aws and redacted.count:
            redacted.cut(shapes.aws_secret_keys(redacted.text))
        if self._is_strict and longest >= MIN_CHARS:
            redacted.cut(_long_runs(redacted.text))

    # Values after a name

    def _pairs(self, text: str, lower: str, near: list[Span]) -> Iterator[Span]:
        """Values after a secret name in text: ``name=value``, ``name: value``, ``"name": "value"``."""
        position = done = 0
        for stem in self._stems_in(text, lower, near):
            if stem.start() < position:
                continue
            start = _name_start(text, stem.start(), done)
            position = _name_end(text, stem.end())
            if phrase_end := patterns.end_of_phrase(lower, start):
                position = max(position, _name_end(text, phrase_end))
            end_of_name = position
            match = None
            span = None
            if not patterns.FOLLOWED.match(lower, position):
                pass
            elif match := patterns.TYPED.match(text, position):
                span = match.span("value") if self._kind_in_text(text, start, text[start:position]) else None
            elif match := patterns.PARTING.match(lower, position):
                position = match.end("sep")
                span = self._span_after(text, lower, match, start)
            else:
                said = patterns.SAYING.match(lower, position)
                span = self._span_said(text, said, start) if said else None
            if span is None and (match is None or is_inflected(text[start:end_of_name])):
                span = self._span_in_sentence(text, start, end_of_name, done)
            if span is None:
                continue
            begin, end = span
            if text.startswith(MARK, begin):
                position = begin + len(MARK)
                continue
            yield span
            position = max(position, end)
            done = end

    def _stems_in(self, text: str, lower: str, near: list[Span]) -> Iterator[re.Match[str]]:
        """The words of names, but for those in lines of words alone."""
        line_end = 0
        for begin, end in near:
            position = begin
            while stem := self._stems.search(lower, position, end):
                position = stem.end()
                if position > line_end:
                    line_end, is_plain = patterns.line_of_words(text, *stem.span())
                    if is_plain:
                        position = line_end
                        continue
                yield stem

    def _span_in_sentence(self, text: str, start: int, end: int, done: int) -> tuple[int, int] | None:
        """The span of a secret after a name and a few words, or before the name."""
        if patterns.MIXED_WORD.search(text, max(0, start - BEFORE_CHARS), end + BEHIND_CHARS) is None:
            return None
        name = text[start:end]
        kind = self._kind_in_text(text, start, name)
        if kind in NO_SECRET_BY_NAME and not is_inflected(name):
            return None
        span = secret_behind(text, name, end)
        if span is None and (before := secret_before(text, name, start)) and before[0] >= done:
            span = before
        span = span or random_behind(text, end) or secret_answered(text, end)
        return span if span and not text.startswith(MARK, span[0]) else None

    def _span_after(self, text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.start()]
        if match["sep"] == ":" and _is_in_arn(text, start, match.end()):
            return None
        kind = self._kind_in_url(text, start, match) or self._kind_in_text(text, start, name)
        if not kind:
            return None
        span = without_words_behind(text, *_span_of_value(text, lower, match, start, kind))
        value = text[slice(*span)]
        if match["sep"] == ":" and text.endswith("://", 0, start) and "@" in value:
            return None  # a user and a password before a host, of which the password alone goes
        if (
            not match["open"]
            and not value.startswith("(")
            and is_reference(value.rstrip(","))
            and not has_long_run(value)
        ):
            return self._span_of_default(text, span[0]) if kind not in NO_SECRET_BY_NAME else None
        if is_no_value(lower, name, value, match) or (
            name.lower() == "pin" and is_postal(text, start, value)
        ):
            return None
        # A header's value of several words is a scheme and a credential, whatever the scheme is called.
        if " " in value and name.lower().endswith(SCHEMED_HEADERS):
            return None if is_message(value) else span
        judged = value if match["open"] or kind is Kind.SECRET else value.rstrip(".,;:!?")
        # What was redacted in it says nothing of the rest.
        judged = judged.replace(MARK, "").strip()
        return span if judged and self._is_secret(kind, judged) else None

    def _span_of_default(self, text: str, begin: int) -> tuple[int, int] | None:
        """The span of the secret that code takes where another is not set: ``get("TOKEN") or "…"``."""
        default = patterns.CONVERTED.match(text, begin) or patterns.DEFAULT.match(text, begin)
        return default.span("value") if default and is_strong(default["value"]) else None

    def _span_said(self, text: str, match: re.Match[str], start: int) -> tuple[int, int] | None:
        name = text[start : match.start()]
        value = match["value"]
        if MARK in value or value.strip(".,;:!?") in REPORTING or name.lower() in HEADINGS - {"pin"}:
            return None
        is_quoted = match["open"].strip("(") and not name.lower().endswith(_NAMED_IN_QUOTES)
        if text.startswith("(", match.start()) and not is_strong(value):
            return None
        if name.lower() == "pin" and is_postal(text, start, value):
            return None
        if not is_quoted and (
            not any(map(str.isdigit, value))
            or (is_path_or_id(value) and (any(map(str.isalpha, value)) or _DECIMAL.match(value)))
        ):
            return None
        is_secret = self._is_secret(self._kind_in_text(text, start, name), value)
        return without_words_behind(text, *match.span("value")) if is_secret else None

    def _kind_in_url(self, text: str, start: int, match: re.Match[str]) -> Kind:
        """``?key=`` and ``?code=`` are secrets in a URL, when they are long."""
        is_param = match["sep"] == "=" and (start == 0 or text[start - 1] in "?&")
        if is_param and text[start : match.start()].lower() in IN_URL:
            begin, end = value_span(text, text, match, start)
            return Kind.SECRET if end - begin >= (16 if start else 24) else Kind.HARMLESS
        if is_param and start and text[start : match.start()].lower() in IN_URL_IF_RANDOM:
            begin, end = value_span(text, text, match, start)
            return Kind.SECRET if is_key_material(text[begin:end]) else Kind.HARMLESS
        return Kind.HARMLESS

    def _kind_in_text(self, text: str, start: int, name: str) -> Kind:
        """The kind of the name, or of the name with words before it: ``API key``, ``mot de passe``."""
        kind = self._kind(name)
        if kind not in NO_SECRET_BY_NAME or start < 2 or text[start - 1] not in " '’":
            return kind
        begin = start
        for _ in range(words_before(name)):
            if begin < 2 or text[begin - 1] not in " '’":
                break
            first = _name_start(text, begin - 1, max(0, begin - 32))
            if first == begin - 1 or not may_precede(text[first : begin - 1]):
                break
            begin = first
            phrase_kind = self._kind(re.sub("['’]", " ", text[begin:start]) + name)
            if phrase_kind not in NO_SECRET_BY_NAME:
                return phrase_kind
        return kind


def _is_only_words(text: str, suspect_words: str) -> bool:
    """Whether a text in which words tell of a secret is words and nothing else."""
    return patterns.is_prose_alone(text) and tells_of_names_alone(suspect_words)


def _spans_near(text: str, suspect_words: str) -> list[Span]:
    """Where the words stand that may tell of a secret, with what is around them; all of a text with many, or a short
    one."""
    words = set(suspect_words.split())
    if len(words) > FEW_WORDS or len(text) <= 4 * _PHRASE_CHARS:
        return [(0, len(text))]
    spans: list[Span] = []
    for word in words:
        begin = text.find(word)
        while begin >= 0:
            end = begin + len(word)
            spans.append((max(0, begin - _PHRASE_CHARS), end + _PHRASE_CHARS))
            begin = text.find(word, end)
    spans.sort()
    joined_spans: list[Span] = []
    for begin, end in spans:
        if joined_spans and begin <= joined_spans[-1][1]:
            joined_spans[-1] = (joined_spans[-1][0], max(end, joined_spans[-1][1]))
        else:
            joined_spans.append((begin, end))
    return joined_spans


def _letters(text: str) -> list[Edit]:
    """The replacements that turn escaped, look-alike and invisible letters into plain ones."""
    # Nothing else may come of it: a quotation mark would end a value before its end, and a sign of a URL parts it.
    return [
        edit
        for edit in folds(text)
        if (patterns.IN_NAMES.fullmatch(edit.new) or edit.new.isalpha())
        and not (edit.new in (":", "=") and text[edit.begin] == "%")
    ]


def _is_in_arn(text: str, start: int, end: int) -> bool:
    """Whether a name and a colon are part of an Amazon resource name."""
    if text[start - 1 : start] != ":" or text[end - 1 : end].isspace():
        return False
    return "arn:" in text[max(0, start - 120) : start].rsplit(None, 1)[-1]


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


def _span_of_value(text: str, lower: str, match: re.Match[str], start: int, kind: Kind) -> Span:
    """The span of what stands behind a name and a sign, as far as it may belong to the value."""
    if kind in NO_SECRET_BY_NAME:
        return word_span(text, match)
    if mnemonic := patterns.MNEMONIC.match(text, match.end()):
        return mnemonic.span()
    begin, end = value_span(text, lower, match, start)
    if kind is Kind.SECRET and not match["open"] and ":" in match["sep"]:
        end = phrase_end(text, begin, end)
    return begin, end


def _name_start(text: str, start: int, floor: int) -> int:
    floor = max(floor, start - _NAME_CHARS)
    while start > floor and (
        (letter := text[start - 1]).isalnum() or letter in "_-." or "\u0900" <= letter < "\u0f00"
    ):
        start -= 1
    return start


def _name_end(text: str, end: int) -> int:
    match = patterns.NAME_REST.match(text, end)
    return match.end() if match else end

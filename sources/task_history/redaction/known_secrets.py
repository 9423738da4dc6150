"""The secrets that texts are searched for: names, the user's own names, and the run's own secrets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..core.models import Json
from . import patterns
from .clean_texts import CleanTexts
from .judging import is_secret, is_secret_or_doubtful
from .kinds_of_names import Kind, kind_of, squash
from .ordinary_lines import OrdinaryLines
from .own_secrets import OwnSecrets
from .vocabulary import Vocabulary

_NAMES_KEPT = 20_000
_VALUE_CHARS = 64
"""Maximum characters of a name that stands as a value."""


_is_secret_word = lru_cache(20_000)(is_secret)


def _is_secret(kind: Kind, value: Json) -> bool:
    """Whether a value is a secret; short texts, which repeat, are judged once."""
    if type(value) is str and len(value) <= _VALUE_CHARS:
        return _is_secret_word(kind, value)
    return is_secret(kind, value)


class KnownSecrets:
    """The secrets to look for: built-in names, the user's ``extra_names``, and the run's own secrets."""

    def __init__(self, extra_names: Iterable[str], own: OwnSecrets, *, is_strict: bool = False) -> None:
        extra_names = tuple(extra_names)
        self.is_strict = is_strict
        self.is_secret = is_secret_or_doubtful if is_strict else _is_secret
        self._extra = frozenset(filter(None, map(squash, extra_names)))
        self.stems = patterns.Stems(extra_names)
        self.own = own
        self.vocabulary = Vocabulary(self.stems, is_strict=is_strict)
        self.clean_texts = CleanTexts(own)
        """Both are shared by all texts, so that they learn."""
        self._kinds: dict[str, Kind] = {}
        self._may_be_names: dict[str, bool] = {}
        self.ordinary_lines = OrdinaryLines(self.vocabulary, self.kind, self.is_secret)

    def kind(self, name: str) -> Kind:
        """Classifies the name, see ``names.Kind``."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = Kind.OWN if squash(name) in self._extra else kind_of(name)
            if len(self._kinds) >= _NAMES_KEPT:
                self._kinds.clear()
            if len(name) <= 128:
                self._kinds[name] = kind
        return kind

    def may_be_name(self, text: str) -> bool:
        """Quick check whether a text that stands as a value may be the name of a secret."""
        may_be = self._may_be_names.get(text)
        if may_be is None:
            may_be = (len(text) <= _VALUE_CHARS or " " not in text) and (
                not text.isascii()
                or self.stems.search(text.lower()) is not None
                or (bool(self._extra) and squash(text) in self._extra)
            )
            if len(self._may_be_names) >= _NAMES_KEPT:
                self._may_be_names.clear()
            if len(text) <= _VALUE_CHARS:
                self._may_be_names[text] = may_be
        return may_be

    def kind_of_value(self, text: str) -> Kind:
        """Classifies a text that stands as a value and may be a name."""
        return self.kind(text) if self.may_be_name(text) else Kind.HARMLESS

"""The redactor: removes secrets from payloads and texts before anything is written.

``Redactor`` takes them out of parsed JSON, by the names they stand under (``kinds_of_names``) and, in texts, by
their shapes and what stands around them (``text``, ``patterns``), before ``core.cutting`` cuts
the value: what is cut first can no longer be recognised.

``null``, ``true``, ``false`` and what is empty stay under any name, since they hold nothing.

The rules (``json_values`` and all that it needs) are imported when the first value needs them: most scheduled runs never
do, and start a twentieth of a second sooner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..core.models import Json
from ..core.redaction_mark import MARK
from .own_secrets import OwnSecrets

if TYPE_CHECKING:
    from .json_values import JsonRedaction
    from .kinds_of_names import Kind

__all__ = ["MARK", "Redacted", "Redactor"]

_WORD = re.compile(r"[A-Za-z]{0,15}")
"""Empty, or at most 15 ASCII letters: only the run's own secrets can match it."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A redacted value, and the number of secrets that were removed."""

    value: Json
    count: int


class Redactor:
    """Removes secrets from values and texts: by name, by shape, and the literal ``secrets``.

    ``extra_names`` are names of fields, whole, in any case and separation; ``mode`` is "standard", or "strict" to
    redact what is in doubt, too.
    ``count`` is called with the number of secrets that were removed from a value.
    """

    def __init__(
        self,
        extra_names: Iterable[str] = (),
        *,
        secrets: Iterable[str] | OwnSecrets = (),
        mode: str = "standard",
        count: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._own = secrets if isinstance(secrets, OwnSecrets) else OwnSecrets(secrets)
        self._extra_names = tuple(extra_names)
        self._is_strict = mode == "strict"
        self._count = count

    @cached_property
    def _redaction(self) -> JsonRedaction:
        from .json_values import JsonRedaction

        return JsonRedaction(self._extra_names, self._own, is_strict=self._is_strict)

    def payload(self, value: Json) -> Redacted:
        """Redacts a parsed JSON value; returns the same object if it holds no secret."""
        try:
            redacted = Redacted(*self._redaction.redacted(value))
        except RecursionError:
            redacted = Redacted(MARK, 1)
        if redacted.count:
            self._count(redacted.count)
        return redacted

    def text(self, text: str) -> tuple[str, int]:
        """Redacts a text. JSON text stays JSON text."""
        if self.is_word(text):
            return text, 0
        redacted = self.payload(text)
        return redacted.value, redacted.count

    def is_word(self, text: str) -> bool:
        """Whether a text is empty or one short word, and none of the run's own secrets: no rule makes it a secret."""
        return _WORD.fullmatch(text) is not None and not self._own.edits(text)

    def kind(self, name: str) -> Kind:
        """Classifies the name, see ``names.Kind``."""
        return self._redaction.kind(name)

    @property
    def is_sound(self) -> Callable[[str, Json], bool]:
        """The quick check that a field (name, value) holds no secret; False means that it needs the full check.

        A property, so that loops look it up once.
        """
        return self._redaction.is_sound

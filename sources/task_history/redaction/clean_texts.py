"""Short texts in which nothing was found and which are not searched again: states, names and labels repeat."""

from __future__ import annotations

from .own_secrets import OwnSecrets

_TEXTS = 20_000
MAX_CHARS = 64
"""Maximum characters of a text that is remembered."""


class CleanTexts:
    """The texts without a secret, each with the number of texts in it whose words may tell of one.

    They are forgotten when the run has a further secret of its own.
    """

    def __init__(self, own: OwnSecrets) -> None:
        self._own = own
        self._secrets = own.known
        self._suspicions: dict[str, int] = {}

    def suspicions(self, text: str) -> int | None:
        """The number of texts within a clean one whose words may tell of a secret; None for a text not yet known."""
        return self._suspicions.get(text) if self._secrets is self._own.known else None

    def add(self, text: str, suspicions: int) -> None:
        """Remembers a text in which nothing was found."""
        if self._secrets is not self._own.known or len(self._suspicions) >= _TEXTS:
            self._secrets = self._own.known
            self._suspicions.clear()
        self._suspicions[text] = suspicions

"""Folding of text to plain lower-case Latin: resolves escapes and look-alikes, drops invisible characters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .edits import Edit
from .expressions import expression
from .lookalikes import MAY_BE_ALIKE, in_latin, latin

# Letters may be escaped by their number in hexadecimal, octal or decimal, and the escape be escaped again.
ESCAPED = expression(
    r"\\\\{0,15}u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\{1,16}u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\\\{0,15}(?:u\{0{0,4}(?P<braced>[0-9a-fA-F]{2,5})\}|u(?P<four>[0-9a-fA-F]{4})|U000(?P<eight>[0-9a-fA-F]{5})"
    r"|x(?P<two>[0-9a-fA-F]{2})|(?P<octal>[01][0-7]{2}))|%(?:25){0,3}(?P<url>[2-7][0-9A-Fa-f])"
    r"|&(?:amp;){0,3}#(?:[xX]0{0,4}(?P<html>[0-9a-fA-F]{2,5})|0{0,4}(?P<decimal>[0-9]{2,6}));"
)
_BASES = {"decimal": 10, "octal": 8}
NOT_PLAIN = expression(
    "[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2460-\u24ff\ufe00-\ufe0f\ufeff\uff01-\uff5e\U0001d400-\U0001d7ff]"
)
"""Full-width, mathematical and circled letters, and invisible characters."""
_FIRST_OF_NOT_PLAIN = r"ff[0-5f]|fe0|fef|20[0-6]|24|1d[4-7]|d835|00ad|034f"


def lowered(text: str) -> str:
    """The text in lower case, each character at its place."""
    if text.isascii():
        return text.lower()
    # One letter grows in lower case, which would shift every position behind it; one depends on what stands beside it.
    return text.replace("\u0130", "I").replace("\u03a3", "\u03c3").lower()


def unescaped(match: re.Match[str]) -> str:
    """The character of an escape that ``ESCAPED`` matched."""
    code = match[match.lastgroup or 0]
    if match.lastgroup == "pair":
        high, low = int(code[:4], 16), int(code[-4:], 16)
        return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
    number = int(code, _BASES.get(match.lastgroup or "", 16))
    return chr(number) if number < 0x110000 else match[0]


def folded(text: str) -> str:
    """The folded text, in lower case."""
    return lowered(in_latin(ESCAPED.sub(unescaped, text)))


def folds(text: str) -> list[Edit]:
    """The replacements that fold the text, without the conversion to lower case."""
    edits = [Edit(*match.span(), latin(unescaped(match))) for match in ESCAPED.finditer(text)]
    if not text.isascii():
        edits += (Edit(*match.span(), latin(match[0])) for match in MAY_BE_ALIKE.finditer(text))
        edits.sort()
    return edits


def escapes_of(secrets: Iterable[str]) -> re.Pattern[str]:
    """A pattern, also for Arrow, that matches texts in which letters of the secrets may be escaped, and few others."""
    letters = {letter for secret in secrets for one in secret for letter in (one, one.lower(), one.upper())}
    numbers = sorted(ord(letter) for letter in letters if len(letter) == 1 and letter.isascii())
    hexadecimal = "|".join(f"{number:02x}" for number in numbers)
    octal = "|".join(f"{number:03o}" for number in numbers)
    decimal = "|".join(map(str, numbers))
    # It begins with one set of signs, which is searched faster than one of several patterns.
    return expression(
        rf"[\\%&;](?i:[ux][{{0]*(?:{hexadecimal}|{_FIRST_OF_NOT_PLAIN})|(?:{octal})|(?:25)*(?:{hexadecimal})"
        rf"|#(?:x0*(?:{hexadecimal}|{_FIRST_OF_NOT_PLAIN})|0*(?:{decimal}|[1-9][0-9]{{2,5}});))"
    )

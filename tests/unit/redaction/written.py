"""Corpora of written lines: secrets in the forms in which they occur, and ordinary objects and texts.

Each corpus was measured before any rule was mended for it. ``«kind»`` in a line is a secret of that kind, made up
when the line is read; ``‹kind›`` is made up, too, and none. ``@encoding`` encodes what follows.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

FOLDER = Path(__file__).with_name("corpora")
_WORDS = [
    "marigold",
    "thunder",
    "velvet",
    "copper",
    "harvest",
    "lantern",
    "meadow",
    "orbit",
    "pepper",
    "quartz",
    "raven",
    "saddle",
    "timber",
    "umbrella",
    "violet",
    "walnut",
    "yonder",
    "zephyr",
    "badger",
    "cactus",
    "dolphin",
    "ember",
    "falcon",
    "ginger",
    "hazel",
    "island",
    "jungle",
    "kettle",
    "lemon",
    "mango",
]
_LETTERS = string.ascii_letters + string.digits
_ALPHABETS = {
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "low": string.ascii_lowercase + string.digits,
    "up": string.ascii_uppercase + string.digits,
    "pin": "3456789",
    "b32": string.ascii_uppercase + "234567",
    "b32l": "023456789ACDEFGHJKLMNPQRSTUVWXYZ",
    "b58": "".join(letter for letter in _LETTERS if letter not in "0OIl"),
}
_SECRET, _FILLER = re.compile("«(\\w+)»"), re.compile("‹(\\w+)›")
_KIND = re.compile(r"([A-Za-z0-9]+?)_?([0-9]+)")
_ENCODED = re.compile(r"(?P<before>.*?)@(?P<encoding>[a-z0-9A-Z]+) (?P<inner>.*)", re.DOTALL)
_IN_STRING = re.compile(r'(?P<inner>(?:[^"\\]|\\.)*)(?P<after>".*)', re.DOTALL)
_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "b64": lambda data: base64.b64encode(data).decode(),
    "b64u": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "b64b64": lambda data: base64.b64encode(base64.b64encode(data)).decode(),
    "b32": lambda data: base64.b32encode(data).decode(),
    "hex": bytes.hex,
    "gz64": lambda data: base64.b64encode(gzip.compress(data, mtime=0)).decode(),
    "gzhex": lambda data: gzip.compress(data, mtime=0).hex(),
    "zlib64": lambda data: base64.b64encode(zlib.compress(data)).decode(),
    "url": lambda data: quote(data, safe=""),
    "url2": lambda data: quote(quote(data, safe=""), safe=""),
    "utf16b64": lambda data: base64.b64encode(data.decode().encode("utf-16-le")).decode(),
    "qp": bytes.decode,
    "bytes": lambda data: json.dumps(list(data)),
}


@dataclass(frozen=True)
class Line:
    """A line of a corpus: its text, the value that is sent, and the parts of secrets that may not be left of it."""

    text: str
    value: Any
    parts: tuple[str, ...]
    is_encoded: bool

    def is_left_in(self, new: str) -> bool:
        """Whether a secret is left; what is encoded whole does not show it before, either."""
        old = self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)
        if self.is_encoded:
            return new == old
        return any(
            part in new or (len(part) >= 16 and (part[:8] in new or part[-8:] in new)) for part in self.parts
        )


def lines(name: str) -> Iterator[Line]:
    """The lines of a corpus, with the same secrets each time."""
    choices = random.Random(name)
    for text in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if text and not re.fullmatch(r"\[[a-z ]+\]", text):
            yield _line(text, choices)


def _line(text: str, choices: random.Random) -> Line:
    parts: list[str] = []
    encoded = _ENCODED.fullmatch(text)
    if encoded is None or encoded["encoding"] not in _ENCODINGS:
        return Line(text, _parsed(_filled(text, choices, parts)), tuple(parts), is_encoded=False)
    before, inner, after = encoded["before"], encoded["inner"], ""
    is_json = before.startswith("{")
    if is_json and encoded["encoding"] == "bytes":
        inner, after = inner[:-1], "}"
    elif is_json and (in_string := _IN_STRING.fullmatch(inner)):
        inner, after = json.loads(f'"{in_string["inner"]}"'), in_string["after"]
    else:
        inner = _unescaped(inner)
    new = _ENCODINGS[encoded["encoding"]](_filled(inner, choices, parts).encode())
    value = _parsed(f"{_filled(before, choices, [])}{new}{after}")
    return Line(text, value, tuple(parts), is_encoded=encoded["encoding"] != "qp")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text[0] in "[{" else _unescaped(text)
    except ValueError:
        return _unescaped(text)


def _unescaped(text: str) -> str:
    return text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t")


def _filled(text: str, choices: random.Random, parts: list[str]) -> str:
    def secret(match: re.Match[str]) -> str:
        new = _made(match[1], choices)
        if match[1] in ("phrase", "seed12"):
            parts.extend(new.split())
        else:
            # A long key may lose its lines one by one.
            parts.append(new[20:60] if match[1] in ("b64_48", "b64_100", "b64_200") else new)
        return new

    return _FILLER.sub(lambda match: _made(match[1], choices), _SECRET.sub(secret, text))


def _made(kind: str, choices: random.Random) -> str:
    if kind in _MAKERS:
        return _MAKERS[kind](choices)
    match = _KIND.fullmatch(kind)
    assert match is not None, kind
    name, size = match[1], int(match[2])
    data = choices.randbytes(size)
    if name == "b64":
        return base64.b64encode(data).decode()
    if name == "b64u":
        return base64.urlsafe_b64encode(data).decode().rstrip("=").strip("-_")
    if name == "b64url":
        return quote(base64.b64encode(data).decode(), safe="")
    if name == "dig":
        return choices.choice("123456789") + _letters(choices, string.digits, size - 1)
    if name == "aln":
        return _letters(choices, _LETTERS, size - 1) + choices.choice(string.digits)
    return _letters(choices, _ALPHABETS[name], size)


def _letters(choices: random.Random, alphabet: str, size: int) -> str:
    return "".join(choices.choice(alphabet) for _ in range(size))


def _words(choices: random.Random, count: int) -> str:
    return " ".join(choices.sample(_WORDS, count))


def _password(choices: random.Random) -> str:
    word = _words(choices, 1).capitalize()
    return choices.choice(
        [
            f"{word}!{choices.randrange(1000, 9999)}",
            f"{word}-{_words(choices, 1)}{choices.randrange(10, 99)}",
            f"{_letters(choices, _LETTERS, 5)}{choices.choice('!@#*_-.')}{_letters(choices, _LETTERS, 6)}7",
            f"{choices.choice('abcdefgh')}{choices.randrange(10, 99)}#{word}_x",
        ]
    )


def _plain_password(choices: random.Random) -> str:
    word = _words(choices, 1).capitalize()
    return choices.choice(
        [f"{word}{choices.randrange(1000, 9999)}", f"{_letters(choices, _LETTERS, 10)}7", f"{word}umbra82"]
    )


def _card(choices: random.Random) -> str:
    digits = [4, *(choices.randrange(10) for _ in range(14))]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[::2]]
    return "".join(map(str, digits)) + str(-(sum(doubled) + sum(digits[1::2])) % 10)


def _jwt(choices: random.Random) -> str:
    head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": _letters(choices, string.digits, 9)})
    pieces = [json.dumps(head).encode(), json.dumps(body).encode(), choices.randbytes(32)]
    return ".".join(base64.urlsafe_b64encode(piece).decode().rstrip("=") for piece in pieces)


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "pw": _password,
    "pwa": _plain_password,
    "word": lambda choices: _words(choices, 1),
    "phrase": lambda choices: _words(choices, 4),
    "seed12": lambda choices: _words(choices, 12),
    "otp": lambda choices: _letters(choices, "123456789", 6),
    "cvv": lambda choices: _letters(choices, "56789", 3),
    "card": _card,
    "ssn": lambda choices: (
        f"{choices.randrange(200, 665)}-{choices.randrange(10, 99)}-{choices.randrange(1000, 9999)}"
    ),
    "uuid": lambda choices: str(UUID(int=choices.getrandbits(128), version=4)),
    "recovery": lambda choices: "-".join(_letters(choices, _ALPHABETS["low"], 5) for _ in range(2)),
    "lickey": lambda choices: "-".join(_letters(choices, _ALPHABETS["up"], 5) for _ in range(5)),
    "wg": lambda choices: base64.b64encode(choices.randbytes(32)).decode(),
    "jwt": _jwt,
    "basic": lambda choices: base64.b64encode(f"bob:{_plain_password(choices)}".encode()).decode(),
    "saslplain": lambda choices: base64.b64encode(f"\0bob\0{_plain_password(choices)}".encode()).decode(),
}

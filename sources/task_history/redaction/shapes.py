"""Secrets that are known by their shape: tokens of vendors, private keys, addresses of webhooks, commands."""

from __future__ import annotations

from collections.abc import Iterator

from . import patterns
from .data_files import rules
from .edits import Span
from .expressions import expression

MIN_CHARS = 12
"""Minimum characters of a word that may be a token; shorter ones are not looked at."""
_BASE64_CHARS = 100
"""Characters before a token by which it stands within a text in base64."""
_BASE64 = expression(rf"[A-Za-z0-9+/]{{{_BASE64_CHARS}}}")
_AWS_KEY_ID_BEGINS = [
    shape["begin"]
    for vendor in rules("shapes")["vendor"]
    if vendor["name"] == "AWS"
    for shape in vendor["shapes"]
]
_AWS_KEY_ID = expression(rf"(?<![A-Za-z0-9])(?:{'|'.join(_AWS_KEY_ID_BEGINS)})[A-Z0-9]{{16}}")
_AWS_SECRET_KEY = expression(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_ANSWERS = frozenset({"ok", "failed", "done", "succeeded", "denied"})
"""What a log says behind a command that it names."""
_COMMAND_CHARS = 400
"""Maximum characters between a command and the flag before its secret."""


def may_hold_tokens(text: str) -> bool:
    """Quick check whether one of the long words of a text may be a token of a vendor."""
    if text.isalnum():
        return patterns.SHAPES.search(text) is not None
    words = " ".join([word for word in text.split() if len(word) >= MIN_CHARS])
    return bool(words) and patterns.SHAPES.search(words) is not None


def tokens(text: str) -> Iterator[Span]:
    """Spans of tokens of vendors."""
    for match in patterns.SHAPES.finditer(text):
        is_name = match[0].startswith(patterns.NEEDS_DIGIT) and not any(map(str.isdigit, match[0]))
        is_number = match[0].startswith(patterns.NEEDS_LETTER) and not any(map(str.isalpha, match[0]))
        if not is_name and not is_number and not _is_within_base64(text, match.start()):
            yield match.span()


def _is_within_base64(text: str, start: int) -> bool:
    """Whether what begins there is part of a long text in base64, in which any letters stand by chance."""
    return (
        text[start - 1 : start] in ("+", "/")
        and _BASE64.fullmatch(text, max(0, start - _BASE64_CHARS), start) is not None
    )


def tokens_from_within(text: str) -> Iterator[Span]:
    """Spans of tokens that are known by what stands within them."""
    for sign, shape, reach in patterns.WITHIN:
        if sign not in text:
            continue
        done = 0
        for match in shape.finditer(text):
            start = match.start()
            floor = max(done, start - reach)
            while start > floor and (text[start - 1].isalnum() or text[start - 1] in "_~"):
                start -= 1
            done = match.end()
            yield start, done


def holds_aws_key_id(text: str) -> bool:
    """Whether a text holds the id of a key of AWS, beside which its secret may stand."""
    return any(begin in text for begin in _AWS_KEY_ID_BEGINS) and _AWS_KEY_ID.search(text) is not None


def aws_secret_keys(text: str) -> Iterator[Span]:
    """Spans of what may be secret keys of AWS, which no sign tells from other texts of their length."""
    return (match.span() for match in _AWS_SECRET_KEY.finditer(text))


def jwts(text: str) -> Iterator[Span]:
    """Spans of JSON web tokens."""
    for match in patterns.JWT_RUN.finditer(text):
        parts = match[0].split(".")
        if len(parts) >= 3 and len(parts[0]) >= 8 and len(parts[1]) >= 4:
            yield match.span()


def private_keys(text: str) -> Iterator[Span]:
    """Spans of private keys in the formats of PEM, SSH2 and PuTTY."""
    position = 0
    while begin := patterns.PEM_BEGIN.search(text, position):
        end = patterns.PEM_END.search(text, begin.end())
        position = end.end() if end else len(text)
        yield begin.start(), position


def putty_keys(text: str) -> Iterator[Span]:
    """Spans of the private lines of PuTTY's key files."""
    for match in patterns.PUTTY.finditer(text):
        yield match.start("value"), match.start("value") + len(match["value"].rstrip())


def after_commands(text: str) -> Iterator[Span]:
    """Spans of secrets after flags of commands whose names do not say so, such as ``sshpass -p``."""
    done = 0
    for command in patterns.COMMAND.finditer(text):
        if command.start() < done:
            continue
        limit = min(len(text), command.end() + _COMMAND_CHARS)
        end = patterns.COMMAND_END.search(text, command.end(), limit)
        stop = end.start() if end else limit
        pattern = patterns.ARGUMENTS_OF_COMMANDS[command["command"]]
        is_flag = "flag" in patterns.COMMANDS[command["command"]]
        flag = (pattern.search if is_flag else pattern.match)(text, command.end(), stop)
        # A port is none.
        is_port = flag is not None and flag["value"].isdigit() and len(flag["value"]) <= 5
        if flag is None or is_port or flag["value"].lower() in _ANSWERS:
            continue
        if not flag["value"].startswith("-"):
            yield flag.span("value")
            done = flag.end()

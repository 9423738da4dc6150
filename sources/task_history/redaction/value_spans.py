"""The span of a value after a name in text: quoted, one word, a header's line, or lines of YAML."""

from __future__ import annotations

import re

from .expressions import expression
from .judging import REPORTING
from .kinds_of_names import COOKIE_HEADERS, SCHEMED_HEADERS

_PLAIN_VALUE = expression(r"[^\s&;\"'<>`（），。；]+")
_ENCODED_VALUE = expression(r"(?:(?!%22|%26|%2[cC]|%7[dD])[^\s&\"'<>`])+")
_WORD = expression(r"[^\s&;\"'<>`=:%,{}\[\]]+")
_LINE = {"": expression(r"[^\r\n]+")} | {
    mark: expression(rf"(?:\\[^\r\n]|[^\r\n\\{mark}])+") for mark in "\"'`"
}
_SCHEME = expression(
    r"(?i)[\[({]{0,2}(?:bearer|basic|token|api-?key|bot|negotiate|ntlm|jwt|oauth|digest)(?:[ \t]+|[ \t]*[:=][ \t]*)(?=\S)"
)
_ANY_SCHEME = expression(r"[\[({]{0,2}[A-Za-z][A-Za-z0-9-]{0,19}[ \t]+(?=\S)")
_CREDENTIAL = expression(r"\\{0,8}(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\s&;\"'<>`]+)")
_PARAMETERS = expression(r"[\w-]{1,32}=\\{0,8}[\"']")
_COOKIES = expression(r"[^\s&;\"'<>`]*(?:;[ \t]*[^\s&;\"'<>`]+)*")
_BLOCK = expression(r"[|>][-+0-9]{0,2}[ \t]*(?:#[^\r\n]*)?\r?\n")
_ESCAPED_BLOCK = expression(r"[|>][-+0-9]{0,2}(?:\\{1,16}r)?\\{1,16}n[^\"'\r\n]*")
_MORE_WORDS = expression(r"(?:[ \t]{1,4}+[^\s,;|<>\"'={}\[\]()&:]++(?![ \t]*[=:]))++")
_PHRASE_WORDS = 30
_TUPLE = expression(
    r"\((?:\"[^\"\r\n]{0,200}+\"|'[^'\r\n]{0,200}+')(?:,\s{0,9}(?:\"[^\"\r\n]{0,200}+\"|'[^'\r\n]{0,200}+')){1,9}\)"
)
_COMMAND = expression(r"\$\([^()\r\n]{1,400}\)")
_OPENERS = {"}": "{", "]": "[", ")": "("}
_MAX_CLOSERS = 32
_OPENED_CHARS = 1_000
"""How far before a name a bracket is looked for that a value may close."""
_STRUCTURE = expression(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


_CODE = expression(
    r"[0-9]{2,8}(?:-[0-9]{2,4}){0,3}(?=[.,;:!?]{1,3}\Z|[\u0e00-\u0e7f\u3040-\u9fff\uac00-\ud7af])"
)
"""A code of digits before the end of a sentence, or before a word that nothing parts from it."""


def without_words_behind(text: str, begin: int, end: int) -> tuple[int, int]:
    """The span of a code of digits without what stands behind it in a sentence; the same span for other values."""
    code = _CODE.match(text[begin:end])
    return begin, begin + code.end() if code else end


def word_span(text: str, match: re.Match[str]) -> tuple[int, int]:
    """The span of a value that is a secret only if it looks random; it contains no further name and value."""
    begin = match.end()
    if match["open"]:
        return begin, closing(text, match["open"], begin)
    matched = _WORD.match(text, begin)
    return begin, matched.end() if matched else begin


def value_span(text: str, lower: str, match: re.Match[str], start: int) -> tuple[int, int]:
    """The span of the value after a name."""
    begin = match.end()
    if match["open"]:
        return begin, closing(text, match["open"], begin)
    if match["quote"] and text[begin : begin + 1] in ("{", "["):
        return begin, _structure_end(text, begin)
    if text.startswith("$(", begin) and (command := _COMMAND.match(text, begin)):
        return begin, command.end()
    name = lower[start : match.start()]
    if match["sep"][0] == ":" and (end := _indented_end(text, match, start)) > begin:
        return begin, end
    matched = (_ENCODED_VALUE if match["sep"][0] == "%" else _PLAIN_VALUE).match(text, begin)
    end = matched.end() if matched else begin
    if matched and match["sep"][0] != "%":
        if tuple_ := _TUPLE.match(text, begin):
            return begin, tuple_.end()
        if text[end - 1] == "(" and text[end : end + 1] in ("'", '"'):
            return begin, closing(text, text[end], end + 1)
        end = _header_end(text, name, match, start, end)
    return begin, _without_closers(text, begin, end, start)


def _without_closers(text: str, begin: int, end: int, start: int) -> int:
    """The end without the comma and the brackets behind a value that close what was opened before its name."""
    closers = 0
    while (end > begin and text[end - 1] in ",\\") or (
        closers < _MAX_CLOSERS and end > begin and _closes(text, begin, end, start)
    ):
        closers += text[end - 1] not in ",\\"
        end -= 1
    return end


def _closes(text: str, begin: int, end: int, start: int) -> bool:
    opener = _OPENERS.get(text[end - 1])
    if opener is None or text.count(opener, begin, end) >= text.count(text[end - 1], begin, end):
        return False
    return text.rfind(opener, max(0, start - _OPENED_CHARS), start) >= 0


def phrase_end(text: str, begin: int, end: int) -> int:
    """The end of a secret of several words that begins at ``begin``; ``end`` is the end of the first."""
    if not text[begin:end].isalpha():
        return end
    more = _MORE_WORDS.match(text, end)
    if more is None or len(words := more[0].split()) > _PHRASE_WORDS:
        return end
    return end if any(word.strip(".,;:!?").lower() in REPORTING for word in words) else more.end()


def _header_end(text: str, name: str, match: re.Match[str], start: int, end: int) -> int:
    """The end of a header's value of several words; ``end`` is the end of its first word."""
    begin = match.end()
    is_header = name.endswith(SCHEMED_HEADERS)
    around = text[start - 1] if start and text[start - 1] in "\"'`" else ""
    if name.endswith(COOKIE_HEADERS):
        if match["sep"] == ":":
            return _line_end(text, begin, around)
        cookies = _COOKIES.match(text, begin)
        return cookies.end() if cookies else end
    scheme = _SCHEME.match(text, begin)
    if is_header:
        after = scheme.end() if scheme else begin
        if (match["sep"] == ":" and not scheme) or _PARAMETERS.match(text, after):
            return _line_end(text, begin, around)
    is_scheme = scheme is not None
    scheme = scheme or (_ANY_SCHEME.match(text, begin) if is_header else None)
    if scheme is None or (around and text.startswith(around, scheme.end())):
        return end
    word = _CREDENTIAL.match(text, scheme.end())
    if word is None:
        return end
    if word[0].strip(".,;:!?").lower() in REPORTING:
        return begin if is_scheme else end
    return max(end, word.end())


def _line_end(text: str, begin: int, around: str) -> int:
    """The end of the line, or of the quotation in it that ``around`` opened."""
    matched = _LINE[around].match(text, begin)
    return matched.end() if matched else begin


def _indented_end(text: str, match: re.Match[str], start: int) -> int:
    """The end of a YAML block value: the lines that are indented deeper than the name's line."""
    begin = match.end()
    if escaped := _ESCAPED_BLOCK.match(text, begin):
        return escaped.end()
    is_next_line = "\n" in text[match.end("sep") : begin]
    block = _BLOCK.match(text, begin)
    if not block and not is_next_line:
        return begin
    line = text[max(text.rfind("\n", 0, start) + 1, start - 200) : start]
    indent = len(line) - len(line.lstrip(" \t"))
    position = block.end() if block else text.rfind("\n", match.end("sep"), begin) + 1
    end = begin
    while position < len(text):
        stop = text.find("\n", position)
        stop = len(text) if stop < 0 else stop
        line = text[position:stop].rstrip()
        if line and len(line) - len(line.lstrip(" \t")) <= indent:
            break
        end = position + len(line) if line else end
        position = stop + 1
    return end


def closing(text: str, mark: str, begin: int) -> int:
    """The end of the quotation that ``mark`` opened; the end of the text when it is cut off."""
    if mark in ('""', '"""', "'''"):
        end = text.find(mark, begin)
        return end if end >= 0 else len(text)
    sign = mark[-1] if mark[-1] in "\"'`" else mark
    escapes = len(mark) - len(sign)
    position = text.find(sign, begin)
    while position >= 0:
        slashes = position
        while slashes > begin and text[slashes - 1] == "\\":
            slashes -= 1
        if (position - slashes <= escapes and (position - slashes) % 2 == escapes % 2) or len(sign) > 1:
            return position - escapes if position - slashes == escapes else slashes
        if escapes == 0 and (position - slashes) % 2 == 0:
            return position
        position = text.find(sign, position + 1)
    return len(text)


def _structure_end(text: str, begin: int) -> int:
    depth = 0
    for match in _STRUCTURE.finditer(text, begin):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)

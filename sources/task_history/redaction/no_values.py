"""Texts behind the name of a secret and a colon that are no secret: a report, an instruction, a postal code."""

from __future__ import annotations

import re

from ..core.redaction_mark import MARK
from . import patterns
from .data_files import rules, word_set
from .expressions import expression
from .judging import REPORTING, is_no_name, is_secret
from .kinds_of_names import HEADINGS, Kind
from .randomness import is_random
from .sentences import is_strong

_INSTRUCTIONS = word_set(rules("no_secrets")["instructions"])
"""Words that begin what to do, or where to look, in place of a secret."""
_ADDRESS_CHARS = 160
"""Characters before a postal code in which its address stands."""
_PLACE_CHARS = 60
"""Characters behind a postal code in which its place may stand."""
_CODE_CHARS = 3
_COUNTED = expression(r"[ ][a-z]{2,}(?![\w:=])")
_IN_BRACKETS = expression(r"\([a-z]{2,20}(?: [a-z]{2,20}){1,5}\)")
"""What a tool says in place of a secret: ``(sensitive value)``."""
_YAML_TAG = expression(r"![A-Za-z][\w/:]{1,30}")
_MEASURED = expression(r"[-+]?[0-9.]{1,20}\|(?:c|g|ms|h|s|d|m)(?:\|\S*)?")
"""The value of a metric: https://github.com/statsd/statsd/blob/master/docs/metric_types.md"""
_ENUMERATION = expression(r"[a-z_]{2,20}(?::[a-z_]{2,20}){1,4}")
_PHRASE_WORDS = 8
"""Maximum words behind a name that are a report where the first of them begins one."""


def _is_assigned(lower: str, match: re.Match[str], value: str) -> bool:
    """Whether ``==`` gives a value: ``password==x`` does; ``token == other`` compares, unless a secret follows."""
    begin, end = match.span("sep")
    if match["open"]:
        return lower[match.end() : match.end() + 1] not in ("", " ", ",", ":", ";", "}", "]", ")", "\n", "\r")
    is_glued = not (lower[begin - 1].isspace() or lower[end : end + 1].isspace())
    return is_glued or is_random(value)


def is_no_value(lower: str, name: str, value: str, match: re.Match[str]) -> bool:
    """Whether what stands behind a name and a sign is none of its value, but compared, another name, or a report."""
    if not any(map(str.isalnum, value)):
        return True
    if match["sep"].startswith("==") and not _is_assigned(lower, match, value):
        return True
    if match["open"]:
        return False
    if _is_instruction(value, match) or _is_tag(value, match) or _MEASURED.fullmatch(value):
        return True
    if name in ("PWD", "OLDPWD") and value.startswith("/"):
        return True
    if value == "await" or value.rstrip(";,)").lower() == name.rpartition(".")[2].lower():
        return True
    if match["sep"] in patterns.ALSO_BETWEEN_NAMES and not is_no_name(value):
        return True
    return value.split()[1:] == [MARK] or _is_report(name, value, match)


def is_postal(text: str, start: int, value: str) -> bool:
    """Whether six digits behind an address are its postal code."""
    if is_secret(Kind.UNLESS_POSTAL, value.rstrip(".,;")):
        return False
    end = text.find(value, start) + len(value)
    around = f"{text[max(0, start - _ADDRESS_CHARS) : start]} {text[end : end + _PLACE_CHARS]}"
    return patterns.ADDRESS.search(around) is not None


def is_message(value: str) -> bool:
    """Whether the words behind the name of a header say what is asked of it: ``Authorization: required for all``."""
    words = [word.strip(".,;:!?()") for word in value.split()]
    return words[0].lower() in REPORTING and not any(map(is_strong, words))


def _is_instruction(value: str, match: re.Match[str]) -> bool:
    """Whether the words behind a sign say what to do or where to look: ``password = change me before use``."""
    if value.startswith("(") and _IN_BRACKETS.match(match.string, match.end()):
        return True
    word = value.split(None, 1)[0]
    if word.isdigit() and len(word) < _CODE_CHARS:
        return _COUNTED.match(match.string, match.end() + len(word)) is not None
    behind = match.string[match.end() + len(word) :][:2]
    return word.lstrip("([") in _INSTRUCTIONS and behind[:1] == " " and behind[1:].isalnum()


def _is_tag(value: str, match: re.Match[str]) -> bool:
    """Whether a value is the tag of one in YAML, or a word of a list that colons part: ``token:software:totp``."""
    text = match.string
    if _YAML_TAG.fullmatch(value):
        return text.startswith(" ", match.end() + len(value))
    return match[0] == ":" and ":" in value and _ENUMERATION.fullmatch(value) is not None


def _is_report(name: str, value: str, match: re.Match[str]) -> bool:
    is_on_next_line = "\n" in match.string[match.end("sep") : match.end()]
    is_phrase = "\n" not in value and 1 < len(value.split()) <= _PHRASE_WORDS
    if is_on_next_line and value.endswith(":"):
        return True  # a field of an object in YAML
    word = (
        (value.split(None, 1)[0] if is_on_next_line or is_phrase else value).strip(".,;:!?()[]{}<>").lower()
    )
    if word in ("null", "none", "nil", "true", "false", "undefined", ""):
        return True
    # The number of a field in a protocol buffer: string password = 2;
    if match[0].endswith("= ") and match.string.startswith(";", match.end() + len(value)) and len(value) < 3:
        return True
    if ":" not in match["sep"] or match["quote"]:
        return False
    return word in REPORTING or (name.lower() in HEADINGS and word.isalpha())

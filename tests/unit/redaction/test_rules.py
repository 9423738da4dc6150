"""Promises of the data files: each line takes a secret out and leaves an ordinary value."""

from __future__ import annotations

import importlib
import json
import random
import re
import string
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

from task_history.redaction import kinds_of_names, patterns, two_word_names
from task_history.redaction.data_files import FOLDER, rules
from task_history.redaction.redactor import MARK, Redactor
from tests.support.data_lines import for_each

# What parses regular expressions has no public name.
regex: Any = importlib.import_module("re._constants")
regex_parser: Any = importlib.import_module("re._parser")
REDACTOR = Redactor()
SECRET = "hV8k2Qz9" + "TrW4mN1x"
NAMES = rules("secret_names_english")
SECTIONS = (
    "always",
    "unless_ordinary",
    "unless_words",
    "unless_words_or_numbers",
    "unless_number",
    "unless_postal",
    "if_random",
)


def redacted(value: Any) -> Any:
    return REDACTOR.payload(value).value


def spellings(name: str) -> list[str]:
    words = re.split(r"[ _]", name)
    upper = ["-".join(words).upper()] if name.isascii() else []
    return ["_".join(words), words[0] + "".join(map(str.capitalize, words[1:])), *upper]


def assert_goes_and_stays(fields: list[str], ordinary: dict[str, Any]) -> None:
    for field in fields:
        assert {field: MARK} == redacted({field: SECRET})
        element = f"<{field}>{SECRET}</{field}>" if field[0].isalpha() else ""
        for text in (f"{field}={SECRET}&a=1", f'"{field}": "{SECRET}", "cut', element):
            assert SECRET not in redacted(text), text
        assert {"name": field, "value": MARK} == redacted({"name": field, "value": SECRET})
    assert ordinary == redacted(ordinary)


def text_of(pattern: str) -> str:
    """A text that the regular expression matches, of the least length and the same each time."""
    return "".join(_letters(regex_parser.parse(pattern), random.Random(pattern)))


def _letters(parsed: Any, choices: random.Random) -> Iterator[str]:
    for kind, value in parsed:
        if kind is regex.LITERAL:
            yield chr(value)
        elif kind is regex.IN:
            yield choices.choice("".join(_alphabet(value)))
        elif kind in (regex.MAX_REPEAT, regex.POSSESSIVE_REPEAT):
            least, _, inner = value
            for _ in range(least):
                yield from _letters(inner, choices)
        elif kind is regex.SUBPATTERN:
            yield from _letters(value[-1], choices)
        elif kind is regex.BRANCH:
            yield from _letters(value[1][0], choices)


def _alphabet(parsed: Any) -> Iterator[str]:
    for kind, value in parsed:
        if kind is regex.LITERAL:
            yield chr(value)
        elif kind is regex.RANGE:
            yield "".join(map(chr, range(value[0], value[1] + 1)))
        else:
            yield string.digits if value is regex.CATEGORY_DIGIT else string.ascii_letters + string.digits


LINES = {
    f"{section}: {name}": (name, NAMES[section][name]) for section in SECTIONS for name in NAMES[section]
}
FOREIGN = {
    f"{language}: {name}": (name, ordinary)
    for language, lines in rules("secret_names_other_languages").items()
    for name, ordinary in lines.items()
}


@for_each(("name", "ordinary"), {**LINES, **FOREIGN}.values(), ids=[*LINES, *FOREIGN])
def test_name_of_a_secret(name: str, ordinary: dict[str, Any]) -> None:
    """A secret under the name goes in structures and texts; the ordinary value under a name that is alike stays."""
    assert_goes_and_stays(spellings(name), ordinary)


COMPOUNDS = rules("secret_names_other_languages_two_words")


@for_each("line", COMPOUNDS.values(), ids=COMPOUNDS)
def test_name_that_two_words_make(line: dict[str, Any]) -> None:
    """A secret under each name that the line makes goes, and in a sentence, too; names that are alike stay."""
    for name, _ in two_word_names.forms(line):
        for field in (name, name.replace(" ", "_"), name.title().replace(" ", "")):
            assert {field: MARK} == redacted({field: SECRET}), field
        assert redacted(f"{name}: 482913") == f"{name}: {MARK}"
    assert line["stays"] == redacted(line["stays"])


@for_each("last_word", ["key", "code"])
def test_kind_of_key_or_code(last_word: str) -> None:
    """A key or code of each of these kinds is a secret; another field with the word stays."""
    for kind, ordinary in NAMES[f"kinds_of_{last_word}"].items():
        assert_goes_and_stays(spellings(f"{kind} {last_word}"), ordinary)


@for_each("name", [*NAMES["if_jumbled"], "openweather key", "signer key", "unseal key"])
def test_key_that_looks_random(name: str) -> None:
    """Under such a name only a long random value goes; words and numbers stay."""
    for field in spellings(name):
        assert {field: MARK} == redacted({field: SECRET * 2})
        assert {field: MARK} == redacted({field: "9f86d081884c7d659a2feaa0c55ad015"})
        assert {field: "orders-2026-01"} == redacted({field: "orders-2026-01"})
        assert f"{field}: {MARK}\n" == redacted(f"{field}: {SECRET * 2}\n")
    for ordinary in NAMES["if_jumbled"].values():
        assert ordinary == redacted(ordinary)


@for_each("word", NAMES["keys_of_ids"]["words"].split())
def test_key_that_is_an_id(word: str) -> None:
    """A key of such a thing stays, however random it looks; a password of it goes."""
    assert {f"{word}_key": SECRET * 2} == redacted({f"{word}_key": SECRET * 2})
    assert {f"{word}_password": MARK} == redacted({f"{word}_password": SECRET})


@for_each("question", rules("no_secrets")["security_questions"])
def test_question_that_recognises_a_person(question: str) -> None:
    """The answer to such a question goes; a remark that holds its words leaves what stands beside it."""
    asked = {"question": f"What is your {question}?", "answer": SECRET}
    assert {**asked, "answer": MARK} == redacted(asked)
    remark = {"question": f"notes on {question}", "answer": SECRET}
    assert remark == redacted(remark)


@for_each("word", rules("no_secrets")["no_passphrase"].split())
def test_word_that_no_passphrase_holds(word: str) -> None:
    """A sentence with such a word stays; without it, it is a passphrase."""
    assert redacted("The passphrase is marble shovel silent horse") == f"The passphrase is {MARK}"
    text = f"The passphrase is marble {word} silent horse"
    assert text == redacted(text)


@for_each("word", NAMES["alone"]["words"].split())
def test_name_of_a_secret_alone(word: str) -> None:
    """Any value under the name goes; with another word behind it, it stays."""
    assert {word: MARK} == redacted({word: SECRET})
    assert {f"{word} abc": SECRET} == redacted({f"{word} abc": SECRET})


@for_each(("name", "ordinary"), NAMES["ordinary"].items(), ids=NAMES["ordinary"])
def test_name_that_is_none(name: str, ordinary: dict[str, Any]) -> None:
    """What stands under such a name stays; a password of the same thing goes."""
    assert ordinary == redacted(ordinary)
    for field in spellings(name):
        assert {field: SECRET} == redacted({field: SECRET})
        assert {f"{field}_password": MARK} == redacted({f"{field}_password": SECRET})


@for_each("word", sorted(kinds_of_names.ABOUT))
def test_ending_that_tells_about_a_secret(word: str) -> None:
    """A field that tells about a password keeps its value; a password of such a thing goes."""
    assert {f"password_{word}": SECRET} == redacted({f"password_{word}": SECRET})
    assert {f"{word}_password": MARK} == redacted({f"{word}_password": SECRET})


@for_each("word", sorted(kinds_of_names.PAGING))
def test_place_in_a_listing(word: str) -> None:
    """A token that is a place in a listing stays; a key beside the same word goes."""
    assert {f"{word}Token": SECRET} == redacted({f"{word}Token": SECRET})
    assert {f"{word}_api_key": MARK} == redacted({f"{word}_api_key": SECRET})


@for_each("word", sorted(kinds_of_names.PAIR_NAMES))
def test_key_of_a_name(word: str) -> None:
    """A name of a secret under this key tells of the value beside it; any other name does not."""
    assert {word: "password", "value": MARK} == redacted({word: "password", "value": SECRET})
    assert {word: "surname", "value": SECRET} == redacted({word: "surname", "value": SECRET})


@for_each("word", sorted(kinds_of_names.PAIR_VALUES | kinds_of_names.PROSE_PAIR_VALUES - {"secret"}))
def test_key_of_a_value(word: str) -> None:
    """The value beside the name of a secret goes; beside any other name it stays."""
    assert {"name": "password", word: MARK} == redacted({"name": "password", word: SECRET})
    assert {"name": "surname", word: SECRET} == redacted({"name": "surname", word: SECRET})


@for_each(
    "word",
    rules("no_secrets")["reports"].split() + rules("no_secrets")["schemes"].split(),
)
def test_word_that_is_no_secret(word: str) -> None:
    """A word that reports, or names a way to sign in, stays under ``authorization``; with digits behind it, it goes."""
    assert {"authorization": word} == redacted({"authorization": word})
    assert {"authorization": MARK} == redacted({"authorization": f"{word}{SECRET}"})


@for_each("prefix", rules("no_secrets")["id_prefixes"].split())
def test_beginning_of_an_id(prefix: str) -> None:
    """An id with this beginning is no secret under a bare ``key``; without the beginning it is one."""
    value = f"{prefix}_{SECRET}"
    assert {"key": value} == redacted({"key": value})
    assert {"key": MARK} == redacted({"key": SECRET})


VENDORS = {
    f"{vendor['name']}: {shape['begin']}": shape
    for vendor in rules("shapes")["vendor"]
    for shape in vendor["shapes"]
}


@for_each("shape", VENDORS.values(), ids=VENDORS)
def test_shape_of_a_vendor(shape: dict[str, str]) -> None:
    """Any token of this shape goes, alone and within text; the text that is alike stays."""
    token = shape["begin"] + text_of(shape["rest"])
    if "needs" in shape:
        token = f"{token[: len(shape['begin'])]}a1{token[len(shape['begin']) + 2 :]}"
    for value in (token, f"see {token} there", {"note": [f"({token})"]}, json.dumps({"a": token})):
        assert token not in json.dumps(redacted(value)), value
    assert (shape["stays"], 0) == REDACTOR.text(shape["stays"])


WITHIN = {shape["name"]: shape for shape in rules("shapes")["within"]}


@for_each("shape", WITHIN.values(), ids=WITHIN)
def test_shape_that_is_known_from_within(shape: dict[str, str]) -> None:
    """Any token of this shape goes, with its beginning; the text that is alike stays."""
    token = text_of(shape["before"]) + shape["middle"] + text_of(shape["after"])
    assert f"see {MARK} there" == redacted(f"see {token} there")
    assert (shape["stays"], 0) == REDACTOR.text(shape["stays"])


WEBHOOKS = {webhook["name"]: webhook for webhook in rules("shapes")["webhook"]}
PATHS = {"Mattermost": "a" * 25 + "1", "Rocket.Chat": "aB1" * 6 + "/" + "aB1" * 12}


@for_each("webhook", WEBHOOKS.values(), ids=WEBHOOKS)
def test_address_of_a_webhook(webhook: dict[str, str]) -> None:
    """What makes the address a secret goes, and its host stays; another address of the vendor stays whole."""
    address = "https://" + text_of(webhook["address"])
    path = PATHS.get(webhook["name"], SECRET + "/" + SECRET)
    new = redacted(f"posted to {address}{path} twice")
    assert path not in new
    assert new.startswith(f"posted to https://{address.split('/')[2]}")
    assert new.endswith(" twice")
    assert (webhook["stays"], 0) == REDACTOR.text(webhook["stays"])


COMMANDS = rules("commands")


@for_each("command", COMMANDS)
def test_command(command: str) -> None:
    """The secret after the command's flag goes, in a line and in a list of arguments; the command that is alike stays."""
    rule = COMMANDS[command]
    glue = {"no": [" "], "may": [" ", ""], "only": [""]}[rule.get("glued", "no")]
    for flag, between in product(rule.get("flag", "").split() or [""], glue):
        words = "word " * (rule["argument"] - 1) if "argument" in rule else f"-h host {flag}{between}"
        given = f"{command} {words}{SECRET} more"
        assert given.replace(SECRET, MARK) == redacted(given)
        assert SECRET not in json.dumps(redacted(given.split(" ")))
    assert (rule["stays"], 0) == REDACTOR.text(rule["stays"])


FORMS = {form["name"]: form for form in rules("forms")["form"]}


@for_each("form", FORMS.values(), ids=FORMS)
def test_form(form: dict[str, str]) -> None:
    """The secret in the form goes, alone and within other text, and nothing else does; the text that is alike stays."""
    before, secret, after = re.split("[«»]", form["goes"])
    expected = f"{before}{MARK}{after}"
    assert redacted(before + secret + after) == expected
    assert redacted({"log": f"It began.\n{before}{secret}{after}\nIt ended."}) == {
        "log": f"It began.\n{expected}\nIt ended."
    }
    assert (form["stays"], 0) == REDACTOR.text(form["stays"])


IN_OBJECTS = NAMES["in_objects"]


@for_each(("name", "ordinary"), IN_OBJECTS.items(), ids=IN_OBJECTS)
def test_name_in_an_object(name: str, ordinary: dict[str, Any]) -> None:
    """A secret under the name goes in such an object only; an ordinary value in it stays."""
    outer, inner = name.split()
    secret = "4000056655665556" if inner == "number" else SECRET
    assert {outer: {inner: MARK}} == redacted({outer: {inner: secret}})
    assert ordinary == redacted(ordinary)


@for_each("word", NAMES["keys_that_name"]["objects"].split())
def test_key_that_names(word: str) -> None:
    """A "key" in such an object stays, and a secret within it goes."""
    assert {word: {"key": SECRET}} == redacted({word: {"key": SECRET}})
    assert {word: {"key": f"password={MARK}"}} == redacted({word: {"key": f"password={SECRET}"}})


@for_each("word", rules("no_secrets")["states"].split())
def test_state_of_a_secret(word: str) -> None:
    """A word that says how it stands with a secret stays under its name; with digits behind it, it goes."""
    assert {"password": word} == redacted({"password": word})
    assert {"password": MARK} == redacted({"password": f"{word}{SECRET}"})


@for_each("word", rules("no_secrets")["copulas"].split())
def test_word_between_a_name_and_its_secret(word: str) -> None:
    """A secret behind its name and such a word goes; words stay."""
    assert f"The password for the server {word} {MARK} for now" == redacted(
        f"The password for the server {word} {SECRET} for now"
    )
    text = f"The password for the server {word} here for now"
    assert text == redacted(text)


@for_each("word", rules("no_secrets")["prepositions"].split())
def test_word_before_what_a_secret_is_changed_to(word: str) -> None:
    """A password behind its name and such a word goes; words stay."""
    assert f"the password of the panel {word} {MARK}, now" == redacted(
        f"the password of the panel {word} {SECRET}, now"
    )
    assert (
        redacted(f"the password of the panel {word} marigold") == f"the password of the panel {word} marigold"
    )


@for_each("word", rules("no_secrets")["owners"])
def test_word_between_a_secret_and_its_name(word: str) -> None:
    """A secret before its name goes; words stay."""
    assert f"{MARK} is {word} new login code" == redacted(f"482913 is {word} new login code")
    assert redacted(f"This is {word} new login code") == f"This is {word} new login code"


def test_each_name_stands_once() -> None:
    """No name of a secret stands twice, in any file or section."""
    written = [name for section in SECTIONS for name in NAMES[section]]
    written += [name for lines in rules("secret_names_other_languages").values() for name in lines]
    written += [f"{kind} code" for kind in NAMES["kinds_of_code"]] + [
        f"{kind} key" for kind in NAMES["kinds_of_key"]
    ]
    written += NAMES["ordinary"]
    counts = Counter(re.sub(r"[ _]", " ", name) for name in written)
    assert [name for name, count in counts.items() if count > 1] == []


def test_each_shape_has_a_source() -> None:
    """Each shape says where it is documented."""
    for entries in rules("shapes").values():
        for entry in entries:
            assert entry["source"].startswith("https://"), entry


def test_data_files_are_all_read() -> None:
    """No data file lies there unused."""
    assert {path.stem for path in FOLDER.iterdir()} == {
        "secret_names_english",
        "secret_names_other_languages",
        "secret_names_other_languages_two_words",
        "no_secrets",
        "shapes",
        "commands",
        "forms",
    }
    assert patterns.COMMANDS is COMMANDS


@for_each("word", rules("no_secrets")["instructions"].split())
def test_word_that_begins_an_instruction(word: str) -> None:
    """What to do, or where to look, in place of a secret stays; the secret goes, also one that begins with the word."""
    text = f"password = {word} it before use"
    assert text == redacted(text)
    assert f"password = {MARK} before use" == redacted(f"password = {word}{SECRET} before use")


@for_each("place", rules("no_secrets")["places_with_pin"].split())
def test_place_of_a_postal_code(place: str) -> None:
    """Six digits behind PIN are a postal code beside such a place, and a secret without."""
    text = f"PIN: 560001, {place.capitalize()}"
    assert text == redacted(text)
    assert f"PIN: {MARK}, for the terminal" == redacted("PIN: 560001, for the terminal")

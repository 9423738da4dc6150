"""Promises of redaction by structure: JSON in any surroundings, names in any spelling, the rest of a text exact."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import simplejson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from task_history.core.json_writing import exact_json
from task_history.redaction import kinds_of_names, lookalikes, patterns
from task_history.redaction.redactor import MARK, Redactor
from tests.support.data_lines import for_each

SECRET = "Zq7-hunter2-Xw"
REDACTOR = Redactor()
NAMES = (
    *(
        "password",
        "apiKey",
        "api_key",
        "X-Api-Key",
        "Authorization",
        "client_secret",
        "accessToken",
        "session_id",
    ),
    *(
        "privateKey",
        "passphrase",
        "signing_key",
        "cookie",
        "jwt",
        "otp",
        "pin",
        "db_password",
        "codeVerifier",
        "auth",
    ),
    *("aws_secret_access_key", "smtp_pass", "samlResponse"),
)


def redacted(text: str) -> str:
    return REDACTOR.text(text)[0]


def json_escaped(name: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in name)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "full width": lambda name: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in name),
    "mathematical": lambda name: "".join(
        chr(0x1D41A + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in name
    ),
    "zero width": "\u200b".join,
    "soft hyphens and joiners": "\u00ad\u2060\ufeff".join,
    "variation selectors": lambda name: "".join(c + "\ufe0f" for c in name),
    "Cyrillic": lambda name: name.translate(str.maketrans("aceopsxyijABCEHKMOPTX", "асеорѕхуіјАВСЕНКМОРТХ")),
    "Greek": lambda name: name.translate(str.maketrans("aoptvikuABEHIKMNOPTXYZ", "αορτνικυΑΒΕΗΙΚΜΝΟΡΤΧΥΖ")),
    "accents": lambda name: unicodedata.normalize("NFC", "".join(c + "\u0301" * (c in "aeiou") for c in name)),
    "small capitals": lambda name: name.translate(str.maketrans("aekopstuw", "ᴀᴇᴋᴏᴘꜱᴛᴜᴡ")),
}  # fmt: skip
ESCAPES: dict[str, Callable[[str], str]] = {
    "plain": lambda name: json.dumps(name, ensure_ascii=False)[1:-1],
    "ascii": lambda name: json.dumps(name)[1:-1],
    "all": lambda name: "".join(
        json_escaped(c) if ord(c) < 0x10000 else json.dumps(c)[1:-1] for c in name
    ),
    "first": lambda name: (json_escaped(name[0]) if ord(name[0]) < 0x10000 else name[0]) + name[1:],
}  # fmt: skip
MANY = ", ".join(f'"f{number}": {number}' for number in range(40))
STRUCTURES = {
    "one document": '{{"a": 1, "{name}": "{secret}"}}',
    "lines of JSON": '{{"a": 1}}\n{{"{name}": "{secret}"}}\n{{"b": [2]}}',
    "documents on one line": '{{"a": 1}}{{"{name}": "{secret}"}} [3]',
    "byte order mark": '\ufeff{{"{name}": "{secret}"}}',
    "record separators": '\x1e{{"a": 1}}\n\x1e{{"{name}": "{secret}"}}\n',
    "text before": 'got 200 OK: {{"{name}": "{secret}"}}',
    "text after": '{{"{name}": "{secret}"}} was sent, "quoted',
    "text around": 'a 5" pipe [INFO] {{"{name}": "{secret}"}} {{end}}',
    "cut off": '{{"a": {{"{name}": "{secret}", "b": [1, {{"c": "d',
    "cut off in the value": '{{"a": {{"{name}": "{secret}',
    "cut off at the front": 'bc": "d"}}, "{name}": "{secret}"}}',
    "duplicate names": '{{"{name}": "{secret}", "{name}": 1, "{name}": "{secret}"}}',
    "duplicate of another name": '{{"a": 1, "{name}": "{secret}", "a": 2}}',
    "a quotation mark too many": '{{"a": "it is 5" long", "{name}": "{secret}"}}',
    "trailing comma": '{{"{name}": "{secret}",}}',
    "NaN": '{{"a": NaN, "{name}": "{secret}"}}',
    "a line break in a text": '{{"a": "b\nc", "{name}": "{secret}"}}',
    "under objects": '{{"{name}": {{"a": ["{secret}"]}}}}\n{{}}',
    "pair": '{{"name": "{name}", "value": "{secret}"}}',
    "pair in lines": '{{}}\n{{"name": "{name}", "type": "text", "value": "{secret}"}}',
    "pair turned round": '{{}}\n{{"value": "{secret}", "key": "{name}"}}',
    "pair among many fields": '{{"key": "{name}", ' + MANY + ', "value": "{secret}"}}',
    "pair among many fields, cut off": '{{"key": "{name}", ' + MANY + ', "value": "{secret}", "z',
    "pair with a long name": '{{"name": "' + "x" * 300 + '_{name}", "value": "{secret}"}}',
    "pair in other letters": '{{"\\u006eame": "{name}", "v\\u0430lue": "{secret}"}}',
    "pair of a list": '[["Host", "x"], ["{name}", "{secret}"]] ok',
    "raw headers": '{{"rawHeaders": ["Host", "x", "{name}", "{secret}"]}} ok',
}


NESTINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: json.dumps({"data": text}),
    lambda text: json.dumps([json.dumps({"a": text + "…"})]) + "\n{}",
)


@pytest.mark.parametrize(
    "every", [pytest.param(3, id="one nesting each"), pytest.param(1, id="all", marks=pytest.mark.torture)]
)
@for_each("structure", STRUCTURES.values(), ids=STRUCTURES)
@for_each("escape", ESCAPES.values(), ids=ESCAPES)
def test_secret_in_any_structure(structure: str, escape: Callable[[str], str], every: int) -> None:
    """A secret under any spelling of its name is gone from JSON of whatever kind, in JSON texts within JSON, too."""
    for at, (how, spelling) in enumerate(SPELLINGS.items()):
        text = structure.format(name=escape(spelling("password")), secret=SECRET)
        for number, nesting in enumerate(NESTINGS):
            if (at + number + len(structure)) % every == 0:
                nested = nesting(text)
                new, count = REDACTOR.text(nested)
                assert "hunter2" not in new, (how, nested)
                assert count >= 1


@given(
    name=st.sampled_from(NAMES),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    escape=st.sampled_from(sorted(ESCAPES)),
    structure=st.sampled_from(sorted(STRUCTURES)),
    before=st.text(max_size=12),
    after=st.text(max_size=12),
    layers=st.lists(st.sampled_from(["json", "line", "text"]), max_size=3),
)
@settings(max_examples=200)
@example("password", "as it is", "all", "cut off", '"', "{", ["json", "text"])
def test_planted_secret_is_in_no_output(
    name: str, spelling: str, escape: str, structure: str, before: str, after: str, layers: list[str]
) -> None:
    """Any secret under any spelling of any secret name in any of these structures is not in the output."""
    text = STRUCTURES[structure].format(name=ESCAPES[escape](SPELLINGS[spelling](name)), secret=SECRET)
    for layer in layers:
        if layer == "json":
            text = json.dumps({"data": text, "id": 1})
        elif layer == "line":
            text = f'{{"a": 1}}\n{text}\n{{"b": 2}}'
        else:
            text = f"{before} {text} {after}"
    assert "hunter2" not in redacted(text)


ASSIGNED = {
    "many blanks": "password          =          {}",
    "ten thousand blanks": "password" + " " * 10_000 + "=" + "\t" * 10_000 + "{}",
    "twice equal": "password=={}",
    "three times equal": "password==={} ok",
    "equal in a URL": "password%3D%3D{}",
    "compared to a quoted text": "if password == '{}':",
    "colon after blanks": "api_key            :            {}",
    "a long name": "x_" * 200 + "password={}",
    "a long name before": "password_" + "x" * 200 + "={}",
    "a deep next line": "password:\n" + " " * 60 + "{}",
    "full width": "ｐａｓｓｗｏｒｄ＝{}",
    "Cyrillic": "раssword: {}",
    "zero width": "pass\u200bword\u200b=\u200b{}",
    "escaped": "p\\u0061ssword={}",
    "escaped in bytes": "p\\x61ssword={}",
    "escaped in a URL": "?a=1&p%61ssword={}",
    "escaped in HTML": "&#112;assw&#x6f;rd={}",
    "escaped in full width": '"\\uff50assword": "{}", ',
    "escaped twice": '\\"p\\\\u0061ssword\\": \\"{}\\", ',
    "mathematical letters escaped": '"\\ud835\\udc5dassword": "{}", ',
    "flag": "run --pаssword {}",
    "xml": "<pаssword>{}</pаssword>",
    "phrase": "code verifier: {}",
}

OF_OTHER_LANGUAGES = {
    "URL-encoded JSON with a blank": "%7B%22{name}%22%3A%20%22{secret}%22%7D",
    "URL-encoded JSON with a plus": "%7B%22{name}%22%3A+%22{secret}%22%7D",
    "JSON encoded twice for a URL": "%257B%2522{name}%2522%253A%2520%2522{secret}%2522%257D",
    "URL-encoded in single quotes": "%7B%27{name}%27%3A%20%27{secret}%27%7D",
    "JSON in HTML": "{{&#x22;{name}&#x22;: &#x22;{secret}&#x22;}}",
    "three quotation marks": '{name} = """{secret}"""',
    "three single marks": "{name} = '''{secret}''' ",
    "doubled quotation marks": '"{{""a"":1,""{name}"":""{secret}"",""b"":""c""}}"',
    "two colons": "{name}::{secret}",
    "emphasis": "**{name}**: {secret}",
    "emphasis with its colon": "- **{name}:** {secret}",
    "thin arrow": "{name} -> {secret}",
    "arrow": "{name} → {secret}",
    "fat arrow": "{name} => {secret}",
    "comment before the colon": '{{"{name}" /* c */: "{secret}"}}',
    "comment after the colon": '{{"{name}": /* c */ "{secret}", "a": 1}}',
    "XML in HTML": "&lt;{name}&gt;{secret}&lt;/{name}&gt;",
    "XML in HTML twice": "&amp;lt;{name} a='1'&amp;gt;{secret}&amp;lt;/{name}&amp;gt;",
    "XML in a URL": "%3C{name}%3E{secret}%3C/{name}%3E",
    "XML in JSON": "\\u003c{name}\\u003e{secret}\\u003c/{name}\\u003e",
    "pair of elements": "<name>{name}</name><value>{secret}</value>",
    "pair of elements in lines": "<ns:key>{name}</ns:key>\n  <ns:value>{secret}</ns:value>",
    "list of Apple": "<key>{name}</key>\n\t<string>{secret}</string>",
    "pair of elements in HTML": "&lt;name&gt;{name}&lt;/name&gt;&lt;value&gt;{secret}&lt;/value&gt;",
    "list of two": '["{name}","{secret}"]',
    "list of two in text": 'see ["{name}", "{secret}"] there',
    "list of two in Python": "see ['{name}', '{secret}'] there",
    "list of two among others": '[["a"],["{name}","{secret}"],1]',
    "CSV": "user,{name}\nbob,{secret}\nal,{secret}\n",
    "CSV with quotes": '"id";"{name}";"user"\r\n1;"{secret}";"b;c"\r\n',
    "CSV in text": "rows:\nuser,{name}\nbob,{secret}\nend of it",
    "columns parted by tabs": "id\tuser\t{name}\n1\tbob\t{secret}",
    "PHP": 'a:1:{{s:8:"{name}";s:14:"{secret}";s:1:"a";i:1;}}',
    "PHP in JSON": '{{"a": "s:8:\\"{name}\\";s:14:\\"{secret}\\";"}}',
}


@for_each("form", OF_OTHER_LANGUAGES.values(), ids=OF_OTHER_LANGUAGES)
@for_each("name", ["password", "api_key", "clientSecret"])
def test_secret_in_other_languages(form: str, name: str) -> None:
    """A secret beside its name, as other formats and languages write the two, is gone, and nothing else is."""
    new, count = REDACTOR.text(form.format(name=name, secret=SECRET))
    assert form.format(name=name, secret=MARK) == new
    assert form.count("{secret}") == count
    assert (new, 0) == REDACTOR.text(new)
    nested = json.dumps({"a": form.format(name=name, secret=SECRET)})
    assert "hunter2" not in redacted(nested)


@for_each("name", ["\\x70assword", "\\160assword", "p\\x61ssw\\157rd"])
def test_escapes_that_are_no_json(name: str) -> None:
    """Escapes of other languages in what else is JSON are read, too."""
    assert f'{{"{name}": "{MARK}", "a": 1}}' == redacted(f'{{"{name}": "{SECRET}", "a": 1}}')


@for_each("text", ASSIGNED.values(), ids=ASSIGNED)
def test_secret_after_a_name(text: str) -> None:
    """Any number of blanks or equal signs, and any letters of the name: the value is gone, and nothing else."""
    new, count = REDACTOR.text(text.format(SECRET))
    assert "hunter2" not in new
    assert 1 == count
    before, _, after = text.partition("{}")
    assert new.startswith(before.rstrip("\u200b"))
    assert new.endswith(after)


EXACTLY = {
    '{"a" :  1.50, "password": "x", "b":[1E4,"\\u00e9\\/"] }': '{"a" :  1.50, "password": "@", "b":[1E4,"\\u00e9\\/"] }',
    '{"a":1}\r\n{"pin": 1234}\r\n': '{"a":1}\r\n{"pin": "@"}\r\n',
    '\ufeff {"token":"x"}': '\ufeff {"token":"@"}',
    '{"a":1,"password":"x","a":2}': '{"a":1,"password":"@","a":2}',
    '{"a":"\\u00e9 password=x1 \\/ \\ud83d\\ude00"}': '{"a":"\\u00e9 password=@ \\/ \\ud83d\\ude00"}',
    '{"a": "{\\"p\\u0061ssword\\" : \\"x\\", \\"b\\":  1}"}': '{"a": "{\\"p\\u0061ssword\\" : \\"@\\", \\"b\\":  1}"}',
    'log: {"password": ["x"], "n": 1.0} end': 'log: {"password": "@", "n": 1.0} end',
    '{"name": "password", "n": 1.0, "value": {"a": 1}}': '{"name": "password", "n": 1.0, "value": "@"}',
    "é раssword=x1 ＡＢＣ": "é раssword=@ ＡＢＣ",
    "größe \u200b password=x1 \u200b ﬁn": "größe \u200b password=@ \u200b ﬁn",
}


@for_each(("text", "expected"), EXACTLY.items())
def test_all_else_stays_exact(text: str, expected: str) -> None:
    """What stands around a secret keeps its blanks, escapes, digits and letters, and JSON stays JSON."""
    assert expected.replace("@", MARK) == redacted(text)
    assert (redacted(text), 0) == REDACTOR.text(redacted(text))


calm_text = st.text("abcdefgh üжо\u200b\u2028\n0123456789.,()＝", max_size=30)
calm_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | calm_text,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "data", "größe", "имя", "name", "value"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.lists(calm_json, min_size=1, max_size=4),
    st.sampled_from(["\n", " ", "\n\x1e", " and "]),
    st.booleans(),
)
@settings(max_examples=100)
def test_text_without_secrets_is_identical(documents: list[Any], between: str, is_ascii: bool) -> None:
    """Text that holds no secret comes out as the same characters, whatever JSON is in it, cut off or not."""
    text = between.join(json.dumps(document, ensure_ascii=is_ascii) for document in documents)
    for part in (text, text[: len(text) // 2], f"see {text}", json.dumps({"data": text, "data ": 1})):
        assert (part, 0) == REDACTOR.text(part)


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_a_secret_takes_nothing_with_it(text: str) -> None:
    """JSON from which a secret was taken holds every other value exactly as before."""
    value = {"a": text, "password": SECRET, "b": [text]}
    for document in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2)):
        kept = simplejson.loads(redacted(document + "\n{}").removesuffix("\n{}"))
        assert {**simplejson.loads(document), "password": MARK} == {
            **kept,
            "a": kept["a"] if MARK in kept["a"] else text,
            "b": kept["b"] if MARK in kept["b"][0] else [text],
        }


KEPT = (
    "std::string token::value, Auth::OAuth2::Client, Token::new(1), auth::v2::login",
    "token -> user, session => {}, this->token->get(2)",
    "session -> s3.bucket, secret → see above",
    "**Password**: required. **Session:** Opening",
    '{"required": ["password", "email"], "fields": ["password", "password2"]}',
    "['password', 'email'] and ['token', 'v2']",
    "Enter user, password\\nplease, 12345678",
    "Enter user, password\nplease, 12345678\n",
    "user,password\nid,token\n",
    "user,password\nthen a line without it 1234\nbob,12345678",
    "<name>title</name><value>x1234567</value> &lt;b&gt;password&lt;/b&gt;",
    's:4:"name";s:8:"password";',
    "if token == other: return",
    "x = cGFzc3dvcmQtAbToken== next",
    '{"data":"AbToken==","x":"y"} ok',
    "в тексте: пароль не назван; роса, тест: да",
    '[INFO] [x] {a} {\'b\': 1} [1, 2] {"c": 1} "',
    '{"name": "first", "value": "x"} {"label": "Name", "value": "y"}',
)


@for_each("text", KEPT)
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    """Comparisons, base64 that ends in equal signs and prose in other letters stay."""
    assert (text, 0) == REDACTOR.text(text)


def test_names_stand_in_one_list() -> None:
    """A name that is added to the list of names is found in text and as a pair without a second place."""
    text_stems = patterns.Stems(())
    for word in (*kinds_of_names.NAMES, *kinds_of_names.GLUED):
        assert text_stems.search(word), word
    for kind in kinds_of_names.KEY_KINDS:
        assert text_stems.search(f"{kind}_key")


def test_lookalikes_are_other_letters() -> None:
    """Each letter of the table looks like one Latin letter, and lies where such letters are looked for."""
    letters = [letter for alike in lookalikes._ALIKE.values() for letter in alike]
    assert len(letters) == len(set(letters))
    for letter in letters:
        assert not letter.isascii()
        assert lookalikes.MAY_BE_ALIKE.fullmatch(letter), hex(ord(letter))


DEEP, DEEPEST = 10_000, 100_000
"""Levels at which Python's own parser gives up, and at which a recursion in C would use up its stack."""


@for_each(
    "text",
    [
        "[" * DEEP + f'{{"password": "{SECRET}"}}' + "]" * DEEP,
        '{"a":' * DEEPEST + f'{{"password": "{SECRET}"}}' + "}" * DEEPEST,
        '{"a":' * DEEP + f'{{"p\\u0061ssword": "{SECRET}"',
        "x " + "[" * DEEP + f'{{"password": "{SECRET}"}}' + "]" * DEEP + f'{{"pin": "{SECRET}"}}',
    ],
    ids=["lists", "objects", "cut off", "in text"],
)
def test_any_depth(text: str) -> None:
    """JSON of a depth at which Python's own parser gives up ends nothing, and its secrets are gone."""
    assert "hunter2" not in redacted(text)
    assert "hunter2" not in exact_json(REDACTOR.payload({"a": [text]}).value)


HOSTILE = {
    "lists": "[",
    "objects": '{"a":',
    "empty objects": "{}",
    "repeated names": '"a":1,',
    "broken lists": '["a" ',
    "broken numbers": "[1 ",
    "open strings": '["',
    "lists and text": "[1,[x ",
    "backslashes": "\\",
    "escapes": "\\u0070",
    "escapes cut off": '"\\u00',
    "names and blanks": "password ",
    "blanks": "password" + " " * 999,
    "blanks and equal signs": "password = ",
    "equal signs": "password=",
    "one long name": "password_",
    "names in a row": "token.",
    "lookalikes": "раssword=",
    "zero width": "\u200b",
    "accents": "a\u0301",
    "pairs": '{"name":"password","value":"x"}\n',
    "pairs with a long name": '"key":"' + "x" * 400,
    "strings in strings": '{"a":"{\\"a\\":\\"',
    "own secret in pieces": "Zq7-huZq7-hunter",
    "percent": "%70",
    "html": "&#112;&#x70",
    "comments": "password/*",
    "whole comments": "password/**/ ",
    "names and comments": '"password" /* password */ ',
    "XML in HTML": "&lt;password&gt;",
    "XML in HTML with attributes": "&lt;password a",
    "pairs of elements": "<name>password</name>",
    "three quotation marks": 'password="""',
    "doubled quotation marks": '""password"":""x',
    "lines of names": "user,password\n",
    "one line of names": "user,password,",
    "lists of two": '["password","x1234',
    "emphasis": "**password**",
    "PHP": 's:8:"password";s:1:"',
    "own secret in other case": "zQ7-HUzq7-hunter",
    "own secret escaped": "\\u005a%71&#55;",
    "own secret and what shows nothing": "Z\u200bq7-hunter2",
    "own secret in hexadecimal": "5a71372d68756e74",
    "insert": "insert into a (password) values (",
    "insert of rows": "insert into a (password) values ('a'),('b'),(",
    "many inserts": "insert into ",
    "tags": "<a b='c' ",
    "tags with values": "<input type='password' value='x'>",
    "attributes": '<a b="',
    "commands": "sshpass -p ",
    "commands without flags": "mysql mysql ",
    "base64": "cGFzc3dvcmQ9",
    "base64 in words": "eyJwYXNzd29yZCI6ImFiYzEyMyJ9 ",
    "base64 of base64": "WlhsS2QxbFhUbnBrTWpsNVdrTkpOa2x0Um1sWmVrVjVUWGxLT1E9PQ== ",
    "hexadecimal": "70617373776f72643d",
    "drawn table": "| user | password |\n",
    "drawn rows": "| a | b |\n",
    "rulers": "|---|---|\n",
    "putty": "Private-Lines: 1\nAAAA\n",
    "ssh2": "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
    "logins with slashes": "://a:b/",
    "webhooks": "https://hooks.slack.com/services/",
    "smtp": "auth plain ",
    "words after a name": "password: a b c d ",
    "prose under a name": '{"token": "a b c", ',
    "brackets behind": "{password=a}}}}",
    "names in flat lists": '["password", "a", ',
    "escapes within escapes": "%255Cu0070",
    "bytes of letters": "%D0%BF",
    "arns": "arn:secret:a:",
    "tuples of a name": "auth=('a', ",
    "letters of other languages": "пароль ",
    "long words": "abcdefghijklmnopq ",
    "tokens": "ghp_",
    "tokens of vendors": "sk_live_M2N3O4 ",
}


def _steps(text: str) -> int:
    """How many lines of Python the redaction of the text runs: the same on every machine."""
    import sys

    count = 0

    def trace(_frame: Any, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        Redactor(secrets=["Zq7-hunter2-Xw-Zq7-hunter2"]).text(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("length", [1_000, pytest.param(2_000, marks=pytest.mark.torture)])
@for_each("part", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_with_the_length_only(part: str, length: int) -> None:
    """Four times as much hostile text runs at most about four times as many lines, never sixteen times as many."""

    def text(size: int) -> str:
        return "{" * (part.startswith('"a"')) + part * (size // len(part))

    small, large = _steps(text(length)), _steps(text(4 * length))
    assert large <= 6 * small + 1_000


@pytest.mark.parametrize(
    ("size", "margin_s"),
    [(1 << 15, 0.00125), pytest.param(1 << 20, 0.02, marks=pytest.mark.torture)],
    ids=["32 KiB", "1 MiB"],
)
@for_each("part", HOSTILE.values(), ids=HOSTILE)
def test_processor_time_of_hostile_text(part: str, size: int, margin_s: float) -> None:
    """The text costs at most three times as much as its sixteenth parts, in the patterns' own code, too."""
    import time

    def cost(size: int) -> float:
        text = "{" * (part.startswith('"a"')) + part * (size // len(part))
        began = time.process_time()
        Redactor(secrets=["Zq7-hunter2-Xw-Zq7-hunter2"]).text(text)
        return time.process_time() - began

    most = 16 * 3 * (min(cost(size // 16) for _ in range(2)) + margin_s)
    # On a busy machine a process may be charged for what others do to its caches: not each of three times.
    assert any(cost(size) <= most for _ in range(3))


def test_repeated_runs_are_alike() -> None:
    """One redactor gives the same for the same text, whatever it has seen before."""
    redactor = Redactor()
    texts = [
        structure.format(name=name, secret=SECRET) for structure in STRUCTURES.values() for name in NAMES[:3]
    ]
    first = [redactor.text(text) for text in texts]
    random.Random(1).shuffle(order := list(range(len(texts))))
    assert all(redactor.text(texts[index]) == first[index] for index in order)

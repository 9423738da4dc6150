"""Promises of redaction for values beside the name of a secret where no field says which is which."""

from __future__ import annotations

from typing import Any

from task_history.redaction.redactor import MARK, Redactor
from tests.support.data_lines import for_each

REDACTOR = Redactor()
SECRET = "hV8k2Qz9" + "TrW4mN1x"

GOES: dict[str, Any] = {
    "any field": {"trait": "db_password", "datum": SECRET},
    "field of XML as JSON": {"#name": "password", "_": SECRET, "$": {"enc": "none"}},
    "a list of values": {"name": "Token", "cells": [SECRET, "active"]},
    "fields within fields": {"attr": {"S": "user_password"}, "val": {"S": SECRET}},
    "blocks of a message": [{"type": "mrkdwn", "text": "*Password*"}, {"type": "mrkdwn", "text": SECRET}],
    "pairs in turn": [["label", "Password:"], ["value", SECRET]],
    "a question and its answer": [
        {"from": "Kim", "text": "What is the VPN password?"},
        {"from": "Lee", "text": f"sure: {SECRET}!"},
    ],
    "a heading and a row": {"Columns": "Host,User,Password", "Row": f"h1,bob,{SECRET}"},
    "a heading and rows": {"header": "user:x:password", "rows": [f"bob:x:{SECRET}"]},
    "a statement and its values": {"sql": "UPDATE users SET password = ? WHERE id = ?", "args": [SECRET, 7]},
    "an INSERT and its values": {
        "sql": "INSERT INTO t (tenant, access_token) VALUES ($1,$2)",
        "values": ["ten", SECRET],
    },
    "a list of keys in an object": {"prod": {"api": {"keys": [SECRET]}}},
    "COPY": f"COPY t (id, api_token) FROM stdin;\n7\t{SECRET}\n\\.",
    "a description list": f"<dl><dt>User</dt><dd>bob</dd><dt>Passwort</dt><dd>{SECRET}</dd></dl>",
    "labels": f'<div><span class="l">Contraseña</span><span class="v">{SECRET}</span></div>',
    "an element within an element": f"<AdminPassword><Value>{SECRET}</Value></AdminPassword>",
    "an attribute that names an element": f'<field name="pass" type="text"><v>{SECRET}</v></field>',
    "a dialogue": f"Agent: May I have your password?\nCaller: yes, it is {SECRET}\nAgent: thanks",
    "a sentence between": f"The secret key we got from the sales team ({SECRET}aB3x) is rejected.",
    "an argument": f"mysqli_connect('h1.example.test', 'bob', '{SECRET}', 'crm');",
    "a key in code": f"jwt.sign(payload, '{SECRET}')",
    "what is converted": f"UPDATE staff SET pw=crypt('{SECRET}', gen_salt('bf'))",
    "bytes of PostgreSQL": "\\x" + f'{{"password":"{SECRET}"}}'.encode().hex(),
    "digits with colons": f"password={SECRET}".encode().hex(":"),
    "digits with blanks": f"password={SECRET}".encode().hex(" "),
}


@for_each("value", GOES.values(), ids=GOES)
def test_secret_beside_its_name_goes(value: Any) -> None:
    """A value that looks like a secret goes where a neighbour is the name of one."""
    new = REDACTOR.payload(value).value
    assert new != value
    assert SECRET not in str(new)
    assert MARK in str(new)


STAYS: dict[str, Any] = {
    "what is done with a secret": {"action": "password_reset", "actor": "bob-smith7", "target": "u_12ab"},
    "an id": {"kind": "secret", "name": "db", "trace": SECRET, "etag": SECRET, "job_id": SECRET},
    "other labels": [{"text": "Order"}, {"text": SECRET}],
    "words behind a label": [{"text": "Password"}, {"text": "at least eight characters"}],
    "another question": [{"text": "Is the token still valid?"}, {"text": "see ticket OPS-1234, build-2x41z"}],
    "other columns": {"Columns": "Host,User,Port", "Row": f"h1,bob,{SECRET}"},
    "other parameters": {"sql": "UPDATE users SET name = ? WHERE id = ?", "args": [SECRET, 7]},
    "lists of names": {"api": {"keys": ["orders", "items"]}},
    "a product key of a song": {"score": {"key": "A minor"}},
    "names of ciphers": "crypto.createCipheriv('aes-256-gcm', key, iv)",
    "a host": "client.connect('db1.example.test', 5432)",
    "a fingerprint": {"hostKeyFingerprint": "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"},
    "a number that counts": {"gpio": {"pin": 17}, "passwordHistory": 5, "maxPinRetries": 3},
    "a token of a language": {"token": {"type": "identifier", "text": "foo", "line": 3}},
    "a column of a database": {"secret": {"dataType": "varchar", "nullable": False}},
    "what a shell calls": "PASSWORD=$(pass show crm/admin)",
    "code behind a comparison": "if user.password != password: return False",
    "a placeholder in an address": "mysql://user:<password>@db.example.test/db",
    "words in one name": "The session recording MyProductionRecording2026 is ready",
}


@for_each("value", STAYS.values(), ids=STAYS)
def test_ordinary_neighbour_stays(value: Any) -> None:
    """Ids, words and values beside other names stay."""
    assert value == REDACTOR.payload(value).value


_WIDE = [*(f"c{index}" for index in range(3_000)), "password"]
_CELLS = [*map(str, range(3_000)), SECRET]
WIDE: dict[str, Any] = {
    "rows": {"columns": _WIDE, "rows": [_CELLS]},
    "lists": [_WIDE, _CELLS],
    "CSV": f"{','.join(_WIDE)}\n{','.join(_CELLS)}",
    "TSV": "\t".join(_WIDE) + "\n" + "\t".join(_CELLS),
    "Markdown": f"| {' | '.join(_WIDE)} |\n|{'---|' * len(_WIDE)}\n| {' | '.join(_CELLS)} |",
    "INSERT": f"insert into t ({', '.join(_WIDE)}) values ({', '.join(map(repr, _CELLS))})",
    "COPY": f"copy t ({', '.join(_WIDE)}) from stdin;\n" + "\t".join(_CELLS),
}


@for_each("value", WIDE.values(), ids=WIDE)
def test_wide_table(value: Any) -> None:
    """A table of 3,001 columns is a table."""
    new = str(REDACTOR.payload(value).value)
    assert SECRET not in new
    assert "2999" in new

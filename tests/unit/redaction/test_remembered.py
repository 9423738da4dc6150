"""Promises of what redaction remembers: it changes the time that redaction takes, and nothing else."""

from __future__ import annotations

from typing import Any

from task_history.redaction.own_secrets import OwnSecrets
from task_history.redaction.redactor import MARK, Redactor
from tests.support.data_lines import for_each

SECRET = "hV8k2Qz9" + "TrW4mN1x"


def test_a_clean_text_is_searched_for_a_secret_that_came_later() -> None:
    """A text in which nothing was found is redacted once it is a secret of the run's own."""
    own = OwnSecrets()
    redactor = Redactor(secrets=own)
    texts = {"note": "orders of Q3", "digits": "orders 58219473"}
    assert texts == redactor.payload(texts).value
    own.add("58219473")
    assert {"note": "orders of Q3", "digits": f"orders {MARK}"} == redactor.payload(texts).value


def test_objects_with_the_same_names_are_judged_by_their_values() -> None:
    """What the names of an object say is remembered, and not what stands under them."""
    redactor = Redactor()
    ordinary = {"key": "first_name", "token": "USDC", "id": 7}
    secret = {"key": SECRET, "token": f"{SECRET}2", "id": 7}
    pair = {"name": "api_key", "value": SECRET}
    field = {"name": "first_name", "value": "Ada"}
    for _ in range(2):
        assert ordinary == redactor.payload(ordinary).value
        assert {"key": MARK, "token": MARK, "id": 7} == redactor.payload(secret).value
        assert field == redactor.payload(field).value
        assert {"name": "api_key", "value": MARK} == redactor.payload(pair).value


def test_names_that_are_secrets_are_not_remembered() -> None:
    """A token used as a name goes from each object, also from the second with that name."""
    redactor = Redactor()
    name = "ghp_" + SECRET + "9fQ2xLw71kTrW4mN1x00"
    for _ in range(2):
        assert {MARK: 1, "id": 2} == redactor.payload({name: 1, "id": 2}).value


BEFORE, BEHIND = (
    "2026-05-27T03:07:21.861Z [INFO] user=anna note: ",
    " id=5f1e0c3ab2d94e7788aa0011 attempts=3 (332)",
)
GOES = {
    "behind a name": "your PIN 4711",
    "behind a name and is": "the password is Quarz82x",
    "before a name": "471193 is your login code",
    "behind an equals sign": f"session={SECRET}",
    "a word of letters": "password=hunter",
    "a word before a weak name": "api key=hunterx",
    "behind a colon": "the password for the server: Quarz82x",
    "a number of a card": "card 4242 4242 4242 4242",
    "a scheme": f"sent Bearer {SECRET}",
    "an id behind two words": "the session id=4c1e0c3ab2d94e7788aa0019",
    "a number behind two words": "the PIN number=99994",
    "a pair": "name=password&value=hunterx82",
    "a token of a vendor": "the token ghp_" + SECRET + "9fQ2xLw71kTrW4mN1x00",
}


@for_each("text", GOES.values(), ids=GOES)
def test_a_secret_in_a_line_of_a_log_goes(text: str) -> None:
    """Times, counts and pairs around a secret do not make its line an ordinary one."""
    redactor = Redactor()
    for line in (BEFORE + text, text + BEHIND, BEFORE + text + BEHIND):
        for _ in range(2):
            assert MARK in redactor.text(line)[0]


STAYS: dict[str, Any] = {
    "a report": "the password was changed by the user",
    "a state": "session=closed",
    "a name": "key=orders_by_day",
    "a number in brackets": "the secret was read again (332)",
    "a word behind a colon": "please reset your password imported: Customer report",
    "a long name": "key=orders_and_invoices",
    "the name of a command": "login failed twice",
    "an id": "the token expired trace=5f1e0c3ab2d94e7788aa0011",
}


@for_each("text", STAYS.values(), ids=STAYS)
def test_an_ordinary_line_of_a_log_stays(text: str) -> None:
    """A line in which a word tells of a secret, and nothing is one, stays as it is."""
    redactor = Redactor()
    for line in (BEFORE + text, text + BEHIND, BEFORE + text + BEHIND):
        assert (line, 0) == redactor.text(line)

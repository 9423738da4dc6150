"""Requests for one item of many: its faults end it alone, and a log may be text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from task_history.client.request_forms import FallbackSender
from task_history.core.errors import ReadFailed, Rejected, UnexpectedResponse
from task_history.core.models import Answer, Request

from .test_client import GOOD, PASSING, Reply, ask, client_of, serving


@pytest.mark.parametrize("name", PASSING, ids=str)
def test_a_fault_that_stays_ends_its_request_only(tmp_path: Path, name: str) -> None:
    """Whatever the fault, the others are answered, and the deadline of the run is not waited for."""
    with (
        serving(lambda _, asked: PASSING[name] if "/bad" in asked else GOOD) as served,
        client_of(served.url, tmp_path, fault_deadline_s=1_000.0) as client,
    ):
        requests = [ask(path).with_fault_deadline(0.1) for path in ("/a", "/bad", "/c", "/d")]
        first, failed, *others = client.map(requests)
        assert all(isinstance(answer, Answer) for answer in (first, *others))
        assert isinstance(failed, ReadFailed)
        assert "attempts" in str(failed)
        assert failed.status in (PASSING[name][0], 0)


def test_a_fault_deadline_of_0_is_one_attempt(tmp_path: Path) -> None:
    """A fault is told at once."""
    with serving(lambda *_: PASSING["500"]) as served, client_of(served.url, tmp_path) as client:
        with pytest.raises(ReadFailed, match="in 1 attempt"):
            client.send(ask().with_fault_deadline(0.0))
        assert len(served.asked) == 1


def test_a_redirect_without_an_address_ends_its_request_only(tmp_path: Path) -> None:
    """One item that is redirected to nowhere holds up no other; any other request ends the run as before."""
    with (
        serving(lambda _, asked: (302, {}, b"") if "/bad" in asked else GOOD) as served,
        client_of(served.url, tmp_path) as client,
    ):
        bad, good = client.map([ask("/bad").with_fault_deadline(0.0), ask("/a").with_fault_deadline(0.0)])
        assert isinstance(bad, UnexpectedResponse)
        assert isinstance(good, Answer)
        with pytest.raises(UnexpectedResponse):
            client.send(ask("/bad"))


@pytest.mark.parametrize(
    ("body", "data"),
    [(b"2026 a line\n", "2026 a line\n"), (b"", ""), (b'{"a":1}', {"a": 1}), (b"\xff!", "\ufffd!")],
    ids=["text", "empty", "json", "no utf-8"],
)
def test_text_is_read_where_it_may_come(tmp_path: Path, body: bytes, data: object) -> None:
    """A log in plain text or an empty one is an answer, at the first attempt."""
    reply: Reply = (200, {"Content-Type": "text/plain"}, body)
    with serving(lambda *_: reply) as served, client_of(served.url, tmp_path) as client:
        assert client.send(replace(ask(), may_be_text=True)).data == data
        assert len(served.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b'{"cut":'], ids=["web page", "truncated"])
def test_web_pages_and_broken_json_are_no_text(tmp_path: Path, body: bytes) -> None:
    """They are faults, and tried again."""
    with (
        serving(lambda number, _: (200, {}, body) if number < 2 else GOOD) as served,
        client_of(served.url, tmp_path) as client,
    ):
        assert client.send(replace(ask(), may_be_text=True)).data == {"ok": True}


def test_a_form_that_fails_is_not_taken_for_unknown(tmp_path: Path) -> None:
    """Where the first form is not known and the second fails, the failure is told, not that the item is gone."""
    with (
        serving(lambda _, asked: (404, {}, b"{}") if "/new" in asked else PASSING["500"]) as served,
        client_of(served.url, tmp_path) as client,
    ):
        request = Request("execution", "/new", instead=ask("/old"), unknown=(404,)).with_fault_deadline(0.0)
        with pytest.raises(ReadFailed):
            FallbackSender(client).send(request)
        [answer] = FallbackSender(client).map([request])
        assert isinstance(answer, ReadFailed)
        [answer] = FallbackSender(client).map([replace(request, instead=None)])
        assert isinstance(answer, Rejected)
        assert not isinstance(answer, ReadFailed)

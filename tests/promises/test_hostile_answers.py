"""Answers that are too large or never end: memory stays bounded, all else loads, and a signal is heeded."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.sandbox_proxy import Between
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {
    "executions": 24,
    "days": 4,
    "workflows": 2,
    "failed": 0.5,
    "open_days": 0.3,
    "seed": 5,
}
SINGLE = {
    "paragon": r"/workflow-executions/[^/?]+$",
    "sailpoint": r"/workflow-executions/[^/?]+/history",
    "twinit": r"/workflows/[^/?]+(\?.*)$",
    "b3os": r"/v1/executions/(?!stats)[^/?]+$",
}
"""The target that reads the details of one execution."""
BOUND = 1 << 20
BOMB_BYTES = 1 << 30
PIECE_BYTES = 1 << 20
SECRETS = '{"id": 1, "password": "p"} '


@pytest.fixture(params=rest_as_torture(sorted(SINGLE), ("paragon",)))
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[str, SandboxProcess]]:
    """Each system's name and its vendor, whose executions have all ended."""
    with SandboxProcess(request.param, freeze=True, **WORLD) as sandbox:
        sandbox.advance(4 * 86_400)
        yield request.param, sandbox


@cache
def bomb() -> bytes:
    """About a MiB of gzip that is a GiB of JSON's spaces.

    A piece that begins anew (``Z_FULL_FLUSH``) can stand many times: https://www.zlib.net/manual.html
    """
    piece = b" " * PIECE_BYTES
    head = zlib.compressobj(9, wbits=31)
    begun = head.compress(piece) + head.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    pieces = BOMB_BYTES // PIECE_BYTES
    checksum = 0
    for _ in range(pieces):
        checksum = zlib.crc32(piece, checksum)
    end = zlib.compressobj(wbits=-15).flush() + struct.pack("<II", checksum, BOMB_BYTES % (1 << 32))
    return begun + packed * (pieces - 1) + end


def say_bomb(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n")
    out.write(b"Content-Length: %d\r\n\r\n" % len(bomb()) + bomb())


def say_endlessly(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        out.write(b" " * 65536)


def drip(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nX-Name: ")
    while True:
        out.write(b"a")
        out.flush()
        time.sleep(0.1)


def fall_silent(out: BinaryIO) -> None:
    out.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    out.flush()
    time.sleep(3600)


def speaking(pattern: str, say: Callable[[BinaryIO], None], *, times: int = 1 << 30) -> Callable[..., bool]:
    """Answers what fits the pattern so; the first so many times."""
    left = [times]

    def speaks(target: str, out: BinaryIO) -> bool:
        if left[0] <= 0 or not re.search(pattern, target):
            return False
        left[0] -= 1
        try:
            say(out)
        except OSError:
            return True
        return True

    return speaks


def peak_mib(place: Place, *words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """A command run to its end, and the most memory that it took."""
    process = place.start(*words)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.02)
    out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err), peak / 1024


def test_details_beyond_the_bound_hold_nothing_up(tmp_path: Path, behind: tuple[str, SandboxProcess]) -> None:
    """They are noted as too large with the reason, once, and are not asked for again; all others are loaded."""
    name, sandbox = behind
    system = systems.find(name)
    log = f"{name}.{system.details.log.name}"
    with Between(sandbox.base_url) as between:
        chosen: list[str] = []

        def larger(target: str, body: bytes) -> bytes:
            if re.search(SINGLE[name], target):
                chosen[:] = chosen or [target]
            return body + b" " * (2 * BOUND) if target in chosen else body

        between.answers = larger
        place = Place(tmp_path, sandbox, system=name, base_url=between.url, answer_max_bytes=BOUND)
        first = place.sync()
        assert chosen
        noted = place.query(
            f"SELECT outcome, unreadable_reason FROM {log} WHERE unreadable_reason IS NOT NULL"
        )
        assert len(noted) == 1
        assert noted[0][0] == "too_large"
        assert re.search(r"GET /.* more than 1 MiB unpacked.* answer_max_bytes = 1048576", noted[0][1])
        assert place.query(f"SELECT count(*) FROM {log}") == place.query(
            f"SELECT count(*) FROM {name}.{system.executions.name}"
        )
        assert first["complete"]
        asked = between.asked.count(chosen[0])
        place.sync()
        assert between.asked.count(chosen[0]) == asked == 1


@pytest.mark.parametrize(
    ("what", "say"),
    rest_as_torture(
        product(("list", "payload"), (say_bomb, say_endlessly)),
        kept=[("list", say_bomb)],
    ),
)
def test_memory_is_bounded_whatever_an_answer_holds(
    tmp_path: Path, what: str, say: Callable[[BinaryIO], None]
) -> None:
    """A MiB that unpacks to a GiB, or one that never ends: at most 300 MiB and three times ``answer_max_bytes``."""
    with SandboxProcess(freeze=True, **WORLD) as sandbox, Between(sandbox.base_url) as between:
        sandbox.advance(4 * 86_400)
        # A list is refused at the default, many payloads at less, which is sooner sent.
        bound_mib = 64 if what == "list" else 16
        bound: dict[str, Any] = {} if what == "list" else {"answer_max_bytes": bound_mib << 20}
        place = Place(tmp_path, sandbox, base_url=between.url, integrations=None, **bound)
        pattern = r"/workflow-executions\?" if what == "list" else r"/step-executions/|/steps/"
        between.speaks = speaking(pattern, say)
        done, peak = peak_mib(place, "sync", "paragon")
        assert peak <= 300 + 3 * bound_mib
        assert f"answer_max_bytes = {bound_mib << 20}" in done.stderr
        if what == "list":
            assert done.returncode == 4
            assert re.search(r"the list request GET /\S+ with more than 64 MiB unpacked", done.stderr)
            return
        assert done.returncode == 0
        wanted = place.query("SELECT count(*) FROM paragon.step_executions WHERE status = 'FAILED'")[0][0]
        assert wanted > 1
        outcomes = place.query("SELECT outcome, count(*) FROM paragon.step_payloads GROUP BY ALL")
        assert outcomes == [("too_large", wanted)]
        asked = len(between.asked)
        place.run("sync", "paragon")
        assert not [target for target in between.asked[asked:] if re.search(pattern, target)]


@pytest.mark.parametrize(
    ("what", "field", "texts", "size"),
    rest_as_torture(
        [
            ("list", "userId", 40, 600_000),
            ("list", "userId", 100, 600_000),
            ("list", "undocumented", 6, 10_000_000),
            ("details", "type", 150, 600_000),
        ],
        kept=[("list", "userId", 40, 600_000)],
    ),
    ids=["some in a list", "many in a list", "long ones in a list", "in many details"],
)
def test_a_long_text_in_several_rows_takes_little_memory(
    tmp_path: Path, what: str, field: str, texts: int, size: int
) -> None:
    """A long text that stands in several rows is stored in each, and no commit fails.

    In at most 500 MiB; 350 MiB where the texts are 24 MB.
    """
    with (
        SandboxProcess(freeze=True, **WORLD | {"executions": 100}) as sandbox,
        Between(sandbox.base_url) as between,
    ):
        sandbox.advance(4 * 86_400)
        pattern = r"/workflow-executions\?" if what == "list" else SINGLE["paragon"]
        left = [texts]

        def longer(target: str, body: bytes) -> bytes:
            if not re.search(pattern, target):
                return body
            answer = json.loads(body)
            for row in answer["workflowExecutions"] if what == "list" else answer["stepExecutions"]:
                if left[0] > 0:
                    left[0] -= 1
                    row[field] = "long text " * (size // 10)
            return json.dumps(answer).encode()

        between.answers = longer
        # Details of a list's executions cost requests and nothing else.
        wanted = {"steps": "none"} if what == "list" else {}
        place = Place(tmp_path, sandbox, base_url=between.url, integrations=None, **wanted)
        done, peak = peak_mib(place, "sync", "paragon", "--json", "--log-level", "warning")
        assert (done.returncode, done.stderr) == (0, "")
        table = "workflow_executions" if what == "list" else "step_executions"
        column = {"userId": "user_id"}.get(field, field)
        stored = f"SELECT count(*) FROM paragon.{table} WHERE length({column}) >= {size}"
        assert place.query(stored) == [(texts,)]
        assert peak <= (350 if texts == 40 else 500)
        assert place.sync("--log-level", "warning")["stderr"] == ""


@pytest.mark.parametrize(
    ("text", "bound_mib"),
    rest_as_torture([("long text ", 64), (SECRETS, 64), (SECRETS, 20), (SECRETS, 10)], kept=[(SECRETS, 10)]),
    ids=["words", "JSON", "less JSON", "little JSON"],
)
def test_a_payload_just_within_the_bound_takes_little_memory(
    tmp_path: Path, text: str, bound_mib: int
) -> None:
    """Inputs and outputs near the bound: at most 300 MiB and three times as much, though most of it is cut."""
    size = bound_mib * 940_000
    with (
        SandboxProcess(freeze=True, **WORLD | {"executions": 6}) as sandbox,
        Between(sandbox.base_url) as between,
    ):
        sandbox.advance(4 * 86_400)
        longer: list[str] = []

        def answer(target: str, body: bytes) -> bytes:
            if longer or not re.search(r"/step-executions/|/steps/", target):
                return body
            longer.append(target)
            escaped = json.dumps(text)[1:-1].encode()
            return body.rstrip()[:-1] + b', "output": "' + escaped * (size // len(escaped)) + b'"}'

        between.answers = answer
        bound: dict[str, Any] = (
            {} if bound_mib == 64 else {"answer_max_bytes": bound_mib << 20}
        )  # the default
        place = Place(tmp_path, sandbox, base_url=between.url, integrations=None, **bound)
        done, peak = peak_mib(place, "sync", "paragon")
        assert done.returncode == 0
        assert longer
        assert peak <= 300 + 3 * bound_mib
        stored = place.query("SELECT output_bytes FROM paragon.step_payloads WHERE is_output_cut")
        assert [abs(bytes_ - size) < size / 5 for (bytes_,) in stored] == [True]


@pytest.mark.parametrize(
    ("what", "say"),
    rest_as_torture(product(("list", "details"), (drip, fall_silent)), kept=[("list", drip)]),
)
def test_a_signal_is_heeded_while_an_answer_does_not_end(
    tmp_path: Path, what: str, say: Callable[[BinaryIO], None]
) -> None:
    """SIGTERM ends the run with exit code 0 after a moment, and the next run has the lock."""
    with SandboxProcess(freeze=True, **WORLD) as sandbox, Between(sandbox.base_url) as between:
        sandbox.advance(4 * 86_400)
        place = Place(tmp_path, sandbox, base_url=between.url, integrations=None, timeout_s=600)
        pattern = r"/workflow-executions\?" if what == "list" else SINGLE["paragon"]
        between.speaks = speaking(pattern, say, times=8)
        process = place.start("sync", "paragon")
        deadline = time.monotonic() + 120
        while not any(re.search(pattern, target) for target in between.asked):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "SIGTERM" in err
        # A busy machine may take its time; an answer would take an hour.
        assert time.monotonic() - began < 60
        between.speaks = lambda *_: False
        place.run("sync", "paragon")
        assert len(place.executions()) == len(sandbox.truth())


@pytest.mark.parametrize(
    ("proxy", "code", "reason"),
    [
        ("ftp://user:Sup3rS3cret/x9@127.0.0.1:9", 3, "of a kind that is not supported"),
        ("http://user:Sup3rS3cret/x9@127.0.0.1:9", 4, "the proxy http://127.0.0.1:9 failed"),
        ("socks5h://user:Sup3rS3cret/x9@127.0.0.1:9", 4, "the proxy socks5h://127.0.0.1:9 failed"),
    ],
    ids=["ftp", "dead", "dead socks"],
)
def test_a_proxy_that_is_of_no_use_is_told_without_its_login(
    tmp_path: Path, proxy: str, code: int, reason: str
) -> None:
    """A command ends with one sentence about the proxy and the right exit code, its password in no line."""
    place = Place(
        tmp_path,
        None,
        project_id="p",
        api_key="a-key-of-some-length",
        base_url="https://vendor.invalid",
        fault_deadline_s=0,
    )
    for name in ("https_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        place.env.pop(name, None)
    place.env["HTTPS_PROXY"] = proxy
    for words in (("sync", "paragon"), ("check", "paragon")):
        done = place.run(*words, expect=code)
        assert reason in done.stderr
        assert "Sup3r" not in done.stdout + done.stderr

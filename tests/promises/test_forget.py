"""What is stored of a person can be erased, and does not come back."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dlt
import duckdb
import pytest

import task_history
from task_history import systems
from task_history.load import row_changes, working_dir
from task_history.load.pipeline import Loader
from task_history.runs import forget as forget_module
from task_history.runs.run_lock import lock_path, run_lock
from task_history.systems.protocol import System
from task_history.warehouse.erasure import Erasure
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.altering_proxy import altering
from tests.support.forked import Forked
from tests.support.place import Place
from tests.support.snapshot import Snapshot
from tests.support.torture import rest_as_torture
from tests.support.views_of_runs import without_views

WITH_PEOPLE = ("b3os", "paragon")
WORLD: dict[str, Any] = {"days": 8, "workflows": 4, "failed": 0.3, "open_days": 0.05, "freeze": True}


def forget(place: Place, user: str, *words: str, expect: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        place.run("forget", place.system, "--user", user, "--json", *words, expect=expect).stdout
    )
    return found


def people(place: Place, system: System) -> dict[str, Counter[str]]:
    """How many executions of each person are stored, by table."""
    return {
        one.executions.name: Counter(
            dict(
                place.query(
                    f"SELECT {one.person.column}, count(*) FROM {place.system}.{one.executions.name} "
                    f"WHERE {one.person.column} <> '' GROUP BY 1"
                )
            )
        )
        for one in (system, *system.companions)
        if one.person is not None
    }


def ids_of(place: Place, system: System, user: str) -> set[str]:
    """The ids of all rows that belong to a person's executions, of these and of their steps."""
    dataset, ids = place.system, set()
    for one in (system, *system.companions):
        assert one.person is not None
        table = f"{dataset}.{one.executions.name}"
        ids |= {row[0] for row in place.query(f"SELECT id FROM {table} WHERE {one.person.column} = '{user}'")}
        for column in one.person.linked:
            sql = (
                f"SELECT {column} FROM {table} WHERE {one.person.column} = '{user}' AND {column} IS NOT NULL"
            )
            ids |= {row[0] for row in place.query(sql)}
    for one in (system, *system.companions):
        sql = f"SELECT id, workflow_execution_id FROM {dataset}.{one.details.steps.name}"
        ids |= {key for key, parent in place.query(sql) if parent in ids}
    return ids


def traces(folder: Path, words: set[str]) -> dict[str, list[str]]:
    """Which of the words stand in which file below the folder, also as addresses and filters write them."""
    found = {}
    words = {*words, *(quote(word, safe="") for word in words)}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            there = [word for word in sorted(words) if word.encode() in content]
            if there:
                found[str(path.relative_to(folder))] = there[:3]
    return found


@pytest.fixture
def loaded(name: str, tmp_path: Path) -> Iterator[tuple[Place, SandboxProcess, System]]:
    with SandboxProcess(name, executions=40, seed=5, future_hours=60, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=name, retention_days=0)
        place.sync()
        yield place, sandbox, systems.find(name)


@pytest.mark.parametrize(
    ("name", "is_long"),
    rest_as_torture([*((name, True) for name in WITH_PEOPLE), ("paragon", False)], [("paragon", False)]),
)
def test_a_forgotten_person_is_in_no_file_and_does_not_come_back(
    loaded: tuple[Place, SandboxProcess, System], is_long: bool
) -> None:
    """After forget no byte of the warehouse and the working folder holds the id of the person or of their rows.

    Syncs, a backfill, a repair and a machine without a working folder leave them out, days stay verified, and an audit
    counts them as left out and not as missing.
    """
    place, sandbox, system = loaded
    tables = people(place, system)
    user, number = tables[system.executions.name].most_common(1)[0]
    ids, others = ids_of(place, system, user), people(place, system)
    assert number > 2
    assert traces(place.folder, ids)

    shown = forget(place, user)
    assert not shown["erased"]
    assert shown["tables"][system.executions.name] == number
    assert people(place, system) == tables

    done = forget(place, user, "--yes")
    assert done["erased"]
    assert done["tables"] == shown["tables"]
    gone = {user, *ids}

    def check() -> None:
        assert traces(place.folder, gone) == {}
        for table, counts in people(place, system).items():
            assert user not in counts
            for other, stored in others[table].items():
                assert other == user or counts[other] >= stored

    check()
    assert place.query(f"SELECT row_count, ended_at IS NOT NULL FROM {system.name}.erasures") == [
        (done["rows"], True)
    ]
    # The vendor's counts are those of what is stored and left out: nothing has to be read to compare them.
    assert not is_long or system.name != "paragon" or place.sync()["requests"] <= 3
    sandbox.advance(18 * 3600)
    assert place.sync()["complete"]
    check()
    ((left_out,),) = place.query(f"SELECT count(*) FROM {system.name}.left_out_executions")
    assert left_out >= done["left_out"] >= number
    (start, end) = place.query(f"SELECT min(day)::DATE - 5, max(day)::DATE + 1 FROM {system.name}.coverage")[
        0
    ]
    month = ("--from", str(start), "--to", str(end))
    place.run("backfill", system.name, *month)
    check()
    audit = json.loads(place.run("audit", system.name, "--repair", "--json", *month, expect=None).stdout)
    check()
    assert audit["left_out"] > 0
    assert audit["missing"] == audit["surplus"] == 0
    assert audit["clean"] is not False
    days = place.query(
        f"SELECT day, executions, left_out FROM {system.name}.coverage WHERE NOT is_verified AND lane <> 'audit'"
    )
    assert days == []
    place.env["DLT_DATA_DIR"] = str(place.folder / "another_machine")
    sandbox.advance(3600)
    assert place.sync()["complete"]
    check()
    if is_long:
        place.run("views")
        place.run("views", "--check")


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshot, SandboxProcess, str]]:
    """A place after its first sync, with its vendor and the vendor's clock."""
    with SandboxProcess(executions=40, seed=6, **WORLD) as sandbox:
        place = Place(tmp_path_factory.mktemp("synced"), sandbox, integrations=None, retention_days=0)
        with without_views():
            place.sync()
        yield Snapshot(place), sandbox, sandbox.get("clock")["at"]


@pytest.fixture
def paragon(synced: tuple[Snapshot, SandboxProcess, str]) -> tuple[Place, SandboxProcess, str]:
    """A loaded place, and a person of whom something is stored."""
    snapshot, sandbox, now = synced
    sandbox.set_clock(now)
    place = snapshot.restore()
    user, _ = people(place, systems.find("paragon"))["workflow_executions"].most_common(1)[0]
    return place, sandbox, user


def _fail(*_: Any, **__: Any) -> None:
    raise OSError("as if it were killed")


def _ends_early(given: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def statements(*words: Any) -> Iterator[Any]:
        for number, statement in enumerate(given(*words)):
            if number == 2:
                _fail()
            yield statement

    return statements


STEPS = ("_leave_out", "erase_rows", "deletions", "erase_kept_rows", "rewrite_warehouse", "put")


@pytest.mark.parametrize("step", rest_as_torture(STEPS, ("deletions",)))
def test_the_same_command_ends_an_erasure_that_was_killed(
    step: str, paragon: tuple[Place, SandboxProcess, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an erasure ended early, the same command ends it, and notes all rows that were erased."""
    place, _, user = paragon
    gone = {user, *ids_of(place, systems.find("paragon"), user)}
    shown = forget(place, user)
    with monkeypatch.context() as broken:
        if step == "_leave_out":
            broken.setattr(forget_module, step, _fail)
        elif step == "deletions":
            broken.setattr(Erasure, step, _ends_early(Erasure.deletions))
        elif step == "put":
            # The first two note the person and the erasure, the third its end.
            puts, put = iter((True, True, False)), Loader.put
            broken.setattr(Loader, step, lambda *words: put(*words) if next(puts) else _fail())
        else:
            broken.setattr(working_dir if step == "erase_kept_rows" else row_changes, step, _fail)
        assert place.run("forget", "paragon", "--user", user, "--yes", expect=None).returncode in (1, 4)
    ((ended,),) = place.query("SELECT ended_at FROM paragon.erasures")
    assert ended is None
    done = forget(place, user, "--yes")
    assert done["was_forgotten"]
    assert done["tables"] == shown["tables"]
    assert traces(place.folder, gone) == {}
    assert place.query("SELECT row_count, ended_at IS NULL FROM paragon.erasures") == [(shown["rows"], False)]


KILLING = """
import os, signal, sys
from task_history.load import pipeline, row_changes, working_dir
from task_history.runs import forget
from task_history.warehouse import erasure
from task_history_cli.cli import main

place, name, call = sys.argv[1:4]
holder = {
    "forget": forget, "row_changes": row_changes, "working_dir": working_dir,
    "Loader": pipeline.Loader, "Erasure": erasure.Erasure,
}[place]
given, calls = getattr(holder, name), 0

def killed(*words, **options):
    global calls
    calls += 1
    if calls == int(call):
        os.kill(os.getpid(), signal.SIGKILL)
    return given(*words, **options)

setattr(holder, name, killed)
sys.exit(main(sys.argv[4:]))
"""
"""Runs the command, and kills the process at the n-th call of a function."""


def run_killed(place: Place, where: str, name: str, call: int, words: Sequence[str]) -> None:
    """Runs a command in a process that is killed at that call of a function."""
    program = [KILLING, where, name, str(call), *words]
    killed = Forked(program, place.folder, place.env, program="scripts")
    _, errors = killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL, errors


KILLS = (
    ("forget", "_note_person", 1),
    ("forget", "_note_erasure", 1),
    ("forget", "_leave_out", 1),
    ("Loader", "commit", 1),
    ("row_changes", "erase_rows", 1),
    ("Erasure", "deletions", 1),
    ("working_dir", "erase_kept_rows", 1),
    ("row_changes", "rewrite_warehouse", 1),
    ("Loader", "put", 2),
    ("Loader", "put", 3),
)


@pytest.mark.torture
@pytest.mark.parametrize(("where", "name", "call"), KILLS, ids=str)
def test_the_same_command_ends_an_erasure_whose_process_was_killed(
    where: str, name: str, call: int, paragon: tuple[Place, SandboxProcess, str]
) -> None:
    """SIGKILL at any step: the same command ends the erasure, and nothing of the person is left or comes back."""
    place, sandbox, user = paragon
    gone = {user, *ids_of(place, systems.find("paragon"), user)}
    words = ("forget", "paragon", "--user", user, "--yes", "--json")
    run_killed(place, where, name, call, words)
    assert forget(place, user, "--yes")["erased"]
    assert traces(place.folder, gone) == {}
    ((number, open_ones),) = place.query("SELECT count(*), count(*) - count(ended_at) FROM paragon.erasures")
    assert (number, open_ones) == (1, 0)
    sandbox.advance(3600)
    assert place.sync()["complete"]
    assert traces(place.folder, gone) == {}


def test_a_forgotten_person_and_deleted_days(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """With keep_days_executions the person stays left out, also once earlier days are loaded again."""
    place, sandbox, user = paragon
    forget(place, user, "--yes")
    place.set(keep_days_executions=4)
    sandbox.advance(3600)
    assert place.sync()["complete"]
    place.set(keep_days_executions=None)
    ((start, end),) = place.query("SELECT min(day)::DATE - 5, max(day)::DATE + 1 FROM paragon.coverage")
    place.run("backfill", "paragon", "--from", str(start), "--to", str(end))
    assert traces(place.folder, {user}) == {}


@pytest.mark.torture
def test_a_forgotten_person_and_days_that_are_kept(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """With keep_days_executions the person stays left out, and a repair finds nothing missing."""
    place, sandbox, user = paragon
    gone = {user, *ids_of(place, systems.find("paragon"), user)}
    forget(place, user, "--yes")
    place.set(keep_days_executions=4)
    sandbox.advance(3600)
    assert place.sync()["complete"]
    assert traces(place.folder, gone) == {}
    place.set(keep_days_executions=None)
    (start, end) = place.query("SELECT min(day)::DATE - 5, max(day)::DATE + 1 FROM paragon.coverage")[0]
    month = ("--from", str(start), "--to", str(end))
    place.run("backfill", "paragon", *month)
    audit = json.loads(place.run("audit", "paragon", "--repair", "--json", *month, expect=None).stdout)
    assert audit["missing"] == audit["surplus"] == 0
    assert traces(place.folder, gone) == {}


@pytest.mark.parametrize("lane", ["", "_backfill", "_backfill_7", "_audit"])
def test_nothing_is_erased_while_a_run_is_at_work(
    lane: str, paragon: tuple[Place, SandboxProcess, str]
) -> None:
    """With a run of any kind on the dataset the command exits with 5, and erases nothing."""
    place, _, user = paragon
    (folder,) = (place.folder / "dlt" / "pipelines").glob("task_history-*")
    name = f"task_history_paragon{lane}"
    with run_lock(lock_path(folder, name), name, task="another"):
        done = place.run("forget", "paragon", "--user", user, "--yes", expect=5)
    assert name in done.stderr
    assert people(place, systems.find("paragon"))["workflow_executions"][user]


def test_a_person_is_forgotten_once(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """The second time nothing is left to erase; somebody who is not known is forgotten all the same.

    Asked why an execution is missing, the command says that it is left out.
    """
    place, _, user = paragon
    sql = f"SELECT id FROM paragon.workflow_executions WHERE user_id = '{user}'"
    ((key, *_), *_) = place.query(sql)
    assert not forget(place, user, "--yes")["was_forgotten"]
    again = forget(place, user, "--yes")
    assert again["was_forgotten"]
    assert again["rows"] == 0
    assert json.loads(place.run("why", "paragon", key, "--json").stdout)["code"] == "left_out"
    assert forget(place, "nobody@example.com")["rows"] == 0
    assert not forget(place, "nobody@example.com", "--yes")["was_forgotten"]
    assert place.query("SELECT count(*) FROM paragon.erasures") == [(2,)]
    place.run("forget", "paragon", "--user", " ", "--yes", expect=2)


def test_an_id_with_spaces_around_it_is_forgotten(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """An id is taken to the letter, spaces included: it is the vendor's, and what it names can be erased."""
    place, _, user = paragon
    with duckdb.connect(str(place.file)) as connection:
        connection.execute("UPDATE paragon.workflow_executions SET user_id = ' x ' WHERE user_id = ?", [user])
    assert forget(place, "x", "--yes")["rows"] == 0
    assert forget(place, " x ", "--yes")["tables"]["workflow_executions"] > 0
    assert people(place, systems.find("paragon"))["workflow_executions"][" x "] == 0


def test_a_person_whose_executions_were_filtered_by(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """A backfill of one person leaves their id in no coverage, run or lock file after they were forgotten."""
    place, _, user = paragon
    ((start, end),) = place.query(
        "SELECT min(day)::DATE, max(day)::DATE - 1 FROM paragon.coverage WHERE executions > 0"
    )
    place.run(
        "backfill", "paragon", "--user", user, "--from", str(start - timedelta(days=9)), "--to", str(end)
    )
    assert traces(place.folder, {user})
    with duckdb.connect(str(place.file)) as connection:
        ((key, *_), *_) = connection.execute(
            "SELECT id FROM paragon.workflow_executions WHERE user_id = ?", [user]
        ).fetchall()
        connection.execute(
            "UPDATE paragon.sync_runs SET reason = ? WHERE command = 'sync'", [f"{key} was refused"]
        )
    forget(place, user, "--yes")
    assert traces(place.folder, {user, key}) == {}
    assert "user=forgotten" in {row[0] for row in place.query("SELECT filters FROM paragon.sync_runs")}


@pytest.mark.parametrize("system", ["sailpoint", "twinit"])
def test_a_system_that_names_no_person_says_so(system: str, tmp_path: Path) -> None:
    """Where executions name no person the command exits with 2 and says why."""
    place = Place(tmp_path, None, system=system)
    done = place.run("forget", system, "--user", "x", expect=2)
    assert "names no person" in done.stderr


def test_nothing_is_read_where_nobody_was_forgotten(
    paragon: tuple[Place, SandboxProcess, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync asks for nobody who was forgotten where the dataset has no table of them."""
    place, _, _ = paragon
    monkeypatch.setattr("task_history.load.loader_queries.read_left_out", _fail)
    monkeypatch.setattr("task_history.load.rows_without_package.is_table", _fail)
    assert place.sync()["complete"]


def test_a_row_that_was_stored_before_it_was_known_whose_it_is(tmp_path: Path) -> None:
    """A run whose list was read before its execution was there is erased by the sync that learns whose it is."""
    with SandboxProcess("b3os", executions=20, seed=5, future_hours=60, **WORLD) as sandbox:
        place, system = Place(tmp_path, sandbox, system="b3os", steps="none"), systems.find("b3os")
        place.sync()
        before = {row["id"] for row in sandbox.truth()}
        sandbox.advance(48 * 3600)
        new = [row for row in sandbox.truth() if row["id"] not in before and row["initiatedById"]]
        user, run = new[0]["initiatedById"], new[0]["runId"]
        forget(place, user, "--yes")
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "INSERT INTO b3os.runs SELECT * REPLACE (? AS id, NULL AS triggered_by) FROM b3os.runs LIMIT 1",
                [run],
            )
            connection.execute(
                "INSERT INTO b3os.run_nodes (id, workflow_execution_id) VALUES (?, ?)", [f"{run}:x", run]
            )
        place.sync()
        assert place.query(f"SELECT 1 FROM b3os.runs WHERE id = '{run}'") == []
        assert place.query(f"SELECT 1 FROM b3os.run_nodes WHERE workflow_execution_id = '{run}'") == []
        assert traces(place.folder, {user, run}) == {}
        assert people(place, system)["executions"]


@pytest.mark.parametrize(
    ("sent", "is_every"),
    rest_as_torture(
        product(("[7, true]", '{"name": "x"}', "true", "1e22", "5", r'"a\ud800\u0000"'), (True, False)),
        kept=[('{"name": "x"}', False)],
    ),
)
def test_people_whom_the_vendor_names_by_something_other_than_a_text(
    sent: str, is_every: bool, tmp_path: Path
) -> None:
    """A person is forgotten by the id as it is stored, whatever the vendor sends; later executions stay out, too."""

    def alter(_: str, body: bytes) -> bytes:
        pattern = rb'"userId":"[^"]*"' if is_every else rb'"userId":"[^"]*[02468]"'
        return re.sub(pattern, lambda _: b'"userId":' + sent.encode(), body)

    world = {**WORLD, "workflows": 1, "failed": 0.0}
    with (
        SandboxProcess(executions=60, seed=6, future_hours=60, **world) as sandbox,
        altering(sandbox.base_url, alter) as url,
    ):
        place = Place(tmp_path, sandbox, integrations=None, retention_days=0, steps="none", base_url=url)
        place.sync()
        before = people(place, systems.find("paragon"))["workflow_executions"]
        user, number = before.most_common(1)[0]
        assert number > 10
        forget(place, user, "--yes")
        sandbox.advance(48 * 3600)
        assert place.sync()["complete"]
        assert user not in people(place, systems.find("paragon"))["workflow_executions"]
        ((left_out,),) = place.query("SELECT count(*) FROM paragon.left_out_executions")
        assert left_out > number


def test_a_dlt_source_leaves_forgotten_people_out(paragon: tuple[Place, SandboxProcess, str]) -> None:
    """A pipeline of one's own, which lists everything anew, brings no row of a forgotten person."""
    place, _, user = paragon
    gone = {user, *ids_of(place, systems.find("paragon"), user)}
    forget(place, user, "--yes")
    place.set(steps="none")
    with place._inside():
        pipeline = dlt.pipeline(
            "history_of_my_own",
            destination=dlt.destinations.duckdb(str(place.file)),
            dataset_name="paragon",
            pipelines_dir=str(place.folder / "own"),
        )
        pipeline.run(task_history.paragon())
    assert place.query("SELECT count(*) FROM paragon.workflow_executions WHERE read_by = 'list'")[0][0] > 25
    assert traces(place.folder, gone) == {}


@pytest.mark.parametrize(("answer", "is_erased"), [("no", False), ("yes", True)])
def test_a_terminal_is_asked(
    answer: str, is_erased: bool, paragon: tuple[Place, SandboxProcess, str]
) -> None:
    """At a terminal the command shows what it would erase, asks, and does as it is told."""
    place, _, user = paragon
    ours, theirs = pty.openpty()
    process = Forked(
        ["forget", "paragon", "--user", user],
        place.folder,
        place.env,
        streams=(theirs, os.dup(theirs), os.dup(theirs)),
        start_new_session=True,
    )
    said = b""
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        while b"Type yes:" not in said:
            said += terminal.read(1000)
        assert b"workflow_executions" in said
        terminal.write(f"{answer}\n".encode())
        # Linux ends the reading of a terminal that nobody holds by an error.
        with contextlib.suppress(OSError):
            while more := terminal.read(1000):
                said += more
    assert process.wait() == 0
    assert (b"Nothing was erased" in said) == (not is_erased)
    assert bool(people(place, systems.find("paragon"))["workflow_executions"][user]) == (not is_erased)


def test_rows_without_an_id_and_packages_that_were_refused(
    paragon: tuple[Place, SandboxProcess, str],
) -> None:
    """Rows without a usable id that name the person go, those of others stay; refused packages go."""
    place, _, user = paragon
    rows = {
        "whole": json.dumps({"id": None, "userId": user}, ensure_ascii=False),
        "cut": f'{{"userId": "{user}", "a": "…',
        "another's": json.dumps({"userId": "x", "about": user}, ensure_ascii=False),
    }
    with duckdb.connect(str(place.file)) as connection:
        for key, value in rows.items():
            connection.execute(
                "INSERT INTO paragon.rejected_rows (rejected_id, table_name, value) "
                "VALUES (?, 'workflow_executions', ?)",
                [key, value],
            )
    (folder,) = (place.folder / "dlt" / "pipelines").glob("task_history-*/task_history_paragon")
    package = folder / "refused" / "1700000000.1"
    package.mkdir(parents=True)
    (package / "rows.parquet").write_text(user)
    assert forget(place, user, "--yes")["tables"]["rejected_rows"] == 2
    assert place.query("SELECT rejected_id FROM paragon.rejected_rows") == [("another's",)]
    assert not package.exists()

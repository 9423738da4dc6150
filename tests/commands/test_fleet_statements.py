"""What an account of a fleet costs that does not depend on its rows, as counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

_SYNC = """
import json
from pathlib import Path

from task_history.load.duckdb_file_server import SharedFileConnection
from task_history_cli.commands.fleet import _sync_account, _SyncTask
from task_history_cli.fleet.file_of_accounts import SharedFile, prepare, served
from task_history_cli.fleet.worker_processes import WorkerProcesses

sent, sessions = [], []
ask, make = SharedFileConnection._asked, SharedFileConnection.__init__


def asked(self, *request):
    sent.append(request)
    return ask(self, *request)


def made(self, address):
    sessions.append(address)
    make(self, address)


SharedFileConnection._asked, SharedFileConnection.__init__ = asked, made
if __name__ == "__main__":
    file = Path("warehouse.duckdb").resolve()
    shared = SharedFile((("paragon", None), ("paragon", "one")), None, "warning", "text")
    ((_, shown),) = WorkerProcesses(prepare, [shared], jobs=1).results()
    with served({file: shared}) as addresses:
        task = _SyncTask("paragon/one", "paragon", "one", None, None, None, "warning", "text", "paragon_one" in shown)
        entry = _sync_account({str(file): address for file, address in addresses.items()}, task)
    texts = [request[1] for request in sent if request[0] == "execute"]
    print(json.dumps({"code": entry["exit_code"], "texts": texts, "requests": len(sent), "sessions": len(sessions)}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("fleet")
    with SandboxProcess(executions=60, days=3, seed=7, freeze=True) as sandbox:
        place = Place(folder, sandbox, integrations=None)
        place.add_account("one", sandbox)
        (folder / "sync.py").write_text(_SYNC)
        done = subprocess.run(
            [sys.executable, "sync.py"],
            cwd=folder,
            env=place.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (folder / "sent.json").write_text(done.stdout.splitlines()[-1])
    return place


def test_an_accounts_first_sync_sends_few_requests(place: Place) -> None:
    """Requests to the process that has the file open, its sessions, and the loads: each costs as much as many rows."""
    sent = json.loads(Path(place.folder / "sent.json").read_text())
    assert sent["code"] == 0
    assert sent["requests"] <= 91
    assert sent["sessions"] <= 6
    assert place.query("SELECT count(*) FROM paragon_one._dlt_loads") == [(2,)]


def test_no_dataset_is_made_that_stays_empty(place: Place) -> None:
    """Rows are merged from files: there is no staging dataset, and none is asked for."""
    sent = json.loads(Path(place.folder / "sent.json").read_text())
    assert [text for text in sent["texts"] if "staging" in text or text.startswith("CREATE SCHEMA")] == []
    datasets = {
        name for (name,) in place.query("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal")
    }
    assert datasets == {"paragon", "paragon_one", "task_history"}

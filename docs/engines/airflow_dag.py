"""An Airflow DAG: a sync of each account every hour. The pool ``task_history`` bounds how many run at a time.

Airflow starts the command as a process and reads its exit code. In a cluster, ``KubernetesPodOperator`` takes the
same words and ``skip_on_exit_code=5``.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

FOLDER = "/srv/task-history"
COMMAND = ".venv/bin/task-history"
ACCOUNTS = {"paragon": ["paragon"], "paragon_eu": ["paragon", "--instance", "eu"]}
UNEXPECTED, USAGE, CONFIGURATION, ALREADY_RUNNING = 1, 2, 3, 5


@task(pool="task_history", retries=3, retry_delay=timedelta(minutes=1), retry_exponential_backoff=True)
def sync(words: list[str]) -> None:
    """The sync of one account. What a person has to mend is not tried again."""
    code = subprocess.run(
        [COMMAND, "sync", *words, "--log-format", "json"], cwd=FOLDER, check=False
    ).returncode
    if code == ALREADY_RUNNING:
        raise AirflowSkipException("another run of this account is active")
    if code in (UNEXPECTED, USAGE, CONFIGURATION):
        raise AirflowFailException(f"exit code {code}: see the log")
    if code:
        raise RuntimeError(f"exit code {code}")


@dag(schedule="0 * * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def task_history() -> None:
    """One task for each account."""
    for name, words in ACCOUNTS.items():
        sync.override(task_id=f"sync_{name}")(words)


task_history()

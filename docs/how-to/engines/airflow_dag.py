"""An Airflow DAG: a sync of each account every hour, as a process.

The pool bounds how many run at a time: ``airflow pools set task_history 4 "syncs at a time"``.

In a cluster, ``KubernetesPodOperator`` takes the same words and ``skip_on_exit_code=5``.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag
from airflow.sdk.exceptions import AirflowException, AirflowFailException

FOLDER = "/srv/task-history"
COMMAND = ".venv/bin/task-history"
ACCOUNTS = {"paragon": ["paragon"], "paragon_eu": ["paragon", "--instance", "eu"]}
UNAVAILABLE, ALREADY_RUNNING = 4, 5


class SyncOperator(BashOperator):
    """The sync of one account. What a person has to mend is not tried again; a task that is ended sends SIGTERM."""

    def execute(self, context: Any) -> Any:
        """Runs the command. Raises AirflowFailException where trying again does not help."""
        try:
            return super().execute(context)
        except AirflowException as error:
            process = self.subprocess_hook.sub_process
            code = None if process is None else process.returncode
            if code is not None and code > 0 and code not in (UNAVAILABLE, ALREADY_RUNNING):
                raise AirflowFailException(f"{error} See the log.") from error
            raise


@dag(schedule="0 * * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def task_history() -> None:
    """One task for each account."""
    for name, words in ACCOUNTS.items():
        SyncOperator(
            task_id=f"sync_{name}",
            # exec: the SIGTERM that ends a task reaches the command and not a shell.
            bash_command=f"exec {COMMAND} sync {shlex.join(words)} --log-format json",
            cwd=FOLDER,
            skip_on_exit_code=ALREADY_RUNNING,
            pool="task_history",
            retries=3,
            retry_delay=timedelta(minutes=1),
            retry_exponential_backoff=True,
        )


task_history()

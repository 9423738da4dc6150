"""The smallest script that keeps a warehouse up to date with Paragon's Task History."""

import dlt

from task_history import paragon, sync


def load() -> None:
    """Everything since the last call, in many commits; killed, the next call goes on where it was."""
    pipeline = dlt.pipeline("task_history_paragon", destination="duckdb", dataset_name="paragon")
    result = sync(pipeline, paragon())
    print(f"{result.executions:,} executions, {result.steps:,} steps, {result.payloads:,} payloads.")
    if not result.is_complete:
        print(f"Left: {result.left.details:,} executions without steps, {result.left.payloads:,} payloads.")


if __name__ == "__main__":
    load()

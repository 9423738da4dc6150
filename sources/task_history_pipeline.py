"""The smallest script that keeps a warehouse up to date with Paragon's Task History."""

import dlt

from task_history import paragon


def load() -> None:
    """One commit; run it again for more of the backlog."""
    pipeline = dlt.pipeline("task_history_paragon", destination="duckdb", dataset_name="paragon")
    print(pipeline.run(paragon()))


if __name__ == "__main__":
    load()

"""What the vendor purges is named: what was lost for good, and what was never resolved."""

from __future__ import annotations

import json
from pathlib import Path

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place, truth

NOW = "2026-06-01T12:00:00+00:00"
DAY_S = 86_400


def _place(folder: Path, sandbox: SandboxProcess) -> Place:
    return Place(
        folder,
        sandbox,
        steps="none",
        payloads="none",
        integrations=None,
        retention_days=30,
        start_date="2026-05-20",
    )


def test_a_sync_that_was_off_for_too_long_says_what_is_lost(tmp_path: Path) -> None:
    """Off for longer than the vendor keeps executions, a sync names the span, does not call it covered, goes on."""
    with SandboxProcess(
        executions=600, seed=101, days=10, future_hours=24 * 70, now=NOW, freeze=True, retention_days=30
    ) as sandbox:
        place = _place(tmp_path, sandbox)
        place.quick_sync()
        sandbox.advance(60 * DAY_S)
        result = place.sync()
        lost = result["lost"]
        assert lost["from"].startswith("2026-06-01T12:00")
        assert lost["until"].startswith("2026-07-01T12:0")
        assert "lost_for_good" in result["stderr"]
        right, held = truth(sandbox), place.executions()
        assert right.keys() <= held.keys()
        assert all(held[key] == row for key, row in right.items())
        days = {
            row[0]
            for row in place.query(
                "SELECT strftime(day, '%Y-%m-%d') FROM paragon.coverage WHERE lane = 'sync'"
            )
        }
        assert "2026-06-15" not in days
        assert {"2026-05-30", "2026-07-20"} <= days
        assert place.sync()["lost"] is None
        assert place.query("SELECT DISTINCT retention_days FROM paragon.sync_runs") == [(30.0,)]
        told = json.loads(place.run("status", "paragon", "--json").stdout)["systems"][0]
        assert len(told["lost"]) == 1
        assert "purged before a sync read it" in place.run("status", "paragon").stdout


def test_open_executions_that_pass_the_horizon_are_unresolved(tmp_path: Path) -> None:
    """An execution that was open when last seen and is purged since is marked so, visibly, and not asked for again."""
    with SandboxProcess(
        executions=500, seed=102, days=10, open_days=0.1, now=NOW, freeze=True, retention_days=30
    ) as sandbox:
        place = _place(tmp_path, sandbox)
        place.quick_sync()
        opened = {row[0] for row in place.query("SELECT id FROM paragon.workflow_executions WHERE is_open")}
        assert opened
        sandbox.advance(45 * DAY_S)
        result = place.sync()
        marked = place.query(
            "SELECT id, is_open, status, purged_at_source IS NOT NULL FROM paragon.workflow_executions "
            "WHERE resolution = 'unresolved_at_retention'"
        )
        assert {row[0] for row in marked} == opened
        assert all(row[1] is False and row[2] in ("EXECUTING", "DELAYED") and row[3] for row in marked)
        assert result["unresolved"] == len(opened)
        told = place.run("status", "paragon").stdout
        assert f"{len(opened):,} executions were open as the vendor's retention passed over them" in told
        sandbox.reset_counters()
        place.quick_sync()
        assert sandbox.counters().get("execution", 0) == 0

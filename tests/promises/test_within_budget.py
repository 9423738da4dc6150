"""Never more requests than configured in any period, over all processes; and all of them while there is work."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history.client import rate_limit
from task_history.client.rate_limit_store import BudgetReading
from task_history.core.errors import ConfigurationError
from task_history.core.models import Answer, Request
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.budgets import check_shared_budget
from tests.support.place import PERFECT, Place, differences
from tests.support.torture import rest_as_torture
from tests.unit.client.test_client import client_of


def _stamps(sandbox: SandboxProcess) -> list[float]:
    return [request["at"] for request in sandbox.requests()]


@pytest.mark.parametrize(
    ("limit", "period_s", "periods"),
    [(20, 3.0, 1), pytest.param(100, 5.0, 3, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
def test_three_processes_share_one_budget(tmp_path: Path, limit: int, period_s: float, periods: int) -> None:
    """Three syncs on one key, one of them killed and started again: no 429, never over the limit, and it is used."""
    with SandboxProcess(executions=5_000, seed=21, freeze=True, limit=limit, period_s=period_s) as sandbox:
        places = []
        for name in ("a", "b", "c"):
            folder = tmp_path / name
            folder.mkdir()
            place = Place(
                folder, sandbox, rate_limit_requests=limit, rate_limit_period_s=period_s, integrations=None
            )
            place.env["TASK_HISTORY_STATE_DIR"] = str(tmp_path / "state")
            places.append(place)
        check_shared_budget(sandbox, places, limit=limit, period_s=period_s, periods=periods)


def _used(stamps: list[float], limit: int, period_s: float) -> float:
    """The share of the limit that was used, up to the last request that was the first of as many as the limit."""
    whole = (len(stamps) - 1) // limit
    return whole * period_s / (stamps[whole * limit] - stamps[0])


@pytest.mark.parametrize(
    ("limit", "period_s", "periods"),
    [(100, 2.5, 3), pytest.param(1000, 10.0, 6, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
def test_the_limit_is_used_while_there_is_work(
    tmp_path: Path, limit: int, period_s: float, periods: int
) -> None:
    """Requests side by side, without a pause: 99 % of the limit from the first to the last, and never more.

    The best of three counts of what is used: others on the machine only make it less.
    """
    assert any(_share(tmp_path, limit, period_s, periods) >= 0.99 for _ in range(3))


def _share(folder: Path, limit: int, period_s: float, periods: int) -> float:
    with SandboxProcess(executions=500, seed=23, freeze=True, limit=limit, period_s=period_s) as sandbox:
        path = f"/projects/{sandbox.project_id}/task-history/workflow-executions"
        own = rate_limit.Budget(limit, period_s, origin=sandbox.base_url, key="key", state_dir=folder)
        with client_of(
            sandbox.base_url,
            folder,
            budget=own,
            authorization=lambda: {"Authorization": f"Bearer {sandbox.api_key}"},
        ) as client:
            requests = (Request("list", path) for _ in range(periods * limit + 1))
            answers = list(client.map(requests, is_raw=True))
            assert all(isinstance(answer, Answer) for answer in answers)
        own.close()
        counters = sandbox.counters()
        assert counters["violations"] == 0
        assert counters["peak"] <= limit
        return _used(_stamps(sandbox), limit, period_s)


@pytest.mark.torture
def test_a_sync_uses_the_limit(tmp_path: Path) -> None:
    """A first sync of more than the limit allows at once: 99 % of the limit from its first request to its last.

    The best of three syncs: others on the machine only make it less.
    """
    assert any(_share_of_sync(tmp_path / str(number)) >= 0.99 for number in range(3))


def _share_of_sync(folder: Path) -> float:
    folder.mkdir()
    # Few requests for a second, so that not the processor sets the pace.
    limit, period_s = 200, 10.0
    with SandboxProcess(executions=64_000, seed=24, freeze=True, limit=limit, period_s=period_s) as sandbox:
        place = Place(
            folder,
            sandbox,
            rate_limit_requests=limit,
            rate_limit_period_s=period_s,
            steps="none",
            payloads="none",
            integrations=None,
        )
        assert place.sync()["complete"]
        counters = sandbox.counters()
        assert counters["violations"] == 0
        assert counters["peak"] <= limit
        return _used(_stamps(sandbox), limit, period_s)


@pytest.mark.parametrize("form", rest_as_torture(["seconds", "date", "none"], kept=["date"]))
def test_a_lower_limit_than_configured_sets_the_pace(tmp_path: Path, form: str) -> None:
    """When the vendor allows less than is configured, the sync is told so, waits and completes."""
    with SandboxProcess(
        executions=45, seed=22, days=3, freeze=True, limit=20, period_s=2, switch={"too_many": form}
    ) as sandbox:
        place = Place(tmp_path, sandbox, rate_limit_requests=1000, rate_limit_period_s=2, integrations=None)
        result = place.sync()
        assert result["complete"]
        assert differences(place, sandbox) == PERFECT
        assert result["waited_s"]["retry_after"] > 0


def test_unlimited_use_writes_no_file(tmp_path: Path) -> None:
    """``rate_limit_requests = 0`` keeps no count at all."""
    with SandboxProcess(executions=100, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        place.quick_sync()
        assert not (tmp_path / "state").exists()


def test_a_count_that_cannot_be_read_ends_no_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the budget has left is only told: where its file cannot be read just then, the sync goes on."""

    def unreadable(*_: object) -> BudgetReading:
        raise ConfigurationError("The budget's file cannot be read (database is locked).")

    with SandboxProcess(executions=100, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, rate_limit_requests=1000, steps="none", payloads="none")
        monkeypatch.setattr(rate_limit, "look", unreadable)
        result = place.quick_sync()
        assert result["complete"]
        assert result["budget"]["left"] is None
        assert differences(place, sandbox) == PERFECT

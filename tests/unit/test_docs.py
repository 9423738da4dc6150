"""The pages in ``docs`` name what is there."""

from __future__ import annotations

import re

from task_history_cli.runtime.telemetry import METRICS
from tests.support.place import ROOT


def test_each_line_of_the_threat_model_has_its_test() -> None:
    """Every threat names at least one test, and each test that is named is there."""
    page = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    threats = [line.split("|") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(threats) >= 15
    for threat in threats:
        file = ""
        tests = re.findall(r"`([\w/.]*)::(\w+)`", threat[4])
        assert tests, threat
        for path, name in tests:
            file = path or file
            assert f"def {name}(" in (ROOT / file).read_text("utf-8"), (file, name)


def test_the_readme_names_each_metric_with_its_unit_and_meaning() -> None:
    """The table of metrics is that of the code."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, (unit, meaning) in METRICS.items():
        assert f"| `{name}` | {unit} | {meaning} |" in readme, name

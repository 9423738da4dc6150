"""What contributors read and run is what the project does."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.support.place import ROOT


def test_hooks_run_what_make_check_runs() -> None:
    """Each command of ``make check`` is a hook of pre-commit, with the same words."""
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "").replace("$(BIN)", ".venv/bin")
    lines = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert lines is not None
    commands = {" ".join(line.split()).removesuffix(" .") for line in lines[1].splitlines()}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert {hook["entry"] for hook in hooks} == commands


def test_the_packages_stand_in_their_order() -> None:
    """The page's table is the order that ``make check`` enforces."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (each["layers"] for each in contracts if each.get("containers") == ["task_history"])
    page = (ROOT / "docs" / "how-to" / "contribute.md").read_text("utf-8")
    table = page[page.index("| Package |") :].split("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]
    assert rows == [layer.split(" | ") for layer in reversed(layers)]


def test_the_files_where_changes_begin_are_there() -> None:
    """Each file that the page names, as a path within the library or the command, exists."""
    page = (ROOT / "docs" / "how-to" / "contribute.md").read_text("utf-8")
    table = page[page.index("| To change |") :].split("\n\n")[0]
    named = [
        path.replace("<vendor>", "paragon").replace("<view>", "steps").replace("<command>", "backfill")
        for path in re.findall(r"`([\w/<>]+\.(?:py|toml|sql))`", table)
    ]
    places = [ROOT / "sources" / "task_history", ROOT / "pipelines" / "task_history_cli"]
    assert len(named) > 15
    assert [path for path in named if not any((place / path).is_file() for place in places)] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_github_pages_lead_to_files(name: str) -> None:
    """They are outside the documentation, whose links are checked when it is built."""
    folder = ROOT / ".github"
    links = re.findall(r"\]\(([^)#]+)", (folder / name).read_text("utf-8"))
    assert links
    assert all((folder / link).is_file() for link in links)


def test_issue_forms_are_forms() -> None:
    """Each has a name, a description and fields with labels, as GitHub requires.

    https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms
    """
    forms = [
        path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
    ]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text("utf-8"))
        assert form["name"]
        assert form["description"]
        assert all(field["attributes"]["label"] for field in form["body"])

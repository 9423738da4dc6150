"""What contributors read and run is what the project does."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from task_history import systems
from task_history.core.exit_codes import ExitCode
from task_history_cli.runtime import notices
from tests.support.place import ROOT

PACKAGES = [
    Path(folder)
    for folder in (
        *(
            f"sources/task_history{each}"
            for each in ("", "/client", "/redaction", "/runs", "/views", "/warehouse")
        ),
        *(f"pipelines/task_history_cli{each}" for each in ("", "/fleet", "/report", "/runtime")),
    )
]
"""Packages whose docstrings list their modules."""


def test_no_module_is_too_long_to_read() -> None:
    """Each has 450 lines at most."""
    files = [path for name in ("sources", "pipelines") for path in (ROOT / name).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert len(lengths) > 300
    assert {name: lines for name, lines in lengths.items() if lines > 450} == {}


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


@pytest.mark.parametrize("folder", PACKAGES, ids=str)
def test_a_package_that_lists_its_modules_lists_all(folder: Path) -> None:
    """The docstring of a package that says what its modules hold says it of each of them."""
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8"))) or ""
    modules = {path.stem for path in (ROOT / folder).glob("[!_]*.py")} | {
        path.parent.name for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert {module for module in modules if not re.search(rf"\b{module}\b", text)} == set()


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


@pytest.mark.parametrize("system", systems.names())
def test_every_list_of_systems_names_each(system: str) -> None:
    """A further system is named where users and contributors read which systems there are."""
    title = systems.find(system).title.split()[0]
    docs = ROOT / "docs"
    assert f"(docs/systems/{system}.md)" in (ROOT / "README.md").read_text("utf-8")
    assert f"(systems/{system}.md)" in (docs / "index.md").read_text("utf-8")
    assert f'"systems/{system}"' in (docs / "conf.py").read_text("utf-8"), "the sidebar of the site"
    assert title in (docs / "index.md").read_text("utf-8")
    glossary = (docs / "explanation" / "glossary.md").read_text("utf-8")
    assert f"`{system}`" in next(line for line in glossary.splitlines() if line.startswith("| **system**"))
    for form in ("vendor-answer.yml", "wrong-rows.yml"):
        body = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text("utf-8"))["body"]
        assert any(system in field.get("attributes", {}).get("options", ()) for field in body), form


def test_each_exit_code_is_in_the_table_for_engines() -> None:
    """The page says for each exit code what an engine does with it, once."""
    page = (ROOT / "docs" / "how-to" / "other-engines.md").read_text("utf-8")
    table = page[page.index("| Exit code | Do |") :].split("\n\n")[0]
    firsts = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert sorted(int(code) for first in firsts for code in re.findall(r"\d+", first)) == sorted(
        map(int, ExitCode)
    )


def test_each_notice_is_in_the_page_about_alerts() -> None:
    """The page lists as many occasions as there are notices: that of a failed run, and those of a result."""
    page = (ROOT / "docs" / "how-to" / "alerting.md").read_text("utf-8")
    listed = page[page.index("A message goes out") :].split("\n\n")[1]
    everything = {
        "lost": {"from": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC)},
        "unverified_windows": 1,
        "rejected": 1,
        "schema_changes": 1,
        "covered_until": datetime(2026, 1, 1, tzinfo=UTC),
    }
    told = {
        event
        for command in ("sync", "backfill")
        for event, _, _ in notices.events(
            {**everything, "command": command}, datetime(2026, 2, 1, tzinfo=UTC), behind_hours=1.0
        )
    }
    source = inspect.getsource(notices.events)
    assert len(told) == source.count("yield ("), "the result above lacks what a notice is about"
    assert listed.count("\n- ") + listed.startswith("- ") == 1 + len(told)


def test_what_is_not_released_has_a_version_of_its_own() -> None:
    """Warehouses tell versions apart: while something is not released, no release has the version of this tree."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert (headings[0] == "Unreleased") != (version in headings)
    assert f"task_history-{version}-py3-none-any.whl" in (ROOT / "README.md").read_text("utf-8")

"""The pages in ``docs`` and the README name what is there."""

from __future__ import annotations

import re

from tests.support.place import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    """No page links to a file or heading that is not there."""
    dead = []
    for page in PAGES:
        for path, anchor in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
            file = page.parent / path if path else page
            if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
                dead.append((str(page.relative_to(ROOT)), path, anchor))
    assert dead == []


def test_every_page_can_be_reached() -> None:
    """Each page is linked from the index, directly or through a page of its own kind."""
    index = ROOT / "docs" / "index.md"
    reached, new = {index}, [index]
    while new:
        page = new.pop()
        for path, _ in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
            file = (page.parent / path).resolve()
            if file.suffix == ".md" and file not in reached:
                reached.add(file)
                new.append(file)
    assert [page for page in PAGES if page not in reached and page.parent != ROOT] == []


def test_the_readme_is_short() -> None:
    """The README has at most 200 lines."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


def test_each_line_of_the_threat_model_has_its_test() -> None:
    """Every threat names at least one test, and each test that is named is there."""
    page = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
    threats = [line.split("|") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(threats) >= 15
    for threat in threats:
        file = ""
        tests = re.findall(r"`([\w/.]*)::(\w+)`", threat[4])
        assert tests, threat
        for path, name in tests:
            file = path or file
            assert f"def {name}(" in (ROOT / file).read_text("utf-8"), (file, name)


def test_what_was_tried_with_a_destination_names_its_test() -> None:
    """Every line of the table names tests that are there; of what has no test the page says that nothing was tried."""
    page = (ROOT / "docs" / "reference" / "destinations.md").read_text("utf-8")
    table = page.partition("## ")[0]
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(lines) >= 20
    for _, tried, _, tests in lines:
        named = re.findall(r"`(tests/[\w/.]*)(?:::(\w+))?`", tests)
        assert named or tried.strip() == "nothing", tried
        for file, name in named:
            assert not name or f"def {name}(" in (ROOT / file).read_text("utf-8"), (file, name)
            assert (ROOT / file).exists(), file

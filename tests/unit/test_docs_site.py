"""The site of ``make docs``: its links hold, it works from the file system, and it loads nothing from elsewhere."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.place import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Loaded(HTMLParser):
    """The addresses that a page loads when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset") and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the Makefile does; a link inside it that leads nowhere fails the build."""
    return _build(ROOT / "docs", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def site_of_two_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two pages of its own."""
    project = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "pyproject.toml", project)
    docs = project / "docs"
    shutil.copytree(ROOT / "docs" / "images", docs / "images")
    (docs / "conf.py").write_text(f"{(ROOT / 'docs' / 'conf.py').read_text()}\nNAVIGATION = {{}}\n")
    (docs / "other.md").write_text("# Another page\n")
    (docs / "index.md").write_text("# One page\n\nOf *retention*.\n")
    return _build(docs, tmp_path_factory.mktemp("site"))


def _build(docs: Path, folder: Path) -> Path:
    (words,) = re.findall(
        r"^\t\S*sphinx-build (.*) docs site$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    done = subprocess.run(
        [str(environments.sphinx()), *words.split(), str(docs), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_navigation_is_there() -> None:
    """Sphinx fails where one is not; those that are not named stand behind them."""
    named = runpy.run_path(str(ROOT / "docs" / "conf.py"))["NAVIGATION"].values()
    assert [page for pages in named for page in pages if not (ROOT / "docs" / f"{page}.md").exists()] == []


@pytest.mark.torture
def test_every_page_is_in_the_site(site: Path) -> None:
    """Each page in ``docs`` is a page of the site."""
    docs = ROOT / "docs"
    pages = [page.relative_to(docs).with_suffix(".html") for page in docs.rglob("*.md")]
    assert [page for page in pages if not (site / page).exists()] == []


@pytest.mark.parametrize(
    "name", ["site_of_two_pages", pytest.param("site", marks=pytest.mark.torture)], ids=["two pages", "all"]
)
def test_nothing_is_loaded_from_elsewhere(name: str, request: pytest.FixtureRequest) -> None:
    """Pages and styles load files of the site only."""
    site: Path = request.getfixturevalue(name)
    foreign = re.compile(r"^\s*(?:[a-z]+:)?//")
    for page in site.rglob("*.html"):
        found = Loaded(page.read_text("utf-8")).addresses
        assert [address for address in found if foreign.match(address)] == [], page
    for style in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")]+)", style.read_text("utf-8"))
        assert [address for address in found if foreign.match(address)] == [], style


@pytest.mark.torture
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_search_works_without_a_server(site: Path, tmp_path: Path) -> None:
    """A word finds its pages in a browser that opened the file."""
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    words += [
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        f"{site.as_uri()}/search.html?q=retention",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert 'href="reference/settings.html' in done.stdout, done.stderr[-2000:]

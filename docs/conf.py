"""Sphinx's configuration for the site that `make docs` builds. https://www.sphinx-doc.org/en/master/usage/configuration.html

Pages are Markdown that GitHub shows as well; the order of the pages is here, not in them.
"""

import tomllib
from pathlib import Path
from typing import Any

NAVIGATION = {
    "": ["tutorial"],
    "Run": [
        "how-to/schedule",
        "how-to/alerting",
        "how-to/many-accounts",
        "how-to/several-machines",
        "how-to/dagster",
        "how-to/other-engines",
        "how-to/network",
        "how-to/upgrade",
        "how-to/troubleshooting",
    ],
    "Load": [
        "how-to/backfill-a-month",
        "how-to/audit",
        "how-to/replay",
        "how-to/bigquery",
        "how-to/other-warehouses",
    ],
    "Ask": [
        "how-to/query-the-views",
        "how-to/answer-twenty-questions",
        "how-to/report",
        "how-to/time-zone",
        "how-to/customers",
        "how-to/dbt",
        "how-to/why",
    ],
    "Govern": ["how-to/columns-and-retention", "how-to/forget-a-person"],
    "Build": ["how-to/use-as-a-dlt-source", "how-to/add-a-system", "how-to/sandbox", "how-to/contribute"],
    "Systems": ["systems/paragon", "systems/sailpoint", "systems/twinit", "systems/b3os"],
    "Reference": [
        "reference/command-line",
        "reference/settings",
        "reference/views",
        "reference/tables",
        "reference/destinations",
        "reference/exit-codes",
        "reference/json",
        "reference/log-events",
        "reference/metrics",
        "reference/files",
    ],
    "Explanation": [
        "explanation/how-it-works",
        "explanation/promises",
        "explanation/evidence",
        "explanation/budget",
        "explanation/columns",
        "explanation/redaction",
        "explanation/threat-model",
        "explanation/limits",
        "explanation/decisions",
        "explanation/performance",
        "explanation/glossary",
    ],
}
"""The pages by the heading that they stand under."""

project = "task-history"
version = release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]["version"]
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"task-history {version}"
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser does not do without a server
html_use_index = False
html_show_sphinx = False
html_show_copyright = False
highlight_language = "none"


def add_navigation(app: Any, page: str, source: list[str]) -> None:
    """Puts the pages' order behind the index, where a reader of the file does not see it; then the pages not named."""
    if page != "index":
        return
    named = {name for pages in NAVIGATION.values() for name in pages}
    others = sorted(app.env.found_docs - named - {"index"})
    for caption, pages in {**NAVIGATION, "More": others}.items():
        lines = ["", "```{toctree}", ":hidden:", f":caption: {caption}" if caption else "", *pages, "```", ""]
        source[0] += "\n".join(lines)


def setup(app: Any) -> None:
    """Sphinx's own entry."""
    app.connect("source-read", add_navigation)

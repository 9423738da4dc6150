"""The package's description, from the README: without images and without links to files, which lead nowhere elsewhere."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_IMAGE = re.compile(r"^!\[[^\]]*\]\((?!https?://)[^)]*\)\n+", re.MULTILINE)
_COMMENT = re.compile(r"^ *<!--.*?-->\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]*\)")


class Description(MetadataHookInterface):
    """Sets the metadata's readme."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds the description to the metadata."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _LINK.sub(r"\1", _COMMENT.sub("", _IMAGE.sub("", text))),
        }

"""Brings pages that stand outside docs/ into the site, as an MkDocs hook.

README is the front page. Links that lead from one of these pages to another work in the repository
as they are written; here they are turned into those of the site.
"""

import os.path
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
# Where pages from elsewhere stand in the site.
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "weights/README.md": "model-card.md",
    "demo/CREDITS.md": "credits.md",
    "LICENSE": "LICENSE.txt",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
# Their pictures are the repository host's, and are not part of the site.
_BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside docs/."""
    for source, place in PLACES.items():
        text = (ROOT / source).read_text("utf-8")
        content = relink(text, source) if place.endswith(".md") else text
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **others: Any) -> str:
    """Turns links out of docs/ into those of the site."""
    generated = page.file.src_uri in PLACES.values()
    return markdown if generated else relink(markdown, f"docs/{page.file.src_uri}")


def relink(text: str, source: str) -> str:
    """Turns the relative links of a page into those of the site.

    Args:
        text: Markdown.
        source: the page's path from the project's root.

    Returns:
        The text; links to files that are not part of the site become words.
    """

    def turn(link: re.Match[str]) -> str:
        mark, words, target, anchor = link.groups(default="")
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))  # noqa: PTH118, PTH120
        place = PLACES.get(path)
        if path.startswith("docs/") and not path.endswith(".py"):
            place = path.removeprefix("docs/")
        return f"{mark}[{words}]({place}{anchor})" if place else words

    return _LINK.sub(turn, _BADGE.sub("", text))

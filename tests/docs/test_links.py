"""Links of the pages: files and headings that they name are there."""

import re
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from tests.docs.pages import PAGES, ROOT

LINK = re.compile(
    r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s[^)]*)?\)|<(https?://[^>]+)>"
    r"|<\w[^>]*\s(?:src|href)=[\"']([^\"']+)|^\[[^\]]+\]:\s*(\S+)",
    re.MULTILINE,
)
# Pages of the host of the repository, beside its files.
HOST = "../../actions/workflows/tests.yml"
LINKED = [*PAGES, ROOT / "CHANGELOG.md"]


def links(path: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"\[!\[[^\]]*\]\(([^)]*)\)\]", r"[badge](\1)[]", text)
    return ["".join(groups) for groups in LINK.findall(text)]


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {slugify(re.sub(r"[`*]", "", title), "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if link.startswith("https://"):
            dead += [] if re.fullmatch(r"https://[\w.-]+\.\w+(/[^\s<>]*)?", link) else [link]
            continue
        if link.removesuffix("/badge.svg") == HOST:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        known = target.is_relative_to(ROOT) and target.exists()
        if not known or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# A `b` title\n[a](b.md#c) `[no](d.md)` ![p](e.png) <https://f.org>\n"
        "[![x](y.svg)](z)\n[t](g.md \"title\") <img alt='' src='h.png'>\n[r]: i.md\n"
        "```text\n# no\n```\n"
    )
    assert links(page) == [
        "b.md#c",
        "e.png",
        "https://f.org",
        "y.svg",
        "z",
        "g.md",
        "h.png",
        "i.md",
    ]
    assert anchors(page) == {"a-b-title"}


def test_every_page_is_reached_from_readme() -> None:
    """Pages of the site stand in its navigation, which `mkdocs build --strict` holds."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        names = [link.partition("#")[0] for link in links(page) if not link.startswith("https")]
        waiting += [(page.parent / n).resolve() for n in names if n and "actions/" not in n]
    assert [str(page) for page in PAGES if page not in seen] == []

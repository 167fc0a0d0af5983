"""The documentation as a site: it is whole, and fetches nothing from other hosts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.making.site import PLACES, relink
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        build,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_all_pages_are_there(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    pages |= {Path(place).stem for place in PLACES.values() if place.endswith(".md")}
    assert {path.stem for path in site.glob("*.html")} == pages | {"404"}
    assert "MIT License" in (site / "LICENSE.txt").read_text("utf-8")


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text("utf-8")
        fetched = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*", text)
        assert [tag for tag in fetched if re.search(r"(src|href)=\"?(https?:)?//", tag)] == []
        assert fetched
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text("utf-8")) == []


def test_links_between_the_pages_are_those_of_the_site() -> None:
    text = "[a](docs/video.md#plate) ![p](docs/pictures/x.png) [m](weights/README.md)"
    assert (
        relink(text, "README.md") == "[a](video.md#plate) ![p](pictures/x.png) [m](model-card.md)"
    )
    assert relink("[c](../configs/demo.yaml) [t](#top)", "docs/video.md") == "c [t](#top)"
    assert relink("[w](../docs/making/video.py), [w](src)", "demo/CREDITS.md") == "w, w"
    assert (
        relink("[e](https://a.org/b) [s](video.md)", "docs/x.md")
        == "[e](https://a.org/b) [s](video.md)"
    )
    assert relink("[![b](../../x.svg)](../../x)\nnext", "README.md") == "next"

"""Rewriting imports: what becomes of each form, and that every file of the project can be."""

import pytest

from runtime.one_name import PACKAGES, ROOT, list_names, rewrite_imports

NAMES = ["model", "media", "evaluate"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from model import MattingBase", "from matting.model import MattingBase"),
        ("from model.weights import x as y", "from matting.model.weights import x as y"),
        ("from matting.plate import align", "from matting.plate import align"),
        ("from .model import x", "from .model import x"),
        ("from models import x", "from models import x"),
        ("import media.pictures as p", "import matting.media.pictures as p"),
        ("import os, evaluate as e, sys", "import os, matting.evaluate as e, sys"),
        (
            "def f():\n  '''from model import x'''\n  from model import (\n    x,\n  )",
            "def f():\n  '''from model import x'''\n  from matting.model import (\n    x,\n  )",
        ),
        ("model = 'from model'  # from model import", "model = 'from model'  # from model import"),
        (
            "import media.a as a; from model import b; import media as c",
            "import matting.media.a as a; from matting.model import b; import matting.media as c",
        ),
    ],
)
def test_only_imports_of_the_project_are_rewritten(before: str, after: str) -> None:
    assert rewrite_imports(before, NAMES, "matting") == after


def test_another_name_takes_the_place_of_matting_too() -> None:
    source = "from matting import Matting\nfrom matting.plate.align import x\nfrom model import y"
    assert rewrite_imports(source, NAMES, "hub") == (
        "from hub import Matting\nfrom hub.plate.align import x\nfrom hub.model import y"
    )


@pytest.mark.parametrize(
    "source",
    ["import media.pictures", "import media", "from  model import x", "from \\\n model import x"],
)
def test_what_could_not_be_rewritten_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        rewrite_imports(source, NAMES, "matting")


def test_every_package_of_the_root_is_known() -> None:
    """A new package would be left out of the wheel."""
    found = {path.parent.name for path in ROOT.glob("*/*.py")} | {"benchmarks"}
    assert found - {"docs", "examples", "tests", "matting"} == set(PACKAGES)


def test_every_file_can_be_rewritten() -> None:
    names = list_names()
    paths = [p for name in (*PACKAGES, "matting") for p in (ROOT / name).rglob("*.py")]
    for path in [*paths, *ROOT.glob("*.py")]:
        rewrite_imports(path.read_text(encoding="utf-8"), names, "matting")

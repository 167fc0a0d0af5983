"""Each folder of the table as the source of a run: what is done, what is told, the exit code."""

import json
import os
import re

import pytest
from PIL import Image

from .folders import DEEP, ROWS, Folder
from .scene import plate


@pytest.mark.skipif(os.name == "nt", reason="Windows has other names and links")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_folder(row: Folder, tmp_path, run_forked) -> None:
    (tmp_path / "src").mkdir()
    Image.fromarray(plate()).save(tmp_path / "plate.png")
    row.make(tmp_path)
    out = tmp_path / "out"
    given = ("--images-src", "{}/src", "--images-bgr", "{}/plate.png", "--output-dir", "{}/out")
    given += ("--output-types", "pha", "--quality", "auto", *row.args)
    run = run_forked(*(str(arg).format(tmp_path) for arg in given), before=row.before, timeout=30)
    said = f"{run.out}\n{run.err}"
    assert run.code == row.code, said
    assert "Traceback" not in said
    assert re.search(row.says, said), said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), "a terminal would obey this"
    if row.code == 2:
        assert not out.exists()
        return
    text = (out / "summary.json").read_text("utf-8")
    assert str(tmp_path) not in text
    summary = json.loads(text)
    images = {entry["name"]: entry for entry in summary["images"]}
    assert {n for n, entry in images.items() if entry["status"] == "done"} == set(row.done)
    failed = {n: entry["reason"] for n, entry in images.items() if entry["status"] == "failed"}
    failed = {DEEP if len(name) > 1000 else name: reason for name, reason in failed.items()}
    assert failed.keys() == row.failed.keys()
    for name, reason in row.failed.items():
        assert re.search(reason, failed[name])
    assert summary["counts"]["done"] == len(row.done) == len(list(out.rglob("*.png")))
    assert row.notes in (None, len(summary["notes"])), summary["notes"]
    assert ("results are in" in run.out) == bool(row.done)
    for name in row.done:
        with Image.open(out / images[name]["outputs"]["pha"]) as image:
            image.load()

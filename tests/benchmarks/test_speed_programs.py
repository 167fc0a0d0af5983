"""The programs that time the network, on small frames: they run, and what they print holds."""

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import compare_reference, profile_parts, speed_cases
from benchmarks.speed.table import Preset
from matting.quality import Budget


@pytest.fixture(autouse=True)
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, width, scale in (("HD", 192, 1 / 4), ("4K", 256, 1 / 4)):
        preset = Preset(name, width, 128, Budget(scale, 16_000))
        monkeypatch.setitem(speed_cases.PRESETS, name, preset)


@pytest.mark.slow
def test_ours_is_compared_with_the_authors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "a.json"
    line = "--backbones mobilenetv2 --sizes HD --rounds 1 --modes sampling blocks --json"
    monkeypatch.setattr(sys, "argv", ["compare_reference", *line.split(), str(out)])
    compare_reference.main()
    printed = [row for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    rows = json.loads(out.read_text())["rows"]
    assert len(printed) == 2 + len(rows) == 2 + 3 * 3
    assert [row["input"] for row in rows[::3]] == ["real", "real, whole budget", "noise"]
    for theirs, ours, blocks in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        names = "authors, eager", *(f"ours, pytorch, float32, {m}" for m in ("sampling", "blocks"))
        assert (theirs["what"], ours["what"], blocks["what"]) == names
        assert blocks["alpha_max"] < 1e-4
        assert blocks["cells_differ"] == 0
        assert blocks["cells"] % 16 == 0, "blocks of 16 cells"
        assert ours["ratio"] == pytest.approx(theirs["seconds"] / ours["seconds"])
        assert ours["alpha_max"] < 1e-4  # rounding
        assert ours["cells"] <= 16_000 / 16
    assert rows[4]["cells"] == 16_000 / 16, "the whole budget is refined"
    assert rows[1]["cells"] < rows[4]["cells"]


@pytest.mark.slow
def test_memory_is_measured_of_each_alone(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for which in ("ours", "authors"):
        monkeypatch.setattr(sys, "argv", ["compare_reference", "--peak-of", which])
        compare_reference.main()
        assert 0 <= float(capsys.readouterr().out) < 1000  # MiB


def test_parts_add_up(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    line = ["profile_parts", *["--backbones", "mobilenetv2", "--sizes", "HD", "--rounds", "3"]]
    monkeypatch.setattr(sys, "argv", line)
    profile_parts.main()
    out = capsys.readouterr().out
    whole = int(re.search(r"mobilenetv2, HD, pytorch: (\d+) ms", out)[1])
    parts = dict(re.findall(r"^  (\w+) +(-?\d+) ms", out, re.MULTILINE))
    assert list(parts) == ["coarse", "hidden", "refine", "rest"]
    assert sum(map(int, parts.values())) == pytest.approx(whole, abs=3)  # rounding
    assert len(re.findall(r"[\d.]+ GMac, +\d+% of the peak", out)) == 3

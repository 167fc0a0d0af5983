"""The report: what it replaces and what it counts."""

import json
from pathlib import Path

import pytest

from matting.summary import RunSummary, SummaryEntry, check_replaceable


def test_only_a_report_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    check_replaceable(path)
    for text in ("mine", "[1]", '{"counts": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="not a summary that this program wrote"):
            check_replaceable(path)
    RunSummary({}).write(path)
    check_replaceable(path)


def test_report_counts_and_sorts(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    report = RunSummary({"device": "cpu"})
    failed = SummaryEntry("b.png", "failed", "the file is empty")
    report.entries = [failed, SummaryEntry("a.png", "done"), SummaryEntry("c.png", "not reached")]
    report.tell()
    report.write(tmp_path / "summary.json")
    content = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert content["counts"] == {"done": 1, "skipped": 0, "failed": 1, "not reached": 1}
    assert (content["interrupted"], content["device"]) == (True, "cpu")
    assert [image["name"] for image in content["images"]] == ["a.png", "b.png", "c.png"]
    told = capsys.readouterr()
    assert "1 done, 0 skipped, 1 failed, 1 not reached" in told.out
    assert "failed: b.png: the file is empty" in told.err

"""The report: what it replaces and what it counts."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from matting.summary import (
    RunSummary,
    Spool,
    SummaryEntry,
    check_replaceable,
    read_entries,
    read_summary,
)


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


@pytest.mark.parametrize("in_memory", [2**22, 100], ids=["memory", "disk"])
def test_entries_on_the_disk_make_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    """In any order of arrival, with names that are no valid text and paths to hide."""
    monkeypatch.setattr("matting.summary._IN_MEMORY", in_memory)
    entries = [
        SummaryEntry(name, "done", None, {"pha": f"pha/{name}"}, [], {"a": [1.5, None]})
        for name in ("b/c.png", "b.png", "é.png", "\udcff.png", "a\n.png")
    ]
    entries += [SummaryEntry("z.png", "failed", "/secret/folder/z.png: no picture")]
    plain, spooled = (
        RunSummary({"settings": {"src": "/secret/folder"}}, made) for made in (None, Spool())
    )
    texts = []
    for report in (plain, spooled):
        for entry in entries:
            report.entries.append(entry)
        report._start = 0.0
        report.write(tmp_path / "summary.json")
        texts.append((tmp_path / "summary.json").read_text("utf-8"))
    whole, streamed = (json.loads(text) for text in texts)
    assert {**whole, "seconds": 0, "finished": 0} == {**streamed, "seconds": 0, "finished": 0}
    assert (
        texts[1]
        == json.dumps(streamed, indent=2, ensure_ascii=False).replace("\udcff", "\\udcff") + "\n"
    )
    assert streamed["images"][3]["reason"] == "…/folder/z.png: no picture"
    entries = read_entries(tmp_path / "summary.json")
    assert [asdict(entry) for entry in entries] == streamed.pop("images")
    assert read_summary(tmp_path / "summary.json") == streamed


def test_a_summary_of_nothing_is_read(tmp_path: Path) -> None:
    RunSummary({}).write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["images"] == []
    assert list(read_entries(tmp_path / "summary.json")) == []

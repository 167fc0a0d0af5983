"""The report: what it replaces, what it counts, and interrupts that wait."""

import json
import os
import signal
from pathlib import Path

import pytest

from inference.interrupts import deferred_interrupts
from inference.report import Entry, Report, check_replaceable


def test_only_a_report_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    check_replaceable(path)
    for text in ("mine", "[1]", '{"counts": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="not a summary that this program wrote"):
            check_replaceable(path)
    Report({}).write(path)
    check_replaceable(path)


def test_report_counts_and_sorts(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    report = Report({"device": "cpu"})
    failed = Entry("b.png", "failed", "the file is empty")
    report.entries = [failed, Entry("a.png", "done"), Entry("c.png", "not reached")]
    report.tell()
    report.write(tmp_path / "summary.json")
    content = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert content["counts"] == {"done": 1, "skipped": 0, "failed": 1, "not reached": 1}
    assert (content["interrupted"], content["device"]) == (True, "cpu")
    assert [image["name"] for image in content["images"]] == ["a.png", "b.png", "c.png"]
    told = capsys.readouterr()
    assert "1 done, 0 skipped, 1 failed, 1 not reached" in told.out
    assert "failed: b.png: the file is empty" in told.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_interrupt_waits_and_the_second_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with deferred_interrupts() as came:
        assert not came()
        os.kill(os.getpid(), number)
        assert came()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before

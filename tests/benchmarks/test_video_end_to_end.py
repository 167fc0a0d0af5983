"""The video benchmark: its parts do the work of a run."""

import sys
from pathlib import Path

import pytest

from benchmarks import video_end_to_end


def test_program_tells_each_part(
    tmp_path: Path, clips, photographs, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    plate = photographs.plate(96, 128)
    clip = clips.write(tmp_path / "a.mp4", [plate.copy() for _ in range(5)])
    arguments = ["video_end_to_end", str(clip), "--frames", "3", "--rounds", "1"]
    arguments += ["--qualities", "auto", "fast"]
    monkeypatch.setattr(sys, "argv", arguments)
    video_end_to_end.main()
    out = capsys.readouterr().out
    assert "3 frames, medians of 1 runs" in out
    parts = "decode alone", "network alone", "encode alone", "together", "processor time per frame"
    parts += ("together with quality fast",)
    for part in parts:
        assert part in out


def test_parts_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 2.0, 2.0, 3.0, 10.0, 14.0, 14.0, 15.0))
    spent = iter((0.0, 4.0, 4.0, 4.8, 5.0, 13.0, 13.0, 15.0))
    monkeypatch.setattr(video_end_to_end, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(video_end_to_end, "process_time", lambda: next(spent))
    parts = {"slow": lambda: None, "fast": lambda: None}
    rates, processor = video_end_to_end.measure(parts, 8, 2)
    assert rates == {"slow": [4.0, 2.0], "fast": [8.0, 8.0]}
    assert processor["slow"] == pytest.approx([0.5, 1.0])
    assert processor["fast"] == pytest.approx([0.1, 0.25])


def test_together_is_compared_with_its_own_round() -> None:
    rates = {
        **{"decode": [100.0, 50.0], "network": [10.0, 4.0], "one_at_a_time": [8.0, 5.0]},
        **{"encode": [20.0, 20.0], "together": [9.0, 4.0]},
    }
    shares, gains = video_end_to_end.compare(rates)
    assert shares == pytest.approx([0.9, 0.8])
    assert gains == pytest.approx([9 * 0.16, 4 * 0.27])

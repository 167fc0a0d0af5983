"""Finding people in front of a still camera: by hand, and the program on a drawn clip."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import static_camera


def test_people_are_what_differs_and_is_tall() -> None:
    bgr = np.full((120, 160, 3), 90, np.uint8)
    src = bgr.copy()
    src[20:90, 30:50] = 220  # 70 pixels tall
    src[60:80, 100:130] = 220  # 20 pixels
    src[:, 150:] += 20  # a change of light
    people, empty = static_camera.find_people(src, bgr, 40)
    (person,) = people
    left, top, wide, high = person.box
    assert np.abs(np.subtract((left, top, wide, high), (30, 20, 20, 70))).max() <= 3
    assert person.mask[25:85, 33:47].all()
    assert not person.mask[:, 60:].any()
    assert not empty[20:90, 20:60].any(), "near a person"
    assert not empty[60:80, 100:130].any(), "small ones are not empty either"
    assert empty[:, 152:].all()


@pytest.mark.parametrize("keep_attached", [False, True])
def test_program_tells_who_is_found(
    keep_attached: bool, tmp_path: Path, clips, photographs, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    plate = photographs.plate(96, 128)
    frames = [plate.copy() for _ in range(8)]
    frames[0][20:80, 50:70] = (250, 40, 40)
    clip = clips.write(tmp_path / "a.mp4", frames)
    arguments = ["static_camera", str(clip), "--every", "4", "--picture", str(tmp_path / "s.png")]
    arguments += ["--keep-attached"] if keep_attached else []
    tracked: list[np.ndarray] = []
    keep = static_camera.SubjectTracker.keep
    monkeypatch.setattr(
        static_camera.SubjectTracker, "keep", lambda one, pha: keep(one, tracked.append(pha) or pha)
    )
    monkeypatch.setattr(sys, "argv", arguments)
    static_camera.main()
    assert len(tracked) == (8 if keep_attached else 0), "it needs the frames in between"
    out = capsys.readouterr().out
    assert "2 frames: 1 of 1 people found" in out
    assert "frame 4: 0 people" in out
    assert (tmp_path / "s.png").stat().st_size > 1000

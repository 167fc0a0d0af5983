"""What a visitor may hand over."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matting.app.limits import Limits, ShortSource, check_container, check_picture
from media.frames import Frame, VideoError, VideoInfo
from media.reader import ClipReader


def test_a_picture_is_judged_by_its_head(tmp_path: Path, photographs: Any) -> None:
    path = photographs.save(tmp_path / "a.png", np.zeros((1000, 1200, 3), np.uint8))
    check_picture(path, 1.2, "the frame")
    with pytest.raises(ValueError, match=r"^the frame has 1200 x 1000 pixels.* takes 1.1 mega"):
        check_picture(path, 1.1, "the frame")
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ValueError, match="^the plate: not a picture"):
        check_picture(tmp_path / "a.jpg", 1, "the plate")


def test_files_that_name_others_are_no_clips(tmp_path: Path, clips: Any) -> None:
    clip = clips.write(tmp_path / "secret.ts", clips.moving(3))
    lists = {
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile secret.ts\n",
    }
    for name, text in lists.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(VideoError, match="of a kind that this page does not take"):
            check_container(path)
    # Without the check, the other's frames come out.
    assert ClipReader(tmp_path / "concat.mp4", "concat").read() is not None
    check_container(clip)
    for name, codec, pixels in (("a.mkv", "ffv1", "yuv444p"), ("a.webm", "libvpx-vp9", "yuv420p")):
        check_container(
            clips.write(tmp_path / name, clips.moving(3), codec=codec, pixel_format=pixels)
        )


class Endless:
    """A camera that says nothing of its end."""

    def __init__(self, duration: float | None = None, side: int = 10) -> None:
        self.info = VideoInfo(side, side, Fraction(1, 10), Fraction(10), duration=duration)
        self.notes, self.number = (), -1

    def read(self) -> Frame:
        self.number += 1
        return Frame(self.number, "", np.zeros((10, 10, 3), np.uint8), 7 + self.number, 1)


def test_a_long_clip_ends_in_an_error() -> None:
    source = ShortSource(Endless(), Limits(seconds=2))  # type: ignore[arg-type]
    for _ in range(21):  # frames at 0.0 to 2.0 s
        source.read()
    with pytest.raises(VideoError, match="longer than 2 s, the most that this page takes"):
        source.read()
    with pytest.raises(VideoError, match="longer than 2 s"):
        ShortSource(Endless(duration=2.1), Limits(seconds=2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the clip has 600 x 600 pixels"):
        ShortSource(Endless(side=600), Limits(megapixels=1))  # type: ignore[arg-type]

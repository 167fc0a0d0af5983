"""inference_video.py from end to end, on clips that the tests make."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

TYPES = ("com", "pha", "fgr", "err", "ref")
FAST = ("--preset", "ultrafast")


@pytest.fixture
def plate(tmp_path: Path, photographs) -> Path:
    return photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))


def summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text("utf-8"))


def entry(out: Path) -> dict:
    return summary(out)["images"][0]


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_clip_with_sound_and_variable_rate(tmp_path: Path, clips, plate, run_video) -> None:
    pts = [0, 3003, 7000, 12001, 20000, 30000]
    src = clips.write(
        tmp_path / "clip.mp4", clips.moving(6), pts, Fraction(1, 90000), sound="aac", crf="4"
    )
    before = src.read_bytes()
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", src, "--video-bgr", plate, "--video-target-bgr", "blue", *FAST),
        *("--output-dir", out, "--output-types", *TYPES),
    )
    run.check(0, r"6 frames in .*frames/s.*decode \d+%.*network \d+%.*encode \d+%", "results are")
    assert names(out) == sorted([*(f"{kind}.mp4" for kind in TYPES), "summary.json"])
    for kind in TYPES:
        assert clips.times(out / f"{kind}.mp4") == [Fraction(p, 90000) for p in pts]
    assert clips.sound(out / "com.mp4") == clips.sound(src)
    assert src.read_bytes() == before
    pha, com = clips.read(out / "pha.mp4")[2], clips.read(out / "com.mp4")[2]
    y, x = 24, round(64 * (0.25 + 0.5 * 2 / 5))
    assert pha[y, x].min() > 230
    assert pha[4, 60].max() < 25
    assert np.abs(com[4, 60].astype(int) - (0, 0, 255)).max() < 12
    details = entry(out)["details"]
    assert details["speed"]["frames"] == 6
    assert set(details["speed"]["shares"]) == {"decode", "prepare", "network", "encode"}
    assert summary(out)["source"]["time_base"] == "1/90000"


def test_phone_clip_is_upright(tmp_path: Path, clips, photographs, run_video) -> None:
    """Stored a quarter turn off; the plate is a picture as one sees it."""
    frames = [np.ascontiguousarray(np.rot90(a, -1)) for a in clips.moving(3)]
    src = clips.write(tmp_path / "a.mp4", frames, rotation=(90, False, False), crf="4")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))
    out = tmp_path / "out"
    run_video("--video-src", src, "--video-bgr", plate, "--output-dir", out, *FAST).check(0)
    pha = clips.read(out / "pha.mp4")[1]
    assert pha.shape == (48, 64, 3)
    assert pha[24, 32].min() > 200
    with av.open(str(out / "pha.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("size", [(47, 63), (33, 35)])
def test_odd_ten_bit_clip(tmp_path: Path, clips, photographs, run_video, size) -> None:
    frames = [a.astype(np.uint16) * 257 for a in clips.moving(2, *size)]
    src = clips.write(tmp_path / "a.mkv", frames, pixel_format="yuv444p10le", crf="4")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(*size))
    out = tmp_path / "out"
    line = ("--video-src", src, "--video-bgr", plate, "--output-dir", out)
    run_video(*line, "--codec", "hevc", *FAST).check(0, "needs even sizes")
    with av.open(str(out / "pha.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (size[1] + 1, size[0] + 1)
        assert stream.pix_fmt == "yuv420p10le"
    run_video(*line, "--output-format", "image_sequences", "-y").check(0)
    com = Image.open(out / "com" / "000001.png")
    assert com.size == (size[1], size[0])
    assert com.mode == "RGBA"


@pytest.mark.parametrize(("codec", "decoder"), [("prores", None), ("vp9", "libvpx-vp9")])
def test_alpha_for_an_editor(tmp_path: Path, clips, plate, run_video, codec, decoder) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(2), crf="4")
    line = ("--video-src", src, "--video-bgr", plate)
    out, pictures = tmp_path / "out", tmp_path / "pictures"
    run_video(*line, "--output-dir", out, "--codec", codec, "--output-types", "com").check(0)
    run_video(
        *(*line, "--output-dir", pictures, "--output-types", "com"),
        *("--output-format", "image_sequences"),
    ).check(0)
    found = clips.read(out / f"com.{'mov' if codec == 'prores' else 'webm'}", "rgba", decoder)
    for number, com in enumerate(found):
        wanted = np.asarray(Image.open(pictures / "com" / f"{number:06}.png"))
        assert np.abs(com[..., 3].astype(int) - wanted[..., 3]).max() <= 2
    assert 0 < found[0][..., 3].mean() < 255


def test_premultiplied_alpha(tmp_path: Path, clips, plate, run_video) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(1), crf="4")
    line = ("--video-src", src, "--video-bgr", plate, "--output-format", "image_sequences")
    for alpha in ("straight", "premultiplied"):
        run_video(*line, "--output-dir", tmp_path / alpha, "--alpha", alpha).check(0)
    straight, premultiplied = (
        np.asarray(Image.open(tmp_path / alpha / "com/000000.png")).astype(float)
        for alpha in ("straight", "premultiplied")
    )
    assert np.array_equal(straight[..., 3], premultiplied[..., 3])
    wanted = straight[..., :3] * straight[..., 3:] / 255
    assert np.abs(premultiplied[..., :3] - wanted).max() <= 1.5  # three times rounded


def test_without_a_target_mp4_is_green_and_says_so(tmp_path: Path, clips, plate, run_video) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(2), crf="4")
    out = tmp_path / "out"
    run = run_video("--video-src", src, "--video-bgr", plate, "--output-dir", out, *FAST)
    run.check(0, "com has a green background, because its format has no transparency")
    com = clips.read(out / "com.mp4")[0]
    assert np.abs(com[4, 60].astype(int) - (0, 177, 64)).max() < 12


@pytest.mark.parametrize("plate", ["median", "frame", "video"])
def test_plates_other_than_a_picture(tmp_path: Path, clips, photographs, run_video, plate) -> None:
    frames = [*[photographs.plate(48, 64)] * (13 if plate == "median" else 1), *clips.moving(11)]
    src = clips.write(tmp_path / "a.mp4", frames, crf="4")
    empty = clips.write(tmp_path / "empty.mp4", [photographs.plate(48, 64)] * 3, crf="4")
    named = {
        "median": ("--video-bgr", "median"),
        "frame": ("--bgr-from-frame", 0),
        "video": ("--video-bgr", empty),
    }[plate]
    out = tmp_path / "out"
    run_video("--video-src", src, *named, "--output-dir", out, *FAST).check(0)
    pha = clips.read(out / "pha.mp4")
    assert len(pha) == len(frames)
    assert pha[0].mean() < 20
    assert pha[-1][24, 48].min() > 200


@pytest.mark.parametrize(
    ("loop", "frames", "last"), [("loop", 9, 0), ("hold", 9, 240), ("stop", 4, 240)]
)
def test_target_video_that_is_shorter(
    tmp_path: Path, clips, plate, run_video, loop, frames, last
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(9), crf="4")
    shades = [np.full((48, 64, 3), grey, np.uint8) for grey in (0, 80, 160, 240)]
    target = clips.write(tmp_path / "b.mp4", shades, crf="4")
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", src, "--video-bgr", plate, "--video-target-bgr", target, *FAST),
        *("--output-dir", out, "--output-types", "com", "--target-loop", loop),
    )
    run.check(0, *(["outputs ended with the new background"] if loop == "stop" else []))
    com = clips.read(out / "com.mp4")
    assert len(com) == frames
    assert abs(int(com[2][4, 4, 0]) - 160) < 12
    assert abs(int(com[-1][4, 4, 0]) - last) < 12


def test_target_video_that_is_longer_is_cut(tmp_path: Path, clips, plate, run_video) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(2), crf="4")
    target = clips.write(tmp_path / "b.mp4", clips.moving(30), crf="4")
    out = tmp_path / "out"
    line = ("--video-src", src, "--video-bgr", plate, "--video-target-bgr", target, *FAST)
    run_video(*line, "--output-dir", out, "--output-types", "com").check(0)
    assert len(clips.read(out / "com.mp4")) == 2


def test_raw_pipe_and_resize(tmp_path: Path, clips, plate, run_video) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"".join(picture.tobytes() for picture in clips.moving(3)))
    out = tmp_path / "out"
    run_video(
        *("--video-src", "-", "--video-size", 64, 48, "--video-rate", "29.97"),
        *("--video-bgr", plate, "--video-resize", 96, 72, "--output-dir", out, *FAST),
        stdin=raw,
    ).check(0, "3 frames in")
    assert clips.read(out / "pha.mp4")[0].shape == (72, 96, 3)
    assert clips.times(out / "pha.mp4")[1] == Fraction(1001, 30000)


@pytest.mark.slow
def test_folder_of_pictures_resumes(tmp_path: Path, clips, plate, photographs, run_video) -> None:
    for number, picture in enumerate(clips.moving(5)):
        photographs.save(tmp_path / "src" / f"shot_{number + 8}.png", picture)
    out = tmp_path / "out"
    line = ("--video-src", tmp_path / "src", "--video-bgr", plate, "--output-dir", out)
    line = (*line, "--output-format", "image_sequences")
    run_video(*line, "--output-picture-format", "jpeg").check(0, "green")
    wanted = [f"shot_{number}" for number in range(8, 13)]
    assert names(out / "com") == sorted(f"{name}.jpg" for name in wanted)
    assert names(out / "pha") == sorted(f"{name}.png" for name in wanted)
    run_video(*line).check(2, "outputs already exist")
    (out / "pha" / "shot_10.png").unlink()
    run_video(*line, "--resume").check(2, "--resume continues the run of .* settings: output")
    resumed = (*line, "--output-picture-format", "jpeg", "--resume")
    run_video(*resumed).check(0, "1 frames in .*4 existed already")
    assert len(names(out / "pha")) == 5
    # Neither an empty file nor one that doesn't open is a frame that is there.
    whole = (out / "pha" / "shot_9.png").read_bytes()
    (out / "pha" / "shot_9.png").write_bytes(whole[: len(whole) // 2])
    (out / "com" / "shot_11.jpg").write_bytes(b"")
    run_video(*resumed).check(0, "2 frames in .*3 existed already")
    assert (out / "pha" / "shot_9.png").read_bytes() == whole
    (out / "summary.json").unlink()
    run_video(*resumed).check(2, "--resume can't find the settings .*summary.json")


def test_smoothing_and_alignment_are_reported(
    tmp_path: Path, clips, run_video, photographs
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(4, 96, 128), crf="4")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(96, 128))
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", src, "--video-bgr", plate, "--output-dir", out, *FAST),
        *("--temporal-smoothing", 0.5, "--preprocess-alignment", "--preprocess-exposure"),
    )
    run.check(0, r"flicker .* before, .* after smoothing", "plate alignment: ", "plate exposure: ")
    details = entry(out)["details"]
    assert details["dtssd_still"]["after"] <= details["dtssd_still"]["before"]
    assert sum(details["alignment"]["frames"].values()) == 4
    assert sum(details["exposure"]["frames"].values()) == 4


def test_wrong_plate_is_told_by_the_flags_of_videos(
    tmp_path: Path, clips, photographs, run_video
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(5, 96, 128), crf="4")
    other = photographs.save(tmp_path / "other.png", photographs.plate(96, 128, seed=9))
    line = ("--video-src", src, "--video-bgr", other, *FAST)
    run = run_video(*line, "--output-dir", tmp_path / "auto")
    run.check(0, "note: frame and plate don't show the same scene.*; that is --video-target-bgr")
    assert "don't show the same scene" in entry(tmp_path / "auto")["notes"][0]
    run = run_video(*line, "--output-dir", tmp_path / "none", "--preprocess", "none")
    assert "same scene" not in run.check(0).out
    assert "capture" not in entry(tmp_path / "none")["details"]


def test_cut_off_source_leaves_a_partial_that_plays(
    tmp_path: Path, clips, plate, run_video
) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8))
    src = clips.write(tmp_path / "a.avi", noise, codec="mpeg4")
    src.write_bytes(src.read_bytes()[: src.stat().st_size // 2])
    out = tmp_path / "out"
    run = run_video("--video-src", src, "--video-bgr", plate, "--output-dir", out, *FAST)
    run.check(
        1, r"failed: .*a\.avi: .*frame \d+ is not whole", r"unfinished in .*com\.\w+\.partial\.mp4"
    )
    com, pha, _ = (out / name for name in names(out))
    assert entry(out)["outputs"] == {"com": com.name, "pha": pha.name}
    assert len(clips.read(com)) == entry(out)["details"]["speed"]["frames"] > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "a background plate is needed.*not the new background"),
        (("--video-bgr", "median", "--bgr-from-frame", 0), "name one of"),
        (("--bgr-from-frame", 7), "the source has the frames 0 to 1"),
        (("--video-bgr", "no.png"), r"--video-bgr no\.png: no such file"),
        (("--video-bgr", "median", "--resume"), "--resume continues pictures, not videos"),
        (("--video-bgr", "median", "--video-target-bgr", "gren"), "is neither blur, nor a colour"),
        (("--video-bgr", "median", "--codec", "prores", "--crf", 3), "prores has one quality"),
        (
            ("--video-bgr", "median", "--temporal-smoothing", 2),
            r"temporal_smoothing.* less than or equal to 0\.95",
        ),
        (("--video-bgr", "median", "--video-rate", 25), "--video-rate is for pictures"),
    ],
)
def test_wrong_input_is_told(tmp_path: Path, clips, run_video, flags, message) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(2))
    run = run_video("--video-src", src, "--output-dir", tmp_path / "out", *flags)
    run.check(2, message)
    assert names(tmp_path) == ["a.mp4"]


def test_output_that_is_an_input_is_refused(tmp_path: Path, clips, plate, run_video) -> None:
    src = clips.write(tmp_path / "com.mp4", clips.moving(2))
    before = src.read_bytes()
    run = run_video("--video-src", src, "--video-bgr", plate, "--output-dir", tmp_path, "-y")
    run.check(2, "would replace an input")
    assert src.read_bytes() == before

"""What outputs carry: true colours over any plate and new background, dates and resolution."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from media.pictures import write_png

from .makers import profile, to_deep_profile, to_profile
from .scene import alpha, frame, plate
from .test_pictures import to_srgb

NEW = (200, 40, 60)


def opened(path: Path) -> tuple[np.ndarray, Image.Image]:
    image = Image.open(path)
    return to_srgb(np.asarray(image.convert("RGB")), image.info.get("icc_profile")), image


@pytest.mark.parametrize("name", ["adobe", "prophoto", "p3"])
@pytest.mark.parametrize("new", ["colour", "picture"])
def test_a_new_background_is_the_same_in_every_space(
    tmp_path: Path, run_forked, name: str, new: str
) -> None:
    for what, pixels in (("frame", frame()), ("plate", plate())):
        tagged = Image.fromarray(to_profile(pixels, name))
        tagged.save(tmp_path / f"{what}.png", icc_profile=profile(name))
    target: object = "rgb(200,40,60)"
    if new == "picture":
        target = tmp_path / "new.png"
        Image.new("RGB", (30, 20), NEW).save(target)
    run = run_forked(
        *("--images-src", tmp_path / "frame.png", "--images-bgr", tmp_path / "plate.png"),
        *("--output-dir", tmp_path / "out", "--target-bgr", target, "--quality", "auto"),
        *("--output-types", "com", "fgr", "pha", "sheet"),
    )
    assert run.code == 0, run.err
    assert "note" not in run.out + run.err
    shown, image = opened(tmp_path / "out" / "com" / "frame.png")
    assert image.info["icc_profile"] == profile(name)
    # Two roundings to 8 bits, in a space that may be wide; without the profile it was 33 off.
    assert np.abs(np.median(shown[:20, -20:], axis=(0, 1)) - NEW).max() <= 2
    for kind in ("fgr", "sheet"):
        assert opened(tmp_path / "out" / kind / "frame.png")[1].info["icc_profile"]
    matte = Image.open(tmp_path / "out" / "pha" / "frame.png")
    assert "icc_profile" not in matte.info


def test_a_frame_in_prophoto_over_a_plate_in_srgb_gives_the_matte_of_a_pair(
    tmp_path: Path, run_forked
) -> None:
    wide = {"frame": to_deep_profile(frame(), "prophoto"), "wide": to_profile(plate(), "prophoto")}
    write_png(tmp_path / "frame.png", wide["frame"], profile("prophoto"))
    Image.fromarray(wide["wide"]).save(tmp_path / "wide.png", icc_profile=profile("prophoto"))
    Image.fromarray(plate()).save(tmp_path / "srgb.png")
    mattes = {}
    for name in ("wide", "srgb"):
        out = tmp_path / name
        run = run_forked(
            *("--images-src", tmp_path / "frame.png", "--images-bgr", tmp_path / f"{name}.png"),
            *("--output-dir", out, "--quality", "auto"),
        )
        assert run.code == 0, run.err
        assert ("converted to the colour profile" in run.out + run.err) == (name == "srgb")
        mattes[name] = np.asarray(Image.open(out / "pha" / "frame.png")) / 255
    # ProPhoto in 8 bits is coarse: the plates differ by a level, the mattes by a part of one.
    assert np.abs(mattes["wide"] - mattes["srgb"]).mean() <= 0.002
    assert np.abs(mattes["srgb"] - alpha() / 255).mean() <= 0.02


def test_dates_and_resolution_are_kept_and_nothing_else(tmp_path: Path, run_forked) -> None:
    exif = Image.Exif()
    exif[0x0132], exif[0x010F], exif[0x0112] = "2024:05:06 07:08:09", "Camera", 3
    exif[0x8769] = {0x9003: "2024:05:06 07:08:10", 0x9011: "+02:00", 0x9291: "123", 0xA430: "Owner"}
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    stored = np.ascontiguousarray(frame()[::-1, ::-1])
    Image.fromarray(stored).save(tmp_path / "a.jpg", quality=97, exif=exif, dpi=(300, 240))
    Image.fromarray(plate()).save(tmp_path / "plate.png")
    run = run_forked(
        *("--images-src", tmp_path / "a.jpg", "--images-bgr", tmp_path / "plate.png"),
        *("--output-dir", tmp_path / "out", "--quality", "auto"),
        *("--output-types", "com", "fgr", "pha"),
    )
    assert run.code == 0, run.err
    for kind in ("com", "fgr"):
        with Image.open(tmp_path / "out" / kind / "a.png") as image:
            kept, dpi = image.getexif(), image.info["dpi"]
            details = kept.get_ifd(0x8769)
        assert dict(kept) == {0x0132: "2024:05:06 07:08:09", 0x8769: kept[0x8769]}
        assert details == {0x9003: "2024:05:06 07:08:10", 0x9011: "+02:00", 0x9291: "123"}
        assert np.allclose(dpi, (300, 240), atol=0.02)  # whole pixels a metre
    with Image.open(tmp_path / "out" / "pha" / "a.png") as image:
        assert "dpi" not in image.info
        assert not dict(image.getexif())

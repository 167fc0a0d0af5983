"""inference_images.py from end to end: what it makes of pictures that can be matted."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image, ImageCms

from runtime.wording import hide_folders

TYPES = ("com", "pha", "fgr", "err", "ref", "sheet")
ORIENTATION = 0x0112
# Stems of the outputs of the folder that the fixture `folder` makes.
STEMS = [
    "alpha",
    "decoded",
    "disc",
    "half",
    "img.jpg",
    "img.png",
    "sub/deeper/Loud",
    "sub/Mixed",
    "turned",
]


@dataclass(frozen=True)
class Outcome:
    """One run and its files."""

    run: object
    src: Path
    out: Path
    inputs: dict[Path, bytes]

    @property
    def summary(self) -> dict:
        return json.loads((self.out / "summary.json").read_text("utf-8"))

    def entry(self, name: str) -> dict:
        return next(entry for entry in self.summary["images"] if entry["name"] == name)

    def read(self, kind: str, stem: str) -> np.ndarray:
        return np.asarray(Image.open(self.out / kind / f"{stem}.png"))


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_script, photographs) -> Outcome:
    """One run over nested folders: all output types, the plate among the frames."""
    root = tmp_path_factory.mktemp("photos")
    src, out = root / "Ferien in Åre 写真", root / "out put ä"
    plate = photographs.plate()
    frame = photographs.frame(plate)
    photographs.save(src / "plate.png", plate)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photographs.save(src / "disc.png", frame, icc_profile=profile)
    photographs.save(src / "sub/deeper/Loud.JPG", frame, format="JPEG", quality=95)
    photographs.save(src / "sub/Mixed.Png", frame, format="PNG")
    photographs.save(src / "img.jpg", frame, quality=95)
    photographs.save(src / "img.png", frame)
    half = Image.fromarray(frame).resize((96, 64), Image.Resampling.BOX)
    photographs.save(src / "half.png", np.asarray(half))
    transparency = np.where(photographs.disc(), 255, 9).astype(np.uint8)
    photographs.save(src / "alpha.png", np.dstack([frame, transparency]))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # stored a quarter turn against the clock, to be shown upright
    photographs.save(src / "turned.jpg", np.rot90(frame), exif=exif, quality=95)
    upright = np.rot90(np.asarray(Image.open(src / "turned.jpg")), -1)
    photographs.save(src / "decoded.png", np.ascontiguousarray(upright))
    photographs.save(src / ".hidden.png", frame)
    (src / "notes.txt").write_text("not a picture")
    inputs = read_files(src)
    run = run_script(
        *("--images-src", src, "--images-bgr", src / "plate.png"),
        *("--output-dir", out, "--output-types", *TYPES),
    )
    return Outcome(run, src, out, inputs)


def test_outputs_mirror_the_source_folder(folder: Outcome) -> None:
    folder.run.check(0, "9 done, 0 skipped, 0 failed", "results are in .*out put ä")
    assert folder.run.err == ""
    wanted = [f"{kind}/{stem}.png" for kind in TYPES for stem in STEMS]
    assert list_files(folder.out) == sorted([*wanted, "summary.json"])
    assert read_files(folder.src) == folder.inputs


def test_easy_subject_is_found(folder: Outcome, photographs) -> None:
    """Measured: 0.967 and 0.006; the edge, half a cell of the coarse input wide, is the rest."""
    pha, inside = folder.read("pha", "disc") / 255, photographs.disc()
    assert pha.shape == (128, 192)
    assert pha[inside].mean() > 0.9
    assert pha[~inside].mean() < 0.1
    # The foreground's colour: the published method predicts it within a few levels.
    fgr = folder.read("fgr", "disc")[inside & (pha == 1)]
    assert np.abs(fgr.mean(axis=0) - photographs.COLOUR).max() < 8


def test_com_is_straight_rgba_without_a_target(folder: Outcome) -> None:
    com, pha, fgr = (folder.read(kind, "disc") for kind in ("com", "pha", "fgr"))
    assert com.shape == (128, 192, 4)
    assert np.array_equal(com[..., 3], pha)
    edge = (pha > 0) & (pha < 255)
    assert edge.sum() > 100
    assert np.array_equal(com[pha > 0, :3], fgr[pha > 0])
    # Where alpha is exactly 0 the colour is 0 too; 0 in the file may be up to 1/510.
    assert (com[pha == 0, :3] == 0).all(axis=1).mean() > 0.9


def test_sheet_shows_frame_and_composite(folder: Outcome, photographs) -> None:
    sheet = folder.read("sheet", "disc").astype(int)
    # Two rows of four tiles, 480 x 320 pixels each, labels of 26 and gaps of 8 between.
    assert sheet.shape == (2 * (320 + 26 + 8) + 8, 4 * (480 + 8) + 8, 3)
    frame = sheet[34:354, 8:488]
    composite = sheet[388:708, 984:1464]
    # What the tiles show is interpolated, so only even areas are compared: rounding alone.
    assert np.abs(frame[160, 240] - photographs.COLOUR).max() <= 1
    assert np.abs(composite[5, 5] - (0, 176, 64)).max() <= 1
    assert np.abs(composite[160, 240] - photographs.COLOUR).max() < 16


def test_exif_orientation_is_applied(folder: Outcome) -> None:
    for kind in ("com", "pha", "fgr", "err", "ref"):
        turned = folder.read(kind, "turned")
        assert turned.shape[:2] == (128, 192), kind
        assert np.array_equal(turned, folder.read(kind, "decoded")), kind
    pictures = [Image.open(path) for path in folder.out.glob("*/turned.png")]
    assert len(pictures) == len(TYPES)
    # An orientation left in the outputs would turn them twice.
    assert [picture.getexif().get(ORIENTATION) for picture in pictures] == [None] * len(TYPES)


def test_any_case_of_extension_and_equal_stems(folder: Outcome) -> None:
    disc = folder.read("pha", "disc")
    assert np.array_equal(folder.read("pha", "sub/Mixed"), disc)
    assert np.array_equal(folder.read("pha", "img.png"), disc)
    assert np.array_equal(folder.read("pha", "sub/deeper/Loud"), folder.read("pha", "img.jpg"))
    folder.run.check(0, "differ only in their extension.*img.jpg.*img.png")


def test_transparency_of_a_frame_is_dropped_with_a_note(folder: Outcome) -> None:
    assert np.array_equal(folder.read("com", "alpha"), folder.read("com", "disc"))
    assert folder.entry("alpha.png")["notes"] == ["alpha channel dropped"]
    folder.run.check(0, "note: alpha.png: alpha channel dropped")


def test_plate_of_another_size_is_resized_with_a_note(folder: Outcome) -> None:
    assert folder.read("pha", "half").shape == (64, 96)
    assert folder.entry("half.png")["notes"] == ["plate resized to the frame"]
    folder.run.check(0, "note: half.png: plate resized to the frame")


def test_plate_among_the_frames_is_not_matted(folder: Outcome) -> None:
    assert "plate.png" not in [entry["name"] for entry in folder.summary["images"]]
    folder.run.check(0, "plate.png is inside the source folder and is not read")


def test_summary_tells_the_run(folder: Outcome) -> None:
    summary = folder.summary
    assert summary["interrupted"] is False
    assert summary["counts"] == {"done": 9, "skipped": 0, "failed": 0}
    assert summary["network"] == "mattingrefine with mobilenetv2 and kernel size 3"
    assert summary["device"].split()[0] in ("cpu", "cuda", "mps")
    assert summary["precision"] == "float32"
    assert set(summary["versions"]) >= {"python", "torch"}
    assert summary["seconds"] > 0
    settings = summary["settings"]
    assert settings["images"]["src"] == f"…/{folder.src.name}"
    assert settings["output"]["types"] == list(TYPES)
    assert settings["quality"] == "best"
    names = [entry["name"] for entry in summary["images"]]
    assert len(names) == 9
    assert names == sorted(names)
    assert "sub/deeper/Loud.JPG" in names
    for entry in summary["images"]:
        assert (entry["status"], entry["reason"]) == ("done", None)
        assert list(entry["outputs"]) == list(TYPES)
        assert all((folder.out / path).is_file() for path in entry["outputs"].values())
    details = folder.entry("disc.png")["details"]
    # Below 960 x 540 the scale is 1/2; of the 80,000 pixels of HD this picture has fewer.
    assert details["backbone_scale"] == 0.5
    assert details["refine_sample_pixels"] == 128 * 192
    assert details["compute_seconds"] > 0


def test_colour_profile_is_kept_where_there_is_colour(folder: Outcome) -> None:
    profile = Image.open(folder.src / "disc.png").info["icc_profile"]
    got = {
        kind: Image.open(folder.out / kind / "disc.png").info.get("icc_profile") for kind in TYPES
    }
    coloured = dict.fromkeys(("com", "fgr", "sheet"), profile)
    assert got == dict.fromkeys(("pha", "err", "ref")) | coloured


@pytest.fixture
def easy(tmp_path: Path, photographs) -> tuple[Path, Path, Path]:
    """The paths of a folder with the frames a.png and b.png, their plate, and of outputs."""
    src, bgr = photographs.pair(tmp_path, "a.png", "b.png", height=128, width=192)
    return src, bgr, tmp_path / "out"


def read_outputs(out: Path, name: str = "a.png") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Composite, alpha in [0, 1] and foreground."""
    com, pha, fgr = (np.asarray(Image.open(out / k / name)) for k in ("com", "pha", "fgr"))
    assert com.shape == fgr.shape == (128, 192, 3)
    return com.astype(float), pha[..., None] / 255, fgr.astype(float)


def check_composite(out: Path, target: np.ndarray, name: str = "a.png", off: float = 0) -> None:
    """Compares with alpha F + (1 - alpha) B from the other files and `target` in 0..255.

    Alpha, F and the composite are rounded, each by at most 1/2 level: 1.5 levels together, and
    nothing where alpha is 0 or 1 (to half a level, so a few pixels may be 1 off there). `off` is
    what the target itself may be off, in levels.
    """
    com, pha, fgr = read_outputs(out, name)
    target = np.broadcast_to(target, com.shape)
    for flat, wanted, count in ((pha == 0, target, 10_000), (pha == 1, fgr, 2_000)):
        wrong = np.abs(com - wanted).max(axis=-1)[flat[..., 0]]
        assert wrong.size > count
        assert wrong.max() <= 1 + off
        assert (wrong <= off).mean() > 0.95
    assert np.abs(com - pha * fgr - (1 - pha) * target).max() <= 1.5 + off


def test_target_colour_and_order_of_settings(easy, tmp_path: Path, run_forked) -> None:
    """The command line wins over the file, the file over the defaults."""
    src, bgr, out = easy
    content = {
        "images": {"src": str(src), "bgr": "nowhere.png"},
        "output": {"dir": str(out), "types": ["com", "pha", "fgr"]},
        "model": {"refine_sample_pixels": 320, "backbone_scale": 0.25},
        "quality": "hd",
        "target_bgr": "red",
    }
    file = tmp_path / "run.yaml"
    # 1e-1 is a number, although YAML 1.1 has it for a string.
    file.write_text(yaml.safe_dump(content) + "compute: {num_workers: 0}\n", "utf-8")
    run = run_forked(
        *("--config", file, "--images-bgr", bgr, "--target-bgr", "#102030"),
        *("--quality", "4k", "--model-backbone-scale", 0.5),
    )
    run.check(0, "2 done, 0 skipped, 0 failed")
    check_composite(out, np.array([0x10, 0x20, 0x30]))
    assert list_files(out) == sorted(
        [f"{kind}/{name}.png" for kind in ("com", "pha", "fgr") for name in "ab"] + ["summary.json"]
    )
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    details = summary["images"][0]["details"]
    # The command line has the scale, the file the pixels; the preset 4k, 1/8 and 320,000.
    assert (details["backbone_scale"], details["refine_sample_pixels"]) == (0.5, 320)
    settings = summary["settings"]
    assert (settings["quality"], settings["target_bgr"]) == ("4k", "#102030")
    assert (settings["compute"]["num_workers"], settings["compute"]["device"]) == (0, "auto")
    assert settings["config"] == f"…/{file.name}"


def test_target_picture_covers_the_frame(easy, tmp_path: Path, run_forked, photographs) -> None:
    src, bgr, out = easy
    wide = photographs.plate(128, 384, seed=7)
    target = photographs.save(tmp_path / "beach.png", wide)
    arguments = ("--output-types", "com", "pha", "fgr", "--target-bgr", target)
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out, *arguments)
    run.check(0, "2 done")
    # As high as the frame and twice as wide: its middle is seen, pixel by pixel.
    check_composite(out, wide[:, 96:288])


def test_target_folder_is_paired_by_name(easy, tmp_path: Path, run_forked, photographs) -> None:
    src, bgr, out = easy
    new = tmp_path / "new"
    target = photographs.plate(seed=7)
    photographs.save(new / "a.tif", target)
    photographs.save(new / "c.png", target)
    arguments = ("--output-types", "com", "pha", "fgr", "--target-bgr", new)
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out, *arguments)
    run.check(1, r"failed: b\.png: no target background: no picture named b in .*new")
    check_composite(out, target)
    assert not (out / "com/b.png").exists()


def test_target_blur_blurs_the_plate(easy, run_forked, photographs) -> None:
    src, bgr, out = easy
    arguments = ("--output-types", "com", "pha", "fgr", "--target-bgr", "blur")
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out, *arguments)
    run.check(0, "2 done")
    # The Gaussian by its formula: 1.5% of the longer side, edges repeated, cut off at 5 sigma.
    sigma, reach = 0.015 * 192, 15
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    blurred = np.pad(photographs.plate() / 1.0, ((reach,) * 2, (reach,) * 2, (0, 0)), "edge")
    for axis in (0, 1):
        blurred = np.apply_along_axis(np.convolve, axis, blurred, weights, "valid")
    # The program's kernel ends nearer, at 4 sigma (1e-4 of the weight), and the result is rounded.
    check_composite(out, blurred, off=1)


def test_sixteen_bits_in_and_out(tmp_path: Path, run_forked, photographs) -> None:
    plate = photographs.plate()
    bgr = photographs.save(tmp_path / "plate.png", plate)
    frame = photographs.frame(plate)
    photographs.save(tmp_path / "src/flat.png", frame)
    noise = np.random.default_rng(1).integers(-128, 129, frame.shape)
    deep = np.clip(frame.astype(int) * 257 + noise, 0, 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "src/deep.png"), deep[..., ::-1])
    out = tmp_path / "out"
    run = run_forked(
        *("--images-src", tmp_path / "src", "--images-bgr", bgr, "--output-dir", out),
        *("--output-types", "com", "pha", "fgr", "--output-bit-depth", 16),
    )
    run.check(0, "2 done, 0 skipped, 0 failed")
    com, pha, fgr = (
        cv2.imread(str(out / kind / "deep.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("com", "pha", "fgr")
    )
    for picture, shape in ((com, (128, 192, 4)), (pha, (128, 192)), (fgr, (128, 192, 3))):
        assert (picture.dtype, picture.shape) == (np.uint16, shape)
        # 8-bit values spread over 16 bits are multiples of 257.
        assert (np.unique(picture) % 257 != 0).sum() > 500
    assert np.array_equal(com[..., 3], pha)
    assert np.array_equal(com[pha > 0, :3], fgr[pha > 0])
    flat = cv2.imread(str(out / "pha/flat.png"), cv2.IMREAD_UNCHANGED)
    # The frames differ by half an 8-bit level; bytes or channels in the wrong order by far more.
    assert np.abs(pha / 65535 - flat / 65535).mean() < 0.01
    inside = photographs.disc() & (pha == 65535)
    assert np.abs(fgr[inside][:, ::-1].mean(axis=0) / 257 - photographs.COLOUR).max() < 8


def test_print_config_can_be_fed_back(easy, tmp_path: Path, run_forked) -> None:
    src, bgr, out = easy
    arguments = (
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        *("--output-types", "pha", "err", "--output-bit-depth", 16, "--quality", "hd"),
        *("--model-backbone-scale", 0.3, "--model-refine-threshold", 1e-5, "--num-workers", 1),
        *("--target-bgr", "#00b140", "--on-existing", "overwrite"),
    )
    printed = run_forked(*arguments, "--print-config").check(0, "backbone_scale: 0.3")
    assert not out.exists()
    file = tmp_path / "printed.yaml"
    file.write_text(printed.out, "utf-8")
    again = run_forked("--config", file, "--print-config").check(0)
    assert again.out == printed.out
    run_forked("--config", file).check(0, "2 done, 0 skipped, 0 failed")
    settings = json.loads((out / "summary.json").read_text("utf-8"))["settings"]
    assert (settings.pop("config"), settings.pop("print_config")) == ("…/printed.yaml", False)
    given = yaml.safe_load(printed.out)
    assert settings == hide_folders(given, given)
    assert settings["model"]["refine_threshold"] == 1e-5
    assert settings["model"]["backbone_scale"] == 0.3


@pytest.mark.parametrize(
    ("arguments", "scale", "pixels"),
    [
        (("--quality", "hd"), 1 / 4, 80_000),
        (("--quality", "best"), 1 / 2, 128 * 192),
        (("--quality", "4k", "--model-backbone-scale", 0.4), 0.4, 320_000),
        (("--quality", "hd", "--model-refine-sample-pixels", 1600), 1 / 4, 1600),
        (("--quality", "auto"), 1 / 2, 128 * 192),
        (("--model-backbone-scale", 0.4, "--model-refine-sample-pixels", 0), 0.4, 0),
    ],
)
def test_explicit_work_wins_over_quality(
    easy, run_forked, arguments: tuple, scale: float, pixels: int
) -> None:
    src, bgr, out = easy
    paths = ("--images-src", src / "a.png", "--images-bgr", bgr, "--output-dir", out)
    run_forked(*paths, *arguments, "--output-types", "ref").check(0, "1 done")
    details = json.loads((out / "summary.json").read_text("utf-8"))["images"][0]["details"]
    assert (details["backbone_scale"], details["refine_sample_pixels"]) == (scale, pixels)
    assert details["second_look"] == ("best" in arguments or "--quality" not in arguments)
    ref = np.asarray(Image.open(out / "ref/a.png"))
    # What the details say is what was done. The presets' pixels are more than there are here, and
    # cells without any predicted error are left out.
    count = (ref == 255).sum()
    assert count == pixels if pixels <= 1600 else 1600 < count <= ref.size


def test_err_and_ref_show_what_was_refined(easy, run_forked) -> None:
    src, bgr, out = easy
    paths = ("--images-src", src / "a.png", "--images-bgr", bgr, "--output-dir", out)
    run_forked(*paths, "--quality", "auto", "--output-types", "err", "ref").check(0, "1 done")
    err, ref = (np.asarray(Image.open(out / kind / "a.png")) for kind in ("err", "ref"))
    assert err.shape == ref.shape == (128, 192)
    assert set(np.unique(ref)) == {0, 255}
    cells = ref.reshape(32, 4, 48, 4)
    assert (cells == cells[:, :1, :, :1]).all()
    details = json.loads((out / "summary.json").read_text("utf-8"))["images"][0]["details"]
    # A cell is 4 x 4 pixels, and only whole cells are refined.
    assert 0 < (ref == 255).sum() <= details["refine_sample_pixels"]
    assert err[ref == 255].mean() > err[ref == 0].mean()


def test_precision_threads_and_coarse_network_agree(easy, run_forked, photographs) -> None:
    src, bgr, out = easy
    variants = {
        "plain": (),
        "serial": ("--num-workers", 0),
        "half": ("--precision", "bfloat16"),
        "base": ("--model-type", "mattingbase"),
    }
    pha, networks = {}, {}
    for name, arguments in variants.items():
        run = run_forked(
            *("--images-src", src / "a.png", "--images-bgr", bgr, "--output-dir", out / name),
            *("--output-types", "pha", "ref", *arguments),
        )
        run.check(0, "1 done, 0 skipped, 0 failed")
        summary = json.loads((out / name / "summary.json").read_text("utf-8"))
        assert summary["precision"] == ("bfloat16" if name == "half" else "float32")
        networks[name] = summary["network"]
        pha[name] = np.asarray(Image.open(out / name / "pha/a.png")) / 255
    assert np.array_equal(pha["serial"], pha["plain"])
    # bfloat16 keeps 8 bits. Measured: mean 0.00014, largest 0.031, at the edge.
    difference = np.abs(pha["half"] - pha["plain"])
    assert 0 < difference.mean() < 0.001
    assert difference.max() < 0.1
    assert networks["plain"] == "mattingrefine with mobilenetv2 and kernel size 3"
    assert networks["base"] == "mattingbase with mobilenetv2"
    refined = {name: np.asarray(Image.open(out / name / "ref/a.png")).any() for name in variants}
    assert refined == {"plain": True, "serial": True, "half": True, "base": False}
    # Without a refiner the edge is softer, and the subject the same. Measured: 0.0087.
    assert 0 < np.abs(pha["base"] - pha["plain"]).mean() < 0.03


def test_existing_outputs_are_kept_or_replaced(easy, run_forked) -> None:
    src, bgr, out = easy
    paths = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    run_forked(*paths, "--output-types", "pha").check(0, "2 done")
    Image.new("L", (5, 5)).save(out / "pha/b.png")
    mine = (out / "pha/b.png").read_bytes()
    before = {name: (out / f"pha/{name}.png").stat().st_mtime_ns for name in "ab"}

    run = run_forked(*paths, "--output-types", "pha", "--on-existing", "skip")
    run.check(0, "0 done, 2 skipped, 0 failed")
    assert (out / "pha/b.png").read_bytes() == mine
    run_forked(*paths, "--on-existing", "skip").check(0, "2 done, 0 skipped, 0 failed")
    assert before == {name: (out / f"pha/{name}.png").stat().st_mtime_ns for name in "ab"}
    images = json.loads((out / "summary.json").read_text("utf-8"))["images"]
    assert [entry["outputs"] for entry in images] == [{"com": f"com/{n}.png"} for n in "ab"]
    (out / "com/a.png").unlink()
    run = run_forked(*paths, "--on-existing", "skip").check(0, "1 done, 1 skipped, 0 failed")
    images = json.loads((out / "summary.json").read_text("utf-8"))["images"]
    assert [entry["status"] for entry in images] == ["done", "skipped"]

    # -y wins over a settings file, and so over --on-existing at large.
    run_forked(*paths, "-y", "--on-existing", "skip").check(0, "2 done, 0 skipped, 0 failed")
    assert np.asarray(Image.open(out / "pha/b.png")).shape == (128, 192)
    assert (out / "pha/a.png").stat().st_mtime_ns > before["a"]


def test_capture_is_checked_and_exposure_matched(tmp_path: Path, run_forked, photographs) -> None:
    plate = photographs.plate(256, 384)
    darker = np.rint(plate * 0.7).astype(np.uint8)
    for name in ("good", "darker"):
        photographs.save(tmp_path / f"src/{name}.png", photographs.frame(plate))
    photographs.save(tmp_path / "src/swapped.png", plate)
    for name, bgr in (("good", plate), ("darker", darker), ("swapped", photographs.frame(plate))):
        photographs.save(tmp_path / f"bgr/{name}.png", bgr)
    config = tmp_path / "none.yaml"
    config.write_text("preprocess: none\npreprocess_exposure: false\n", "utf-8")
    cases = {
        "auto": (),
        "none": ("--config", config),
        "exposure": ("--config", config, "--preprocess-exposure"),
    }
    paths = ("--images-src", tmp_path / "src", "--images-bgr", tmp_path / "bgr")
    entries, pha, runs = {}, {}, {}
    for name, arguments in cases.items():
        out = tmp_path / name
        runs[name] = run_forked(*paths, "--output-dir", out, *arguments).check(0, "3 done")
        images = json.loads((out / "summary.json").read_text("utf-8"))["images"]
        entries[name] = {image["name"]: image for image in images}
        pha[name] = {s: np.asarray(Image.open(out / f"pha/{s}.png")) for s in ("good", "darker")}
    runs["auto"].check(
        0, r"note: darker.png: the frame's exposure differs from the plate's by \+1\.\d\d stops"
    )
    runs["auto"].check(0, "note: swapped.png: plate and frame seem to be swapped")
    assert "good.png" not in runs["auto"].out
    told = {n: e["details"]["capture"]["problems"] for n, e in entries["auto"].items()}
    assert told == {
        **{"good.png": [], "darker.png": ["exposure changed"]},
        "swapped.png": ["plate and frame swapped"],
    }
    # Its bright parts are clipped in the frame and do not count. 1 / 0.7 is 1.43.
    exposure = entries["auto"]["darker.png"]["details"]["exposure"]
    assert exposure["gain"] == pytest.approx([1 / 0.7] * 3, abs=0.03)
    details = entries["none"]["darker.png"]["details"]
    assert (details["exposure"], details["alignment"], details["capture"]) == (None, None, None)
    runs["exposure"].check(0, "note: good.png: plate's exposure not matched: already matched")
    assert entries["exposure"]["darker.png"]["details"]["exposure"]["applied"]
    assert np.array_equal(pha["exposure"]["darker"], pha["auto"]["darker"])
    assert np.array_equal(pha["none"]["good"], pha["auto"]["good"]), "never worse: untouched"
    # The matched plate gives the matte of the good one; rounding and the fit are 1 level off.
    difference = {n: np.abs(pha[n]["darker"] / 255 - pha[n]["good"] / 255).mean() for n in pha}
    assert difference["auto"] < 0.005
    assert difference["none"] > 2 * difference["auto"]


def test_hand_held_plate_is_aligned_on_request(tmp_path: Path, run_forked, photographs) -> None:
    scene = photographs.plate(300, 400)
    bgr = photographs.save(tmp_path / "bgr/far.png", scene[:256, :384])
    photographs.save(tmp_path / "bgr/tiny.png", scene[:20, :30])
    photographs.save(tmp_path / "src/far.png", photographs.frame(scene[6:262, 9:393]))
    photographs.save(tmp_path / "src/tiny.png", scene[:20, :30])
    means = []
    kept = ("--preprocess", "none")
    cases = {"as it is": kept, "auto": (), "aligned": (*kept, "--preprocess-alignment")}
    for name, arguments in cases.items():
        out = tmp_path / name
        paths = ("--images-src", tmp_path / "src", "--images-bgr", bgr.parent)
        run = run_forked(*paths, "--output-dir", out, *arguments).check(0, "2 done")
        pha = np.asarray(Image.open(out / "pha/far.png")) / 255
        means.append(pha[~photographs.disc(256, 384)].mean())
        if name == "auto":
            run.check(
                0, r"note: far.png: the camera moved by up to 1\d\.\d pixels; the plate is al"
            )
            assert "tiny.png" not in run.out, "too small to be judged"
    run.check(0, "note: tiny.png: plate not aligned: too small")
    images = json.loads((out / "summary.json").read_text("utf-8"))["images"]
    far, tiny = (entry["details"]["alignment"] for entry in images)
    assert (far["applied"], tiny["applied"]) == (True, False)
    # The camera moved by (9, 6) pixels; the fit is good to a quarter of a pixel.
    assert far["largest_shift_px"] == pytest.approx(np.hypot(9, 6), abs=0.5)
    # Alpha outside the subject. Measured: 0.060, and 0.0028 with the plate aligned.
    assert means[0] > 0.02
    assert means[1] == means[2] < 0.01


@pytest.mark.slow
def test_skip_says_with_what_settings_kept_outputs_were_made(
    easy, tmp_path: Path, run_forked
) -> None:
    src, bgr, out = easy
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--quality", "auto")
    line += ("--output-types", "com")
    skip = ("--on-existing", "skip")
    run_forked(*line, "--target-bgr", "green").check(0, "2 done")
    (out / "com/b.png").unlink()
    run = run_forked(*line, *skip, "--target-bgr", "blue", "--num-workers", 1)
    said = "1 kept outputs were made with other settings: target_bgr was green, now blue"
    run.check(0, said, "1 done, 1 skipped")
    # The next one knows of each file, and so does the one after.
    for _ in range(2):
        run_forked(*line, *skip, "--target-bgr", "blue").check(0, said, "0 done, 2 skipped")
        kept = json.loads((out / "summary.json").read_text("utf-8"))["kept"]
        assert [(group["files"], group["settings"]["target_bgr"]) for group in kept] == [
            (["com/a.png"], "green")
        ]
    run = run_forked(*line, *skip, "--target-bgr", "green").check(0, "0 done, 2 skipped")
    assert "target_bgr was blue, now green" in run.out
    (out / "summary.json").unlink()
    run = run_forked(*line, *skip).check(0, "2 outputs were kept, but no summary.json records")
    run = run_forked(*line, "-y").check(0, "2 done")
    assert "kept" not in run_forked(*line, *skip).check(0, "0 done, 2 skipped").out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_killed_run_leaves_its_settings_for_the_next(easy, run_forked) -> None:
    src, bgr, out = easy
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--quality", "auto")
    kill = """
import os, signal
from matting.images import frame
write = frame.write_outputs
def write_and_die(*args):
    yield from write(*args)
    os.kill(os.getpid(), signal.SIGKILL)
frame.write_outputs = write_and_die
"""
    run = run_forked(*line, "--target-bgr", "red", "--num-workers", 0, before=kill)
    assert run.code == -9
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert (summary["interrupted"], summary["settings"]["target_bgr"]) == (True, "red")
    run = run_forked(*line, "--target-bgr", "blue", "--on-existing", "skip")
    run.check(0, "2 kept outputs were .* target_bgr was red, now blue", "1 done, 1 skipped")


def test_results_name_only_what_is_there(easy, run_forked) -> None:
    src, bgr, out = easy
    line = ("--images-src", src, "--output-dir", out, "--quality", "auto")
    broken = bgr.with_name("broken.png")
    broken.write_bytes(b"nothing")
    run = run_forked(*line, "--images-bgr", broken).check(1, "failed: a.png", "failed: b.png")
    assert "results are in" not in run.out
    fail = """
from matting.images import frame
write = frame.write_png
def fail(path, *args, **more):
    if path.parent.name == "pha":
        raise OSError("no")
    return write(path, *args, **more)
frame.write_png = fail
"""
    run = run_forked(*line, "--images-bgr", bgr, before=fail).check(1, "failed: a.png: no")
    assert f"results are in {out}: com\n" in run.out


def test_pictures_beyond_the_memory_are_refused_with_what_to_do(easy, run_forked) -> None:
    src, bgr, out = easy
    before = """
from matting.images import frame
frame.free_memory = lambda: 192 * 128 * 100
frame._LARGE = frame._SMALL = 1
"""
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    run = run_forked(*line, before=before)
    run.check(1, "a.png: 192 x 128 pixels need about .* free; make .* smaller, or use --quality")
    # With one look it fits, one frame at a time.
    run_forked(*line, "--quality", "auto", before=before).check(0, "2 done")

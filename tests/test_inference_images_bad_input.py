"""inference_images.py from end to end: what can't be done is refused, or told and left out."""

import errno
import json
import os
import pickle
import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

# Done in the call below, besides: names, and the pixels (width, height) that outputs must have.
GOOD = {
    "dot.png": (1, 1),
    "good.png": (96, 64),
    "slim.png": (3, 5),
    "sub dir/später 夜.jpg": (96, 64),
}
# What stands between, and the reason that must be told.
BAD = {
    "alone.png": "no plate: no picture named alone in .*plates",
    "broken.png": "frame .*broken.png: not a picture",
    "cut.jpg": "frame .*cut.jpg: damaged, truncated",
    "cut.png": "frame .*cut.png: damaged, truncated",
    "deep cut.png": "frame .*deep cut.png: damaged, truncated",
    "empty.png": r"frame .*empty.png: .*empty \(0 bytes\)",
    "gone.png": "a broken link",
    "plateless.png": "plate .*plateless.png: damaged, truncated",
    "twice.png": r"no plate: several pictures named twice in .*: twice\.jpg, twice\.webp",
    "wide.png": "aspect ratios: the plate is 96 x 64 pixels, the frame 128 x 64",
}


def snapshot(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    """Content and time of every file and folder below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes() if path.is_file() else None,
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
    }


def list_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def read_summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text("utf-8"))


def cut(path: Path) -> None:
    """Loses the second half, as a broken copy does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, run_script, photographs):
    """One run over good and bad pictures with a folder of plates."""
    root = tmp_path_factory.mktemp("mixed")
    src, bgr, out = root / "src", root / "plates", root / "out"
    plate = photographs.plate(64, 96)
    frame = photographs.frame(plate)
    for name in (*GOOD, *BAD):
        photographs.save(src / name, frame)
        photographs.save((bgr / name).with_suffix(".png"), plate)
    for name, height, width in (("dot.png", 1, 1), ("slim.png", 5, 3)):
        photographs.save(src / name, frame[:height, :width])
        photographs.save(bgr / name, plate[:height, :width])
    photographs.save(src / "wide.png", photographs.plate(64, 128))
    (bgr / "alone.png").unlink()
    photographs.save(bgr / "lonely.png", plate)
    photographs.save(bgr / "twice.jpg", plate)
    (bgr / "twice.png").rename(bgr / "twice.webp")
    (src / "broken.png").write_bytes(b"\x89PNG and nothing else")
    (src / "empty.png").write_bytes(b"")
    cv2.imwrite(str(src / "deep cut.png"), frame.astype(np.uint16) * 257)
    for path in (*src.glob("*cut.*"), bgr / "plateless.png"):
        cut(path)
    (src / "gone.png").unlink()
    (src / "gone.png").symlink_to("nowhere.png")
    run = run_script("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    return run, out


def test_good_pictures_among_bad_ones_are_done(mixed) -> None:
    run, out = mixed
    run.check(1)
    assert f"{len(GOOD)} done, 0 skipped, {len(BAD)} failed" in run.out
    stems = [name.rpartition(".")[0] for name in GOOD]
    wanted = [f"{kind}/{stem}.png" for kind in ("com", "pha") for stem in stems]
    assert list_files(out) == sorted([*wanted, "summary.json"])
    for stem, size in zip(stems, GOOD.values(), strict=True):
        com, pha = (Image.open(out / kind / f"{stem}.png") for kind in ("com", "pha"))
        assert (com.size, com.mode, pha.size, pha.mode) == (size, "RGBA", size, "L")


@pytest.mark.parametrize("name", BAD)
def test_reason_is_told_and_kept(mixed, name: str) -> None:
    run, out = mixed
    run.check(1, f"failed: {re.escape(name)}: .*{BAD[name]}")
    entry = next(entry for entry in read_summary(out)["images"] if entry["name"] == name)
    assert entry["status"] == "failed"
    assert re.search(BAD[name], entry["reason"])
    assert entry["outputs"] == {}


def test_summary_of_good_and_bad_ones(mixed) -> None:
    run, out = mixed
    summary = read_summary(out)
    assert summary["counts"] == {"done": len(GOOD), "skipped": 0, "failed": len(BAD)}
    done = [entry["name"] for entry in summary["images"] if entry["status"] == "done"]
    assert done == list(GOOD)
    notes = "\n".join(summary["notes"])
    unused = r"^plates that match no frame: …/plates/gone\.png, …/plates/lonely\.png$"
    assert re.search(unused, notes, re.MULTILINE)
    said = run.out.replace(str(out.parent), "…")  # the summary names no folder of the machine
    assert all(f"note: {note}\n" in said for note in summary["notes"])


@pytest.fixture
def paths(tmp_path: Path, photographs) -> tuple[Path, Path, Path]:
    """A folder with one frame, its plate, and where outputs go."""
    return *photographs.pair(tmp_path / "in", "a.png"), tmp_path / "out"


@pytest.fixture
def refuse(paths: tuple, tmp_path: Path, run_forked) -> Callable[..., None]:
    """Runs with good paths and `arguments`, which must be refused for the reason `pattern`."""
    src, bgr, out = paths

    def check(pattern: str, *arguments: object) -> None:
        before = snapshot(tmp_path)
        line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, *arguments)
        run = run_forked(*line).check(2, pattern)
        assert run.out == ""
        assert snapshot(tmp_path) == before

    return check


@pytest.mark.parametrize("flag", ["--images-src", "--images-bgr", "--target-bgr"])
def test_missing_and_empty_folders(refuse, tmp_path: Path, flag: str) -> None:
    target = flag == "--target-bgr"
    what = (
        "is neither .* nor a picture or folder" if target else "does not exist; name a picture or"
    )
    refuse(rf"^error: .*nowhere'? {what}", flag, tmp_path / "nowhere")
    (tmp_path / "empty/sub").mkdir(parents=True)
    (tmp_path / "empty/notes.txt").write_text("no picture")
    refuse(r"no picture was found in \S*empty .*\.jpg", flag, tmp_path / "empty")


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("unknown flag .--quallity.; perhaps you meant --quality", ["--quallity", "hd"]),
        (
            "unknown flag .--model-backbone-scal.; perhaps you meant --model-backbone-scale",
            ["--model-backbone-scal", 0.25],
        ),
        ("invalid choice 'pah'.*'--output-types'.*'pha'", ["--output-types", "com", "pah"]),
        ("key 'types': .* at least 1 item", ["--output-types"]),
        ("--num-workers.*'two'", ["--num-workers", "two"]),
        ("key 'num_workers': .* equal to 0, got -1", ["--num-workers", -1]),
        (
            "key 'backbone_scale': .* equal to 0.5, got 0.6",
            ["--model-backbone-scale", 0.6],
        ),
        (
            "key 'backbone_scale': Input should be a finite number, got nan",
            ["--model-backbone-scale", "nan"],
        ),
        ("key 'refine_sample_pixels': .* equal to 0, got -1", ["--model-refine-sample-pixels", -1]),
        ("key 'refine_threshold': .* equal to 1, got 1.5", ["--model-refine-threshold", 1.5]),
        (r"rgb\(300,0,0\).*from 0 to 255", ["--target-bgr", "rgb(300,0,0)"]),
        ("target background 'gren' is neither blur, nor a colour", ["--target-bgr", "gren"]),
        ("checkpoint nowhere.pth does not exist", ["--model-checkpoint", "nowhere.pth"]),
        (
            "does not fit the network.*missing: backbone.conv1.weight"
            ".*unexpected: backbone.features.*leave out.*--model-backbone",
            ["--model-backbone", "resnet50"],
        ),
        ("settings file nowhere.yaml can't be read: .*No such file", ["--config", "nowhere.yaml"]),
    ],
)
def test_wrong_arguments(refuse, pattern: str, arguments: list) -> None:
    refuse(pattern, *arguments)


@pytest.mark.parametrize(
    ("pattern", "content"),
    [
        ("unknown key 'qualty'; perhaps you meant 'quality'", "qualty: hd"),
        (
            "unknown key 'model.backbone_scal'; perhaps you meant 'model.backbone_scale'",
            "model: {backbone_scal: 0.25}",
        ),
        ("key 'compute.num_workers': .*integer, got True", "compute: {num_workers: true}"),
        ("key 'model.backbone_scale': .*number, got '0.25'", "model: {backbone_scale: '0.25'}"),
        ("key 'output.types': .*got 'com'", "output: {types: com}"),
        ("key 'quality': .*'auto', 'best', 'fast', 'hd' or '4k', got '8k'", "quality: 8k"),
        ("key 'model.backbone_scale': .*equal to 0.5, got 0.6", "model: {backbone_scale: 0.6}"),
        ("key 'compute.num_workers': .*equal to 0, got -1", "compute: {num_workers: -1}"),
        ("key 'model' must map names to values, got None", "model:"),
        (r"the file must map names to values, got \['quality'\]", "- quality"),
        ("is not YAML for settings: .*line 1", "quality: [hd"),
        ("can't be read: it is not UTF-8", b"\xff\xfe\x00q"),
    ],
)
def test_wrong_settings_files(refuse, tmp_path: Path, pattern: str, content: str | bytes) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refuse(rf"^error: settings file \S*run\.yaml:? {pattern}", "--config", file)


def test_absent_device(refuse) -> None:
    refuse("device cuda is not available.*available: .*cpu", "--device", "cuda")


def test_absent_device_of_another_maker(refuse) -> None:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        pytest.skip("MPS is present here")
    refuse("device mps is not available.*available: .*cpu", "--device", "mps")


class RunsCode:
    """Unpickling this creates a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_checkpoint_that_would_run_code(refuse, tmp_path: Path) -> None:
    trap, file = tmp_path / "trap", tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(RunsCode(trap), protocol=2))
    refuse(r"weights.pth is refused: .*could run code.*mkdir", "--model-checkpoint", file)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["text.png", "cut.jpg"])
def test_damaged_target_picture(paths: tuple, run_forked, photographs, name: str) -> None:
    src, bgr, out = paths
    target = photographs.save(src.parent / name, photographs.plate(64, 96))
    cut(target) if name == "cut.jpg" else target.write_text("a holiday")
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--target-bgr", target)
    )
    run.check(1, rf"failed: a\.png: target .*{name}: (not a picture|damaged, truncated)")
    assert list_files(out) == ["summary.json"]


def test_existing_outputs_are_not_replaced_unasked(refuse, paths: tuple) -> None:
    out = paths[2]
    (out / "pha").mkdir(parents=True)
    (out / "pha/a.png").write_bytes(b"mine")
    refuse(r"1 of the outputs already exist: \S*pha/a\.png\. Use --on-existing skip.*-y")
    assert (out / "pha/a.png").read_bytes() == b"mine"


@pytest.mark.parametrize("which", ["--images-src", "--images-bgr", "--target-bgr"])
@pytest.mark.parametrize("spelling", ["same", "dotted", "linked"])
def test_output_folder_is_an_input_folder(
    refuse, tmp_path: Path, photographs, which: str, spelling: str
) -> None:
    photographs.pair(tmp_path / "work", "a.png")
    folder = tmp_path / "work/src"
    (tmp_path / "link").symlink_to(folder)
    spelt = {
        "same": folder,
        "dotted": tmp_path / "work/../work/src/.",
        "linked": tmp_path / "link",
    }[spelling]
    refuse(
        f"--output-dir and {which} are the same folder", which, folder, "-y", "--output-dir", spelt
    )


@pytest.mark.parametrize("which", ["--images-src", "--images-bgr", "--target-bgr"])
def test_output_would_replace_an_input(refuse, tmp_path: Path, photographs, which: str) -> None:
    work = tmp_path / "work"
    photographs.save(work / "fgr/a.png", photographs.frame(photographs.plate(64, 96)))
    refuse(
        r"output \S*work/fgr/a\.png would replace an input",
        *(which, work / "fgr", "--output-dir", work, "--output-types", "fgr", "-y"),
    )


def test_source_folder_inside_the_output_folder(paths: tuple, run_forked) -> None:
    src, bgr, _ = paths
    before = snapshot(src)
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", src.parent)
    run_forked(*line).check(0, "1 done, 0 skipped, 0 failed")
    assert snapshot(src) == before
    outputs = ["com/a.png", "pha/a.png", "summary.json"]
    assert list_files(src.parent) == sorted(["bgr.png", "src/a.png", *outputs])


def test_outputs_inside_the_source_folder_are_no_frames(paths: tuple, run_forked) -> None:
    src, bgr, _ = paths
    out = src / "matted"
    before = (src / "a.png").read_bytes()
    for arguments in ((), ("-y",), ("--on-existing", "skip")):
        run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out, *arguments)
        run.check(0, "0 done, 1 skipped" if "skip" in arguments else "1 done, 0 skipped, 0 failed")
        assert list_files(src) == sorted(
            ["a.png", "matted/com/a.png", "matted/pha/a.png", "matted/summary.json"]
        )
    run.check(0, "matted is inside the source folder and is not read as frames")
    assert (src / "a.png").read_bytes() == before


def test_names_of_outputs_never_meet(tmp_path: Path, run_forked, photographs) -> None:
    """Outputs of img.jpg and img.png keep the extension, which img.jpg.png has already."""
    names = ("img.jpg", "img.png", "img.jpg.png")
    src, bgr = photographs.pair(tmp_path, *names)
    out = tmp_path / "out"
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    run.check(0, "3 done, 0 skipped, 0 failed")
    listed = [entry["outputs"]["pha"] for entry in read_summary(out)["images"]]
    assert len(set(listed)) == 3
    assert list_files(out / "pha") == sorted(path.removeprefix("pha/") for path in listed)


def test_plates_are_the_frames(refuse, paths: tuple) -> None:
    """A frame is no plate of its own: alpha would be 0 everywhere, and nobody would know why."""
    src, bgr, _ = paths
    refuse("--images-src and --images-bgr are the same", "--images-bgr", src)
    refuse("--images-src and --images-bgr are the same", "--images-src", bgr)


@pytest.mark.skipif(os.name == "nt", reason="file modes do not protect folders on Windows")
def test_read_only_output_folder(paths: tuple, tmp_path: Path, run_script) -> None:
    src, bgr, out = paths
    command = (sys.executable, "inference_images.py")
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root writes everywhere, and setpriv is not there to prevent it")
        command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *command)
    out.mkdir(mode=0o555)
    before = snapshot(tmp_path)
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    run_script(*line, command=command).check(
        2, "^error: output folder .*out can't be written: Permission denied.*--output-dir"
    )
    assert snapshot(tmp_path) == before


def test_output_folder_that_is_a_file(refuse, paths: tuple) -> None:
    out = paths[2]
    out.write_text("mine")
    refuse("output folder .*out can't be written: it exists and is not a folder")
    refuse("output folder .*out/sub can't be written: Not a directory", "--output-dir", out / "sub")


def test_what_stands_in_the_way_of_an_output(paths: tuple, run_forked, photographs) -> None:
    src, bgr, out = paths
    photographs.save(src / "b.png", photographs.plate(64, 96))
    (out / "pha/a.png").mkdir(parents=True)
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "-y")
    run_forked(*line, "--output-types", "pha").check(1, r"failed: a\.png: .*pha/a.*Is a directory")
    assert list_files(out) == ["pha/b.png", "summary.json"]


# A disk that is full for the files that `is_full(folder, number of the file in it)` chooses; half
# of the data fits still.
FULL_DISK = """
import collections, errno, os, pathlib
count = collections.Counter()
write = pathlib.Path.write_bytes
def write_half(path, data):
    count[path.parent.name] += 1
    if not is_full(path.parent.name, count[path.parent.name], data):
        return write(path, data)
    write(path, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
pathlib.Path.write_bytes = write_half
"""
NO_SPACE = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize("workers", [0, 2])
def test_disk_full_for_one_output(tmp_path: Path, run_forked, photographs, workers: int) -> None:
    names = ["a.png", "b.png", "c.png"]
    src, bgr = photographs.pair(tmp_path, *names)
    out = tmp_path / "out"
    (out / "pha").mkdir(parents=True)
    for name in names:
        (out / "pha" / name).write_bytes(b"from yesterday")
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        *("-y", "--num-workers", workers),
        before=FULL_DISK + "is_full = lambda folder, number, data: (folder, number) == ('pha', 2)",
    )
    run.check(1, rf"failed: \w\.png: .*{NO_SPACE}")
    assert "2 done, 0 skipped, 1 failed" in run.out
    images = read_summary(out)["images"]
    (failed,) = (entry["name"] for entry in images if entry["status"] == "failed")
    # With threads any of them may be the second.
    assert failed == "b.png" or workers
    # What was there before is there still, and com, which comes before pha, is whole.
    assert (out / "pha" / failed).read_bytes() == b"from yesterday"
    files = [*(f"com/{name}" for name in names), *(f"pha/{name}" for name in names)]
    assert list_files(out) == sorted([*files, "summary.json"])
    for file in files:
        if file != f"pha/{failed}":
            assert np.asarray(Image.open(out / file)).shape[:2] == (64, 96)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_disk_full_for_the_summary(paths: tuple, run_forked) -> None:
    src, bgr, out = paths
    (src / "broken.png").write_bytes(b"no picture")
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        before="""
import pathlib
open_file, written = pathlib.Path.open, []
def open_full(path, mode="r", *args, **options):
    if path.parent.name == "out" and mode == "wb":
        written.append(path)
    full = len(written) > 1 and path == written[-1]  # the first tries the folder
    return open_file(pathlib.Path("/dev/full") if full else path, mode, *args, **options)
pathlib.Path.open = open_full
""",
    )
    # The pictures have been matted; what failed is told all the same.
    run.check(1, rf"error: .*summary\.json can't be written: .*{NO_SPACE}", r"failed: broken\.png")
    assert list_files(out) == ["com/a.png", "pha/a.png"]


def test_summary_of_someone_else_is_kept(paths: tuple, run_forked) -> None:
    src, bgr, out = paths
    out.mkdir()
    (out / "summary.json").write_text("mine")
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "-y")
    run.check(2, r"summary\.json is not a summary that this program wrote")
    assert (out / "summary.json").read_text() == "mine"
    assert list_files(out) == ["summary.json"]


def test_disk_full_from_the_start(paths: tuple, run_forked) -> None:
    src, bgr, out = paths
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        before=FULL_DISK + "is_full = lambda *_: True",
    )
    run.check(2, f"^error: output folder .*out can't be written: the disk is full .{NO_SPACE}")
    assert list_files(out) == []


def test_name_that_is_no_text(paths: tuple, run_forked) -> None:
    """A name in another encoding than the system's, as old archives have them."""
    src, bgr, out = paths
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(src / "a.png", src / name)
    except OSError:
        pytest.skip("the file system takes only names in UTF-8")
    run = run_forked("--images-src", src, "--images-bgr", bgr, "--output-dir", out)
    run.check(0, "2 done, 0 skipped, 0 failed")
    assert (out / "pha" / name).is_file()
    assert read_summary(out)["counts"]["done"] == 2


def test_output_that_can_not_show_a_name(paths: tuple, run_forked, photographs) -> None:
    """A pipe in a Windows encoding, say: the run must not end for a note about a picture."""
    src, bgr, out = paths
    photographs.save(src / "夜.png", photographs.plate(32, 48))
    photographs.save(src / "夜半.png", photographs.plate(32, 32))
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        before="import sys; sys.stdout.reconfigure(encoding='cp1252')",
    )
    run.check(1, "failed: .*aspect ratios")
    assert "2 done, 0 skipped, 1 failed" in run.out
    assert list_files(out / "pha") == ["a.png", "夜.png"]
    assert read_summary(out)["counts"]["failed"] == 1


@pytest.mark.slow
def test_thirty_megapixels(tmp_path: Path, run_script, photographs) -> None:
    """Measured on one core: 32 s and 6.2 GiB; on two, 22 s."""
    pytest.importorskip("resource", reason="peak memory is read the POSIX way")
    plate = photographs.plate(280, 420)
    for name, pixels in (("src.jpg", photographs.frame(plate)), ("bgr.jpg", plate)):
        large = Image.fromarray(pixels).resize((6720, 4480))
        large.save(tmp_path / name, quality=90)
    measured = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run([sys.executable, 'inference_images.py', *sys.argv[1:]]).returncode\n"
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(code)"
    )
    run = run_script(
        *("--images-src", tmp_path / "src.jpg", "--images-bgr", tmp_path / "bgr.jpg"),
        *("--output-dir", tmp_path / "out"),
        command=(sys.executable, "-c", measured),
        timeout=300,
    )
    run.check(0, "1 done, 0 skipped, 0 failed")
    assert list_files(tmp_path / "out") == ["com/src.png", "pha/src.png", "summary.json"]
    for kind in ("com", "pha"):
        assert Image.open(tmp_path / "out" / kind / "src.png").size == (6720, 4480)
    seconds = read_summary(tmp_path / "out")["seconds"]
    peak = int(re.search(r"peak (\d+)", run.out)[1]) * (1 if sys.platform == "darwin" else 1024)
    print(f"30 megapixels: {seconds:.1f} s, peak memory {peak / 2**30:.2f} GiB")
    # The least memory of a machine that still is called large enough for such pictures.
    assert peak < 8 * 2**30

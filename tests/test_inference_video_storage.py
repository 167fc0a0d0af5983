"""inference_video.py with clips, plates and outputs in an S3 server or on a web server."""

import http.server
import json
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Clips, Photographs, Run, RunScript
from tests.storage.server import CREDENTIALS, Fault, Store

FAST = "import storage.persistence as p; p._FIRST, p._LONGEST, p.PATIENCE = 0.001, 0.01, 20"


@pytest.fixture
def place(s3: Store, tmp_path: Path) -> Path:
    """A folder with a clip, a plate and a picture sequence, and the same in the bucket."""
    pictures = Clips.moving(4)
    Clips.write(tmp_path / "a b.mp4", pictures)
    Photographs.save(tmp_path / "bgr.png", Photographs.plate(48, 64))
    for number, picture in enumerate(pictures):
        Photographs.save(tmp_path / f"frames/{number:03d}.png", picture)
    for path in tmp_path.rglob("*.*"):
        s3.put(path.relative_to(tmp_path).as_posix(), path.read_bytes())
    return tmp_path


@pytest.fixture
def run(s3: Store, run_video: RunScript) -> RunScript:
    """Runs the script with the server in its environment; by default from the bucket into it."""

    def run(*args: object, before: str = "", **flags: object) -> Run:
        bucket = f"s3://{s3.bucket}"
        chosen = {"video_src": f"{bucket}/a b.mp4", "video_bgr": f"{bucket}/bgr.png"}
        chosen |= {"output_dir": f"{bucket}/out"} | flags
        named = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        environment = f"import os; os.environ.update({s3.environment!r})\n{FAST}\n{before}"
        return run_video(*named, *args, before=environment)

    return run


@pytest.fixture
def pictures_of(place: Path, run_video: RunScript) -> dict[str, bytes]:
    """The pictures that local files become, by name."""
    local = ("--video-src", place / "frames", "--video-bgr", place / "bgr.png")
    out = place / "local"
    run_video(*local, "--output-dir", out, "--output-format", "image_sequences").check(0)
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.png")}


def test_a_part_replaces_no_foreign_summary_of_its_name(
    s3: Store, place: Path, run: RunScript
) -> None:
    s3.put("out/summary-0-of-3.json", b"mine")
    frames, kind = f"s3://{s3.bucket}/frames", ("--output-format", "image_sequences")
    run(*kind, "--shard", "0/3", "-y", video_src=frames).check(2, "not a summary that this program")
    assert s3.get("out/summary-0-of-3.json") == b"mine"


@pytest.mark.slow
def test_a_clip_from_a_bucket_to_a_bucket(s3: Store, place: Path, run: RunScript) -> None:
    new = f"s3://{s3.bucket}/frames/000.png"
    done = run("--video-target-bgr", new).check(0, f"results are in s3://{s3.bucket}/out: com.mp4")
    assert s3.names("out/") == ["out/com.mp4", "out/pha.mp4", "out/summary.json"]
    (place / "made.mp4").write_bytes(s3.get("out/com.mp4"))
    assert len(Clips.read(place / "made.mp4")) == 4
    told = json.loads(s3.get("out/summary.json"))
    assert told["images"][0]["name"] == f"s3://{s3.bucket}/a b.mp4"
    assert told["settings"]["video"]["bgr"] == f"s3://{s3.bucket}/bgr.png"
    assert told["settings"]["video"]["target_bgr"] == new
    assert told["settings"]["output"]["dir"] == f"s3://{s3.bucket}/out"
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in done.out + done.err + str(told)
    run().check(2, r"outputs exist already: s3://.*/out/com\.mp4. Use -y")
    run("-y").check(0)


def test_pictures_from_a_bucket_with_troubles(
    s3: Store, run: RunScript, pictures_of: dict[str, bytes]
) -> None:
    s3.faults += [Fault(status=503, code="SlowDown", times=5), Fault("PUT .*/pha", times=3)]
    frames = f"s3://{s3.bucket}/frames"
    run("--output-format", "image_sequences", video_src=frames).check(0, "8 files were stored")
    made = [name for name in s3.names("out/") if name.endswith(".png")]
    assert {name.removeprefix("out/"): s3.get(name) for name in made} == pictures_of
    assert len(made) == 8


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("args", "flags", "text"), [
    ([], {"video_src": "s3://not-there-1/a.mp4"}, "there is no bucket not-there-1"),
    ([], {"video_bgr": "s3://not-there-1/a.png"}, "there is no bucket not-there-1"),
    ([], {"output_dir": "s3://not-there-1/a"}, "there is no bucket not-there-1"),
    ([], {"output_dir": "https://127.0.0.1/a"}, "is to read only"),
    ([], {"video_src": "s3://{}/gone"}, "/gone does not exist, or is a folder without"),
    (["--resume"], {}, "--resume continues outputs in a folder of this machine"),
])  # fmt: skip
def test_wrong_places_end_the_run_before_any_work(
    s3: Store, run: RunScript, args: list[str], flags: dict[str, str], text: str
) -> None:
    flags = {name: value.format(s3.bucket) for name, value in flags.items()}
    run(*args, **flags).check(2, text)
    assert s3.names("out/") == []


@pytest.mark.usefixtures("place")
def test_a_store_that_is_out_of_reach_is_no_wrong_input(s3: Store, run: RunScript) -> None:
    s3.faults.append(Fault(status=503, code="SlowDown"))
    run(before="p.PATIENCE = 0.1").check(1, "error: s3://.* the store answers 503 .* given up")


@pytest.mark.usefixtures("place")
def test_more_than_the_free_disk(run: RunScript) -> None:
    before = "import storage.files; storage.files._KEPT_FREE = 2**60"
    run(before=before).check(2, r"a b\.mp4: it has 0\.00 GiB, and 0\.00 GiB are free .*TMPDIR")


@pytest.mark.usefixtures("place")
def test_outputs_that_can_not_be_stored_are_kept(s3: Store, run: RunScript, tmp_path: Path) -> None:
    s3.faults.append(Fault("PUT .*/pha", status=403, code="AccessDenied"))
    (tmp_path / "t").mkdir()
    before = f"import tempfile; tempfile.tempdir = {str(tmp_path / 't')!r}"
    run(before=before).check(1, r"error: s3://.*/out/pha\.mp4: access is denied", "are kept in")
    (kept,) = (tmp_path / "t").glob("matting-kept-*")
    assert {path.name for path in kept.rglob("*.*")} == {"com.mp4", "pha.mp4", "summary.json"}


@pytest.mark.usefixtures("place")
def test_an_unfinished_run_stores_its_summary_alone(s3: Store, run: RunScript) -> None:
    s3.put("frames/002.png", b"broken")
    frames = f"s3://{s3.bucket}/frames"
    done = run("--output-format", "image_sequences", video_src=frames)
    done.check(1, r"failed: s3://.*/frames: .*002\.png", "unfinished; only the summary was stored")
    assert s3.names("out/") == ["out/summary.json"]
    assert json.loads(s3.get("out/summary.json"))["counts"]["failed"] == 1


def test_clips_that_are_done_are_stored_beside_a_broken_one(
    s3: Store, place: Path, run: RunScript
) -> None:
    clips = place / "clips"
    clips.mkdir()
    (clips / "good.mp4").write_bytes((place / "a b.mp4").read_bytes())
    (clips / "torn.mp4").write_bytes(b"broken")
    run(video_src=clips).check(1, r"failed: torn\.mp4", "3 files of what is done were stored")
    stored = [f"out/good/{name}" for name in ("com.mp4", "pha.mp4", "summary.json")]
    assert s3.names("out/") == [*stored, "out/summary.json"]
    own = json.loads(s3.get("out/good/summary.json"))
    assert own["counts"]["done"] == 1


def test_a_clip_and_a_plate_of_a_web_server(place: Path, run_video: RunScript) -> None:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(place))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        web = f"http://127.0.0.1:{server.server_port}"
        names = ("--video-src", f"{web}/a b.mp4", "--video-bgr", f"{web}/bgr.png")
        run_video(*names, "--output-dir", place / "web", "--output-types", "pha").check(0)
        server.shutdown()
    assert len(Clips.read(place / "web/pha.mp4")) == 4

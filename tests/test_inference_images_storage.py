"""inference_images.py with frames, plates and outputs in an S3 server or on a web server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, IMAGES, REPOSITORY, Photographs, Run, RunScript
from tests.storage.server import CREDENTIALS, Fault, Store

NAMES = "a.png", "sub/c d.png", "ü 漢字/100%20?#&+.png"
# Waits of thousandths of a second between attempts, for up to 20 seconds.
FAST = "import storage.persistence as p; p._FIRST, p._LONGEST, p.PATIENCE = 0.001, 0.01, 20"


@pytest.fixture
def place(s3: Store, tmp_path: Path) -> Path:
    """A folder with src/ and bgr.png, and the same in the bucket."""
    src, bgr = Photographs.pair(tmp_path, *NAMES)
    for path in (*src.rglob("*.png"), bgr):
        s3.put(path.relative_to(tmp_path).as_posix(), path.read_bytes())
    s3.requests.clear()
    return tmp_path


@pytest.fixture
def run(s3: Store, run_forked: RunScript) -> RunScript:
    """Runs the script with the server in its environment; by default from the bucket into it."""

    def run(*args: object, before: str = FAST, **flags: object) -> Run:
        bucket = f"s3://{s3.bucket}"
        chosen = {"images_src": f"{bucket}/src", "images_bgr": f"{bucket}/bgr.png"}
        chosen |= {"output_dir": f"{bucket}/out"} | flags
        named = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        environment = f"import os; os.environ.update({s3.environment!r})\n{before}"
        done = run_forked(*named, *args, before=environment)
        for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert CREDENTIALS[secret] not in done.out + done.err
        return done

    return run


@pytest.fixture
def expected(place: Path, run_forked: RunScript) -> dict[str, bytes]:
    """The outputs of a run on local files, by name."""
    local = ("--images-src", place / "src", "--images-bgr", place / "bgr.png")
    run_forked(*local, "--output-dir", place / "local").check(0)
    found = (place / "local").rglob("*.png")
    return {path.relative_to(place / "local").as_posix(): path.read_bytes() for path in found}


def outputs(s3: Store) -> dict[str, bytes]:
    names = [name for name in s3.names("out/") if name.endswith(".png")]
    return {name.removeprefix("out/"): s3.get(name) for name in names}


def summary(s3: Store) -> dict:
    text = s3.get("out/summary.json").decode()
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in text
    return json.loads(text)


def test_from_a_bucket_to_a_bucket_like_from_folder_to_folder(
    s3: Store, run: RunScript, expected: dict[str, bytes]
) -> None:
    run().check(0, "3 done, 0 skipped, 0 failed", f"results are in s3://{s3.bucket}/out")
    assert outputs(s3) == expected
    assert len(expected) == 6
    fetches = [line for line in s3.requests if line.startswith("GET") and line.endswith("/bgr.png")]
    assert len(fetches) == 1, "the plate is fetched once; its first byte says that it exists"
    told = summary(s3)
    assert told["counts"] == {"done": 3, "skipped": 0, "failed": 0}
    assert told["settings"]["images"]["src"] == f"s3://{s3.bucket}/src"
    assert told["images"][1]["outputs"]["com"] == "com/sub/c d.png"


@pytest.mark.slow
def test_existing_outputs_are_refused_kept_or_replaced(
    s3: Store, run: RunScript, expected: dict[str, bytes]
) -> None:
    s3.put("out/com/a.png", b"old")
    run().check(2, r"1 of the outputs already exist: s3://.*/out/com/a\.png")
    assert s3.names("out/") == ["out/com/a.png"]
    run("--on-existing", "skip").check(0, "3 done", "no summary.json records their settings")
    assert outputs(s3) == expected | {"com/a.png": b"old"}
    run("-y").check(0, "3 done")
    assert outputs(s3) == expected
    run("--on-existing", "skip").check(0, "0 done, 3 skipped")
    run("--on-existing", "skip", "--quality", "fast").check(
        0, "6 kept outputs were made with other settings: quality was best, now fast"
    )


@pytest.mark.slow
def test_pairs_and_backgrounds_in_buckets_and_outputs_of_earlier_runs(
    s3: Store, place: Path, run: RunScript
) -> None:
    for name in NAMES:
        s3.put(f"plates/{name}", (place / "bgr.png").read_bytes())
        s3.put(f"new/{name}", (place / "src" / name).read_bytes())
    s3.put("plates/other.png", b"")
    for name in ("src/old/pha/a.png", "src/old/summary.json", "src/new/pha/b.png"):
        s3.put(name, b"{}")
    bucket = f"s3://{s3.bucket}"
    more = {"images_bgr": f"{bucket}/plates", "target_bgr": f"{bucket}/new"}
    done = run(output_dir=f"{bucket}/src/out", **more)
    done.check(1, r"failed: new/pha/b\.png: no plate: no picture named new/pha/b in s3://")
    assert re.search(r"note: s3://\S+/src/old/pha is inside the source", done.out)
    assert re.search(r"plates that match no frame: s3://\S+/plates/other.png", done.out)
    assert sum(name.startswith("src/out/com/") for name in s3.names()) == 3
    # The outputs inside the source are not frames of the next run.
    run("-y", output_dir=f"{bucket}/src/out", **more).check(1, "no plate: no picture named new/pha")
    made = json.loads(s3.get("src/out/summary.json"))
    assert made["counts"] == {"done": 3, "skipped": 0, "failed": 1}


def test_signatures_of_web_addresses_are_shown_nowhere(
    tmp_path: Path, run_forked: RunScript, run_video: RunScript
) -> None:
    """Settings are printed here as they are in summaries and notes."""
    signed = "https://h/a.png?X-Amz-Signature=secret"
    for script, names in (
        (run_forked, ("images-src", "images-bgr", "target-bgr")),
        (run_video, ("video-src", "video-bgr", "video-target-bgr")),
    ):
        flags = [part for name in names for part in (f"--{name}", signed)]
        done = script(*flags, "--output-dir", tmp_path, "--print-config")
        done.check(0)
        assert done.out.count("https://h/a.png\n") == 3
        assert "secret" not in done.out


def test_troubles_of_the_store_pass(s3: Store, run: RunScript, expected: dict[str, bytes]) -> None:
    s3.faults += [
        Fault(status=500, times=3),
        Fault(status=503, code="SlowDown", times=3),
        Fault("PUT .*png", hang=0.05, times=3),
        Fault("GET .*png", cut=300, times=3),
    ]
    done = run().check(0, "3 done, 0 skipped, 0 failed")
    assert "trying again for 20 s" in done.err
    assert outputs(s3) == expected
    assert [fault.times for fault in s3.faults] == [0] * 4


def test_each_failure_is_an_entry_and_the_rest_goes_on(
    s3: Store, run: RunScript, place: Path, expected: dict[str, bytes]
) -> None:
    content = (place / "src/a.png").read_bytes()
    texts = {
        "denied.png": "access is denied",
        "skewed.png": "this machine's clock differs too much from the store's; set the clock",
        "replaced.png": "it was replaced while it was read; run again",
        "unstored.png": "out/pha/unstored.png: access is denied",
        "x/../y.png": "its name can't be that of a file: a part between slashes is empty, . or ..",
        "x//y.png": "its name can't be that of a file",
        "gone.png": "it does not exist",
        "empty.png": "frame s3://",
    }
    for name in texts:
        s3.put(f"src/{name}", b"" if name == "empty.png" else content)
    s3.put("src/folder/", b"")
    s3.put("src/\x1b[31m\t.png", content)
    s3.faults += [
        Fault("GET .*/denied", status=403, code="AccessDenied"),
        Fault("GET .*/skewed", status=403, code="RequestTimeTooSkewed"),
        Fault("GET .*/replaced", cut=90, times=1, then=lambda: s3.put("src/replaced.png", b"new")),
        Fault("PUT .*/pha/unstored", status=403, code="AccessDenied"),
        Fault("GET .*/gone", status=404, code="NoSuchKey"),
    ]
    done = run().check(1, *(rf"failed: {re.escape(name)}: .*" for name in texts))
    assert "\x1b" not in done.out + done.err
    told = {entry["name"]: entry for entry in summary(s3)["images"]}
    for name, text in texts.items():
        assert text in told[name]["reason"], name
        assert told[name]["status"] == "failed"
    assert sum(entry["status"] == "done" for entry in told.values()) == 4
    made = outputs(s3)
    assert expected.items() <= made.items()
    assert made["pha/\x1b[31m\t.png"] == expected["pha/a.png"]


def test_names_that_this_file_system_does_not_take_fail(
    s3: Store, run: RunScript, place: Path, expected: dict[str, bytes]
) -> None:
    content = (place / "src/a.png").read_bytes()
    s3.put(f"src/{'n' * 300}.png", content)
    run(output_dir=place / "out").check(1, r"failed: nnn.*File name too long")
    found = (place / "out").rglob("*.png")
    made = {path.relative_to(place / "out").as_posix(): path.read_bytes() for path in found}
    assert made == expected
    run().check(0, "4 done")  # the store takes it
    assert outputs(s3)[f"pha/{'n' * 300}.png"] == expected["pha/a.png"]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("flags", "text"), [
    ({"images_src": "s3://not-there-1/a"}, "error: s3://.*there is no bucket not-there-1"),
    ({"images_bgr": "s3://not-there-1/a"}, "there is no bucket not-there-1"),
    ({"output_dir": "s3://not-there-1/a"}, "there is no bucket not-there-1"),
    ({"images_src": "s3://{}/gone"}, "/gone does not exist or holds no picture"),
    ({"output_dir": "https://127.0.0.1/out"}, "https://127.0.0.1/out: https:// is to read only"),
    ({"images_src": "s3://key:secret@b/a"}, "must not hold a name or password"),
    ({"images_bgr": "s3://{}/src", "images_src": "s3://{}/src"}, "are the same"),
    ({"output_dir": "s3://{}/src"}, "are the same folder"),
    ({"model_checkpoint": "s3://{}/a.pth"}, "the checkpoint is read from this machine; fetch s3:"),
])  # fmt: skip
def test_a_wrong_place_for_the_whole_run_ends_before_any_work(
    s3: Store, run: RunScript, flags: dict[str, str], text: str
) -> None:
    flags = {name: value.format(s3.bucket) for name, value in flags.items()}
    before = FAST.replace("20", "0.1")
    done = run(before=before, **flags).check(2, text)
    assert "secret" not in done.err
    assert not any(line.startswith(("PUT", "POST")) and "out" in line for line in s3.requests)


def test_a_store_that_denies_outputs_ends_the_run_before_any_work(
    s3: Store, run: RunScript, place: Path
) -> None:
    s3.faults.append(Fault("PUT", status=403, code="AccessDenied"))
    run().check(2, r"error: s3://\S+/out/summary.json: access is denied")
    assert not any("GET" in line and "/src/" in line for line in s3.requests)


@pytest.mark.usefixtures("place")
def test_a_store_that_is_out_of_reach_is_no_wrong_input(s3: Store, run: RunScript) -> None:
    """Exit code 2 would end an Indexed Job's part without another try."""
    before = FAST.replace("20", "0.1")
    src = "https://127.0.0.1:9/a.png"
    run(before=before, images_src=src).check(1, f"error: {src}: the connection .* given up")
    s3.faults.append(Fault(status=503, code="SlowDown"))
    run(before=before).check(1, "error: s3://.* the store answers 503 .* given up")


@pytest.mark.usefixtures("place")
def test_a_wrong_clock_or_key_ends_the_run_before_any_work(s3: Store, run: RunScript) -> None:
    for code, text in {
        "RequestTimeTooSkewed": "this machine's clock differs too much",
        "InvalidAccessKeyId": "the store does not know the access key in use",
    }.items():
        s3.faults[:] = [Fault(status=403, code=code)]
        run().check(2, rf"error: s3://\S+: {text}")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_killed_while_it_stores_and_run_again(
    s3: Store, place: Path, run: RunScript, expected: dict[str, bytes]
) -> None:
    flags = ["--images-src", f"s3://{s3.bucket}/src", "--images-bgr", f"s3://{s3.bucket}/bgr.png"]
    command = [sys.executable, IMAGES, *flags, "--output-dir", f"s3://{s3.bucket}/out"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT | s3.environment)
    s3.faults.append(Fault("PUT .*/pha/", hang=0, times=1, then=process.kill))
    assert process.wait(120) == -9
    left = outputs(s3)
    assert left.items() < expected.items()
    s3.faults.clear()
    run("--on-existing", "skip").check(0)
    assert outputs(s3) == expected


@pytest.mark.slow
def test_shards_into_a_bucket_and_their_summaries(
    s3: Store, run: RunScript, expected: dict[str, bytes], run_script: RunScript
) -> None:
    merge = (sys.executable, "-m", "matting", "merge-summaries")
    flags = ("--output-dir", f"s3://{s3.bucket}/out", "--images-src", f"s3://{s3.bucket}/src")
    command = ("env", *(f"{name}={value}" for name, value in s3.environment.items()), *merge)
    run("--shard", "0/2").check(0)
    run_script(*flags, command=command).check(1, "1 shards have no summary: 1/2")
    run("--shard", "1/2").check(0)
    run_script(*flags, command=command).check(0, "2 of 2 shards: 3 done")
    assert outputs(s3) == expected
    assert summary(s3)["counts"]["done"] == 3


UPLOADS = """
import hashlib, itertools, sys
from storage import s3
from storage.files import stored
from storage.location import parse_location
s3.PART = 5 * 2**20
for number in itertools.count():
    content = bytes([number % 256]) * ((4, 16)[number % 2] * 2**20 + number)
    with stored(parse_location(sys.argv[1]) / f"{number}") as path:
        path.write_bytes(content)
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
@pytest.mark.parametrize("moment", ["single", "part", "end"])
def test_uploads_of_a_killed_process_are_whole_or_absent(s3: Store, moment: str) -> None:
    """Numbers 0 and 2 go in one piece, 1 and 3 in parts; it is killed at 2 or 3."""
    pattern = {"single": "PUT .*/2$", "part": "/3.*partNumber=2", "end": "POST .*/3.uploadId"}
    command = [sys.executable, "-c", UPLOADS, f"s3://{s3.bucket}"]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=ENVIRONMENT | s3.environment, stdout=subprocess.DEVNULL
    )
    s3.faults.append(Fault(pattern[moment], hang=0, then=process.kill))
    assert process.wait(60) == -9
    names = s3.names()
    assert names == (["0", "1"] if moment == "single" else ["0", "1", "2"])
    for name in names:
        number = int(name)
        content = bytes([number]) * ((4, 16)[number % 2] * 2**20 + number)
        assert s3.get(name) == content


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_uploads_of_processes_killed_at_any_moment_are_whole_or_absent(s3: Store) -> None:
    cut = 0
    for turn in range(6):
        command = [sys.executable, "-c", UPLOADS, f"s3://{s3.bucket}/{turn}"]
        with subprocess.Popen(
            command, cwd=REPOSITORY, env=ENVIRONMENT | s3.environment, stdout=subprocess.PIPE
        ) as process:
            for _ in range(1 + turn % 3):
                process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.03 * (1 + turn))  # somewhere in the next upload
            process.kill()
        names = [int(name.removeprefix(f"{turn}/")) for name in s3.names(f"{turn}/")]
        assert sorted(names) == list(range(len(names)))
        assert len(names) >= 1 + turn % 3
        for number in names:
            size = (4, 16)[number % 2] * 2**20 + number
            assert s3.get(f"{turn}/{number}") == bytes([number]) * size
        cut += len(s3.uploads()) > 0
    assert cut, "some were killed in the middle of an upload in parts"

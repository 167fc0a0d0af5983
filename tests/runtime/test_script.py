"""What surrounds a script's work: streams that nobody reads, names in messages, threads."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.script import run_script

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; from runtime.script import run_script\n"


def start(code: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", f"{START}{code}"]
    return subprocess.Popen(command, cwd=ROOT, encoding="utf-8", **options)


@pytest.mark.skipif(os.name == "nt", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_work_goes_on_when_nobody_reads(tmp_path: Path, closed: str) -> None:
    done = tmp_path / "done"
    process = start(
        f"""
def work():
    sys.stdin.readline()
    for number in range(3000):
        print("x" * 100, file=sys.{closed})
        sys.{closed}.flush()
    open({str(done)!r}, "w").close()
    print("late", file=sys.{closed})
    return 0
sys.exit(run_script(work))
""",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    getattr(process, closed).close()
    process.stdin.write("go\n")
    process.stdin.close()
    other = process.stderr if closed == "stdout" else process.stdout
    assert other.read() == ""
    assert process.wait(20) == 0
    assert done.exists()
    other.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
def test_work_goes_on_when_its_words_find_no_place(tmp_path: Path) -> None:
    code = f"""
def work():
    for number in range(300):
        print("x" * 100)
    open({str(tmp_path / "done")!r}, "w").close()
    return 0
sys.exit(run_script(work))
"""
    with Path("/dev/full").open("w") as full:
        process = start(code, stdout=full, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, (tmp_path / "done").exists()) == (0, True)
    assert errors == "note: further output is lost: No space left on device\n"


@pytest.mark.parametrize("closed", [(2,), (1,), (0, 1, 2)])
def test_closed_streams_take_no_file_of_the_work(tmp_path: Path, closed: tuple[int, ...]) -> None:
    code = f"""
import os
def work():
    with open({str(tmp_path / "done")!r}, "w") as file:
        print("x", file=sys.stdout), print("y", file=sys.stderr)
        os.write(2, b"of a library")
        file.write("done")
    return 0
sys.exit(run_script(work))
"""
    shut = " ".join(f"{number}>&-" for number in closed)
    command = ["sh", "-c", f'exec "$0" "$@" {shut}', sys.executable, "-c", START + code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20).returncode == 0
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
def test_interrupt_does_not_wait_for_a_thread_that_hangs(tmp_path: Path) -> None:
    process = start(
        """
import threading, time
def work():
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("begun", flush=True)
    time.sleep(60)
sys.exit(run_script(work))
""",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "begun\n"
    begun = time.monotonic()
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert time.monotonic() - begun < 10


def test_names_in_errors_are_one_visible_line(capsys: pytest.CaptureFixture) -> None:
    def work() -> int:
        raise ValueError("a\nerror: b\x1b[31m\x9b.jpg \udcff is missing")

    assert run_script(work) == 2
    told = capsys.readouterr().err
    assert told == "error: a\\nerror: b\\x1b[31m\\x9b.jpg \\udcff is missing\n"


def test_streams_are_the_same_again(capsys: pytest.CaptureFixture) -> None:
    before = sys.stdout, sys.stderr
    assert run_script(lambda: 1) == 1
    assert (sys.stdout, sys.stderr) == before

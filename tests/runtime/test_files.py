"""Files appear whole or not at all."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.files import (
    Partial,
    check_writable,
    explain,
    explain_failure,
    remove_leftovers,
    temporary_folder,
    write_whole,
)

ROOT = Path(__file__).resolve().parents[2]


def test_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_whole(path, b"new")
    assert path.read_text() == "new"


def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_bytes = Path.write_bytes

    def fill_disk(self: Path, data: bytes) -> int:
        write_bytes(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new content")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(path, b"new content")
    assert explain(caught.value) == f"{path}: the disk is full (No space left on device)"
    assert str(caught.value).endswith(f"No space left on device: {str(path)!r}")


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="can't be written: .*--output-dir"):
        check_writable(tmp_path / "file")
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_left_over_files_of_killed_runs_are_removed_and_no_others(tmp_path: Path) -> None:
    left = Partial(tmp_path / "a.png")
    left.close()  # as the end of a process does
    writing = Partial(tmp_path / "b.png")
    named = Partial(tmp_path / "com.mp4", shown=True)
    named.close()
    others = [
        *(".partial", "a.partial", ".0f.partial", "com.partial.mp4", "com.0123456z.partial.mp4"),
        *("fgr.01234567.partial.mp4", "com.01234567.partial.mov", f".{'0' * 32}.partial.txt"),
    ]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f".{'1' * 32}.partial").symlink_to(tmp_path / "a.partial")
    check_writable(tmp_path)
    assert not left.path.exists()
    assert named.path.exists()
    remove_leftovers(tmp_path, tmp_path / "com.mp4")
    remove_leftovers(tmp_path / "missing")
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {*others, writing.path.name, f".{'1' * 32}.partial"}
    writing.finish()
    assert (tmp_path / "b.png").exists()


def test_full_disk_is_said_first() -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    assert explain_failure(error) == "the disk is full (No space left on device)"
    assert explain_failure(OSError(errno.EACCES, "Permission denied")) == "Permission denied"


def test_temporary_folders_of_killed_programs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl", reason="where files can't be locked, left folders stay")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "mine-of-a-user").mkdir()
    program = "import os, signal; from runtime.files import temporary_folder\n"
    program += "with temporary_folder('mine-') as path:\n"
    program += " (path / 'private').touch(); print(path, flush=True); os.kill(os.getpid(), 9)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    left = Path(done.stdout.strip())
    assert (left / "private").exists()
    with temporary_folder("mine-") as first, temporary_folder("mine-") as second:
        assert not left.exists()
        assert first.exists()  # in use
        assert second.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine-of-a-user"]

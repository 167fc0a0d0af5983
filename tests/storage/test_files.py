"""Files in an S3 server, on a web server and on this machine."""

import http.server
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import storage.s3
import storage.store
from runtime.files import temporary_folder
from storage import files, persistence
from storage.errors import StorageError, explain_answer
from storage.files import check_name, exists, fetched, list_names, remove, stored
from storage.location import Url, parse_location
from tests.storage.server import CREDENTIALS, Fault, Store

# All but a line's end, which moto takes for the end of a name.
ODD = [
    *("a b.png", "ü–漢字.png", "100%.png", "a%20b.png", "what?.png", "a?versionId=1", "a#b.png"),
    *("tab\there.png", "\x01.png", "\x1b[31mred.png", "a+b&c=d.png", "~$'\"*.png"),
    *("a/../b.png", "..", "a//b.png", "/a.png", "./a.png", "back\\slash.png", "n" * 1000),
]


def at(s3: Store, name: str) -> Url:
    return Url("s3", s3.bucket, name)


def store(url: Url, content: bytes) -> None:
    with stored(url) as path:
        path.write_bytes(content)


def fetch(url: Url | Path) -> bytes:
    with fetched(url) as path:
        return path.read_bytes()


@pytest.fixture
def new_connections() -> Iterator[None]:
    """The test's connections are its own, because it changes how they are made."""
    files._connect.cache_clear()
    yield
    files._connect.cache_clear()


@pytest.fixture(autouse=True)
def fast_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of thousandths of a second; the first answer of each test is told."""
    monkeypatch.setattr(persistence, "_FIRST", 0.001)
    monkeypatch.setattr(persistence, "_LONGEST", 0.01)
    monkeypatch.setattr(persistence, "_told", -1e9)


@pytest.mark.parametrize("name", ODD)
def test_names_are_those_of_the_store(s3: Store, name: str) -> None:
    content = name.encode()
    s3.put(f"in/{name}", content)
    (entry,) = list_names(at(s3, "in"))
    assert (entry.name, entry.size) == (name, len(content))
    assert fetch(at(s3, "in") / entry.name) == content
    store(at(s3, "out") / entry.name, content[::-1])
    assert s3.get(f"out/{name}") == content[::-1]
    assert exists(at(s3, "out") / name)
    remove(at(s3, "out") / name)
    assert not exists(at(s3, "out") / name)


def test_lists_page_by_page_and_leaves_folders_out(s3: Store) -> None:
    names = [f"photos/{index:04d}.png" for index in range(1001)]
    s3.fill(["photos/", "photos/sub/", "photography.png", *names], b"")
    s3.requests.clear()
    listing = list_names(at(s3, "photos"))
    assert next(listing).name == "0000.png"
    assert len(s3.requests) == 1
    assert ["0000.png", *(entry.name for entry in listing)] == [n[7:] for n in names]
    assert len(s3.requests) == 2
    assert [entry.name for entry in list_names(at(s3, ""), "photos/000")] == names[:10]
    assert len(s3.requests) == 3


def test_lists_a_local_folder_like_a_store(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"123")
    (tmp_path / "c.png").write_bytes(b"")
    assert [(e.name, e.size) for e in list_names(tmp_path)] == [("a/b.png", 3), ("c.png", 0)]
    assert [entry.name for entry in list_names(tmp_path, "c")] == ["c.png"]


def test_local_files_are_used_in_place(tmp_path: Path) -> None:
    path = parse_location((tmp_path / "a b.png").as_uri())
    store(path, b"content")
    with fetched(path) as there:
        assert there == path
    assert fetch(path) == b"content"
    with pytest.raises(ZeroDivisionError), stored(path) as new:
        new.write_bytes(bytes(1 // 0))
    assert fetch(path) == b"content"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_keep_the_extension_and_go_at_once(s3: Store) -> None:
    s3.put("a/photo.JPG", b"x")
    with fetched(at(s3, "a/photo.JPG")) as path:
        assert path.suffix == ".JPG"
        assert path.parent.name.startswith("matting-storage-")
    assert not path.exists()


@pytest.mark.parametrize("fault", [
    Fault(status=500), Fault(status=503, code="SlowDown"), Fault(status=400, code="RequestTimeout"),
    Fault(hang=0.01), Fault(status=429, code="TooManyRequests"),
])  # fmt: skip
def test_asks_again_while_it_may_pass(
    s3: Store, fault: Fault, capsys: pytest.CaptureFixture
) -> None:
    s3.put("in/a", b"content")

    def trouble() -> None:
        s3.faults[:] = [Fault(**vars(fault) | {"times": 3})]

    trouble()
    assert fetch(at(s3, "in/a")) == b"content"
    trouble()
    store(at(s3, "out"), b"new")
    trouble()
    assert [entry.name for entry in list_names(at(s3, "in"))] == ["a"]
    trouble()
    assert exists(at(s3, "out"))
    trouble()
    remove(at(s3, "out"))
    assert s3.names() == ["in/a"]
    said = capsys.readouterr().err
    assert said.count("trying again for 300 s") == 1, "one note a minute"
    assert f"note: s3://{s3.bucket}/in/a: the" in said


@pytest.mark.usefixtures("new_connections")
def test_a_store_that_does_not_answer_is_asked_again(
    s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.store, "READ_TIMEOUT", 0.2)
    s3.put("a", b"content")
    s3.faults.append(Fault(hang=1, times=2))
    assert fetch(at(s3, "a")) == b"content"


def test_gives_up_after_its_patience(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "PATIENCE", 0.5)
    s3.faults.append(Fault(status=503, code="SlowDown"))
    with pytest.raises(StorageError, match=r"s3://.*/a: .*503 \(SlowDown\); given up after [01] s"):
        fetch(at(s3, "a"))
    assert len(s3.requests) > 3


def test_an_interrupt_ends_the_waiting(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "wait_for_interrupt", lambda seconds: True)
    s3.faults.append(Fault(status=503))
    with pytest.raises(StorageError, match="answers 503 .*; interrupted"):
        fetch(at(s3, "a"))
    assert len(s3.requests) == 2, "that of the bucket, and one"


def test_a_cut_download_goes_on_where_it_ended(s3: Store) -> None:
    content = bytes(range(256)) * 4096
    s3.put("a", content)
    s3.faults += [Fault(cut=300_000, times=1), Fault(cut=0, times=1), Fault(cut=200_000, times=1)]
    assert fetch(at(s3, "a")) == content


def test_an_object_replaced_while_it_is_read_is_an_error(s3: Store) -> None:
    s3.put("a", bytes(10**6))
    s3.faults.append(Fault(cut=300_000, times=1, then=lambda: s3.put("a", b"\1" * 10**6)))
    with pytest.raises(StorageError, match="/a: it was replaced while it was read"):
        fetch(at(s3, "a"))


@pytest.mark.parametrize(("status", "code", "text"), [
    (403, "AccessDenied", "access is denied"),
    (403, "RequestTimeTooSkewed", "clock differs too much"),
    (403, "InvalidAccessKeyId", "does not know the access key"),
    (403, "SignatureDoesNotMatch", "secret key in use does not belong"),
    (400, "ExpiredToken", "have expired; renew"),
    (400, "KeyTooLongError", "name is too long; a store takes 1024 bytes"),
    (418, "Teapot", r"answers 418 \(Teapot\), which is not expected"),
])  # fmt: skip
def test_what_does_not_pass_is_told_at_once_and_without_credentials(
    s3: Store, status: int, code: str, text: str
) -> None:
    s3.faults.append(Fault(status=status, code=code))
    for work in (
        lambda: fetch(at(s3, "a")),
        lambda: store(at(s3, "a"), b""),
        lambda: list(list_names(at(s3, ""))),
        lambda: exists(at(s3, "a")),
    ):
        s3.requests.clear()
        with pytest.raises(StorageError, match=text) as caught:
            work()
        assert len(s3.requests) == 1
        assert not any(secret in str(caught.value) for secret in list(CREDENTIALS.values())[:2])


def test_a_bucket_of_another_region_is_told() -> None:
    """From the error itself: at such an answer the client asks the store for the region."""
    answer = {"Error": {"Code": "PermanentRedirect"}, "ResponseMetadata": {"HTTPStatusCode": 301}}
    told = explain_answer(ClientError(answer, "GetObject"), Url("s3", "b", "a"))
    assert str(told) == "s3://b/a: the bucket is in another region; name it with AWS_REGION"


def test_a_wrong_bucket_and_a_missing_file(s3: Store) -> None:
    with pytest.raises(StorageError, match="there is no bucket not-there-1"):
        list(list_names(Url("s3", "not-there-1", "a")))
    with pytest.raises(StorageError, match="there is no bucket not-there-1"):
        store(Url("s3", "not-there-1", "a"), b"")
    with pytest.raises(
        StorageError, match=r"a,b can't be the name of a bucket|can't have this name"
    ):
        list(list_names(Url("s3", "a,b", "a")))
    with pytest.raises(StorageError, match="/gone: it does not exist"):
        fetch(at(s3, "gone"))
    assert not exists(at(s3, "gone"))
    s3.put("empty", b"")
    assert exists(at(s3, "empty"))
    assert fetch(at(s3, "empty")) == b""
    with pytest.raises(StorageError, match="there is no bucket not-there-1"):
        exists(Url("s3", "not-there-1", "a"))
    remove(at(s3, "gone"))


@pytest.mark.usefixtures("new_connections")
def test_without_credentials(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="no credentials were found in the environment"):
        fetch(at(s3, "a"))


@pytest.mark.usefixtures("new_connections")
@pytest.mark.parametrize("url", ["s3://b/a", "gs://b/a", "https://h/a"])
def test_missing_packages_are_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StorageError, match=r"pip install 'background-matting\[cloud\]'"):
        fetch(parse_location(url))


def test_a_file_larger_than_the_free_disk(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put("a", bytes(1000))
    monkeypatch.setattr(files, "_KEPT_FREE", 2**60)
    with pytest.raises(StorageError, match=r"0\.00 GiB are free in .*; set TMPDIR"):
        fetch(at(s3, "a"))


def test_large_files_go_in_parts(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.s3, "PART", 5 * 2**20)
    content = bytes(range(256)) * (2**20 * 12 // 256)
    s3.faults += [Fault("partNumber=2", times=2), Fault("POST .*uploadId", times=2)]
    store(at(s3, "a.mp4"), content)
    assert s3.get("a.mp4") == content
    assert sum("partNumber" in line for line in s3.requests) == 5
    assert s3.client.head_object(Bucket=s3.bucket, Key="a.mp4")["ContentType"] == "video/mp4"
    assert s3.uploads() == []


def test_an_upload_whose_end_was_not_told_is_made_again(
    s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.s3, "PART", 5 * 2**20)
    s3.faults.append(Fault("POST .*uploadId", cut=0, times=1))
    store(at(s3, "a"), bytes(6 * 2**20))
    assert s3.get("a") == bytes(6 * 2**20)
    assert s3.uploads() == []


def test_failed_parts_leave_nothing(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.s3, "PART", 5 * 2**20)
    s3.put("a", b"old")
    s3.faults.append(Fault("partNumber=2", status=403, code="AccessDenied"))
    with pytest.raises(StorageError, match="/a: access is denied"):
        store(at(s3, "a"), bytes(6 * 2**20))
    assert s3.get("a") == b"old"
    assert s3.uploads() == []


def test_nothing_is_stored_after_an_error_in_the_block(s3: Store) -> None:
    with pytest.raises(ZeroDivisionError), stored(at(s3, "a")) as path:
        path.write_bytes(bytes(1 // 0))
    assert s3.names() == []
    assert not path.exists()


def _fetch_in_fork(url: Url, results: multiprocessing.Queue) -> None:
    results.put(fetch(url))


def test_a_fork_has_its_own_connections(s3: Store) -> None:
    s3.put("a", b"content")
    fetch(at(s3, "a"))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_fetch_in_fork, args=(at(s3, "a"), results))
    child.start()
    assert results.get(timeout=20) == b"content"
    child.join()
    assert child.exitcode == 0


def test_a_killed_programs_temporary_files_are_removed() -> None:
    with temporary_folder("matting-storage-") as folder:
        pass
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../a", "a/../b", "..", "a//b", "/a", "./a", "a/.", "a\0b", "a/"])
def test_names_that_no_file_has_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be that of a file"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a/b.png", "..a", "a..", "ü ?#%\n", "...", "a\\..\\b"])
def test_other_names_are_taken(name: str) -> None:
    check_name(name)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server of the folder `tmp_path`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self) -> None:
            if self.path.startswith("/busy") and (busy := tmp_path / "busy").exists():
                busy.unlink()
                self.send_error(503)
            elif self.path.startswith("/secret") and "key=1" not in self.path:
                self.send_error(403)
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_reads_from_a_web_server(tmp_path: Path, web: str) -> None:
    for name in ("a b%.png", "busy.png", "secret.png"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "busy").touch()
    assert fetch(parse_location(f"{web}/a b%25.png")) == b"a b%.png"
    assert fetch(parse_location(web) / "a b%.png") == b"a b%.png"
    assert fetch(parse_location(f"{web}/busy.png")) == b"busy.png"
    assert fetch(parse_location(f"{web}/secret.png?key=1")) == b"secret.png"
    with pytest.raises(StorageError, match=r"/secret\.png: access is denied") as caught:
        fetch(parse_location(f"{web}/secret.png?key=2"))
    assert "key" not in str(caught.value).replace("access key", "")
    with pytest.raises(StorageError, match=r"/gone\.png: it does not exist"):
        fetch(parse_location(f"{web}/gone.png"))
    assert exists(parse_location(f"{web}/secret.png?key=1"))
    assert not exists(parse_location(f"{web}/gone.png"))


def test_a_whole_bucket_is_no_file(s3: Store) -> None:
    assert not exists(parse_location(f"s3://{s3.bucket}"))


def test_a_web_server_is_to_read_single_files(web: str) -> None:
    with pytest.raises(StorageError, match="does not exist, or is a folder, and a web"):
        list(list_names(parse_location(web)))
    with pytest.raises(ValueError, match="is to read only"):
        store(parse_location(f"{web}/a"), b"")
    with pytest.raises(ValueError, match="is to read only"):
        remove(parse_location(f"{web}/a"))

"""Files in Google Cloud Storage: its interface as a server of the tests answers it."""

from collections.abc import Iterator

import pytest

from storage import files, persistence
from storage.errors import StorageError
from storage.files import exists, fetched, list_names, remove, stored
from storage.location import Url
from tests.storage.google import Google, serve


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """The server, which the environment names, without credentials."""
    monkeypatch.setattr(persistence, "_FIRST", 0.001)
    with serve() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        files._connect.cache_clear()
        yield server
    files._connect.cache_clear()


def at(name: str) -> Url:
    return Url("gs", "bucket", name)


@pytest.mark.parametrize("name", ["a.png", "ü 漢字/100%20?#&+.png", "a/../b.png", "a//b.png"])
def test_stores_fetches_and_removes(google: Google, name: str) -> None:
    with stored(at("x") / name) as path:
        path.write_bytes(b"content\n")
    assert google.objects == {f"x/{name}": b"content\n"}
    with fetched(at("x") / name) as path:
        assert path.read_bytes() == b"content\n"
    assert exists(at("x") / name)
    remove(at("x") / name)
    remove(at("x") / name)
    assert not exists(at("x") / name)


def test_lists_page_by_page(google: Google) -> None:
    google.objects = dict.fromkeys(["in/", "in/a", "in/b/c", "in/d", "in/e", "inner"], b"12")
    assert [(e.name, e.size) for e in list_names(at("in"))] == [
        *(("a", 2), ("b/c", 2), ("d", 2), ("e", 2)),
    ]
    assert len(google.requests) == 3
    assert [entry.name for entry in list_names(at("in"), "b")] == ["b/c"]


def test_large_files_go_in_parts(google: Google) -> None:
    content = bytes(range(256)) * (51 * 2**20 // 256)
    with stored(at("a")) as path:
        path.write_bytes(content)
    assert google.objects["a"] == content
    assert sum("id=a" in line for line in google.requests) == 2


def test_asks_again_and_tells_what_does_not_pass(google: Google) -> None:
    google.objects["a"] = b"content"
    google.failures = 1
    with fetched(at("a")) as path:
        assert path.read_bytes() == b"content"
    for name, text in (("denied", "access is denied"), ("gone", "it does not exist")):
        with pytest.raises(StorageError, match=rf"gs://bucket/{name}: {text}") as caught:
            fetched(at(name)).__enter__()
        assert "secret" not in str(caught.value)
    with pytest.raises(StorageError, match="gs://other/a: there is no bucket other"):
        list(list_names(Url("gs", "other", "a")))
    with (
        pytest.raises(StorageError, match="gs://other/a: there is no bucket other"),
        stored(Url("gs", "other", "a")) as path,
    ):
        path.write_bytes(b"")

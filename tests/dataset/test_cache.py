"""The cache of files at URLs: bounded, shared by processes, and never a half file."""

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import pytest

from dataset import cache as cache_module
from dataset.cache import Cache
from storage import persistence
from storage.errors import StorageError
from storage.files import list_names
from storage.location import Url
from tests.storage.server import Fault, Store

SIZE = 1000


def content_of(name: str) -> bytes:
    return name.encode().ljust(SIZE, b".")


@pytest.fixture
def names(s3: Store) -> list[str]:
    """Twelve files of 1000 bytes in the store."""
    names = [f"{number}.png" for number in range(12)]
    for name in names:
        s3.put(name, content_of(name))
    return names


def read(cache: Cache, s3: Store, name: str) -> bytes:
    entries = {entry.name: entry for entry in list_names(Url("s3", s3.bucket))}
    return read_listed(cache, s3, name, entries[name].etag)


def read_listed(cache: Cache, s3: Store, name: str, etag: str = "", size: int = SIZE) -> bytes:
    with cache.hold(Url("s3", s3.bucket, name), size, etag) as path:
        return path.read_bytes()


def fetches(s3: Store) -> list[str]:
    return [
        line.rpartition("/")[2]
        for line in s3.requests
        if line.startswith("GET") and "?" not in line
    ]


def files_of(cache: Cache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file() and path.name != "used"]


def test_a_file_is_fetched_once_and_again_when_it_was_replaced(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    cache = Cache(tmp_path / "cache")
    assert [read(cache, s3, "0.png") for _ in range(3)] == 3 * [content_of("0.png")]
    assert fetches(s3) == ["0.png"]
    s3.put("0.png", content_of("new"))
    assert read(cache, s3, "0.png") == content_of("new")


def test_the_least_recently_used_are_removed_and_the_limit_holds(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    cache = Cache(tmp_path / "cache", 4 * SIZE)
    for name in names[:4]:
        read_listed(cache, s3, name)
        time.sleep(0.02)  # times of use that differ
    read_listed(cache, s3, "0.png")
    time.sleep(0.02)
    read_listed(cache, s3, "4.png")
    assert sum(path.stat().st_size for path in files_of(cache)) <= cache.limit
    s3.requests.clear()
    read_listed(cache, s3, "4.png")
    read_listed(cache, s3, "0.png")
    assert fetches(s3) == []
    read_listed(cache, s3, "1.png")
    assert fetches(s3) == ["1.png"]


def test_a_file_in_use_is_not_removed(
    tmp_path: Path, s3: Store, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_PATIENCE", 0.3)
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    url = Url("s3", s3.bucket)
    with cache.hold(url / "0.png", SIZE, "") as first:
        for name in names[1:5]:
            read_listed(cache, s3, name)
            assert first.read_bytes() == content_of("0.png")
        with cache.hold(url / "1.png", SIZE, ""):
            said = r"no room for its 1e-06 GB beside the files in use.*Raise --dataset-cache-gb"
            with pytest.raises(StorageError, match=said):
                read_listed(cache, s3, "2.png")
    assert read_listed(cache, s3, "2.png") == content_of("2.png")


def test_a_file_larger_than_the_cache_is_refused(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    with pytest.raises(StorageError, match="no room for its"):
        read_listed(Cache(tmp_path / "cache", SIZE - 1), s3, "0.png")
    assert fetches(s3) == []


def test_a_folder_that_can_not_be_written_is_told_with_the_flag(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=rf"cache {folder} can't be .*--dataset-cache-dir"):
            read_listed(Cache(folder), s3, "0.png")
    assert fetches(s3) == []


def test_a_file_replaced_since_it_was_listed_is_told(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    s3.put("0.png", b"shorter")
    with pytest.raises(StorageError, match=r"0\.png: it was replaced since it was listed: 7 bytes"):
        read_listed(Cache(tmp_path / "cache"), s3, "0.png")


def test_what_can_not_be_fetched_leaves_nothing(
    tmp_path: Path, s3: Store, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PATIENCE", 0.05)
    cache = Cache(tmp_path / "cache", 3 * SIZE)
    s3.faults.append(Fault("0.png", cut=300))
    for _ in range(4):  # more than there is room for, if their bytes stayed counted
        with pytest.raises(StorageError, match="given up"):
            read_listed(cache, s3, "0.png")
    assert files_of(cache) == []
    assert (cache.folder / "used").read_text() == "0"


def test_what_a_killed_process_left_is_removed(tmp_path: Path, s3: Store, names: list[str]) -> None:
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    read_listed(cache, s3, "0.png")
    left = files_of(cache)[0].with_name(f".{'0' * 32}.partial")
    left.write_bytes(bytes(SIZE))
    (cache.folder / "used").write_text("999999999")  # its bytes stayed counted
    read_listed(cache, s3, "1.png")
    assert not left.exists()
    assert int((cache.folder / "used").read_text()) == 2 * SIZE


def read_at_random(cache: Cache, s3: Store, names: list[str], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        name = rng.choice(names)
        assert read_listed(cache, s3, name) == content_of(name)
    os._exit(0)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it has just got its final name
        return 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked, to start at once")
def test_processes_share_it_without_half_files_and_within_the_limit(
    tmp_path: Path, s3: Store, names: list[str]
) -> None:
    cache = Cache(tmp_path / "cache", 5 * SIZE)
    context = multiprocessing.get_context("fork")
    work = [(cache, s3, names, seed) for seed in range(3)]
    processes = [context.Process(target=read_at_random, args=args) for args in work]
    for process in processes:
        process.start()
    most = 0
    while any(process.is_alive() for process in processes):
        with cache._counter():  # nothing is removed meanwhile, so nothing is counted twice
            most = max(most, sum(map(size_of, files_of(cache))))
        time.sleep(0.005)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert 2 * SIZE < most <= cache.limit

"""Data sets in a store: the same samples as from a folder, listed once, errors by URL."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dataset.augmentation import AugmentationSettings
from dataset.cache import Cache
from dataset.check import main
from dataset.samples import Request, Samples
from dataset.settings import DatasetSettings, SourceSettings
from dataset.sources import Backgrounds, DatasetError, open_source
from storage import persistence
from storage.location import Location, Url
from tests.storage.server import Fault, Store

from ..media.test_clips import write_numbered
from .test_sources import save, save_pair, smooth


def upload(s3: Store, root: Path) -> Url:
    """Puts all files of a folder into the store."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            s3.put(f"data/{path.relative_to(root).as_posix()}", path.read_bytes())
    return Url("s3", s3.bucket, "data")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def pairs_of(root: Location) -> SourceSettings:
    return SourceSettings(fgr=root / "fgr", pha=root / "pha")


def same(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_samples_in_workers_are_those_of_a_folder(tmp_path: Path, s3: Store, cache: Cache) -> None:
    """Pairs, cut-outs and backgrounds, through a cache that is smaller than the data."""
    root = tmp_path / "data"
    for name in ("a/1.jpg", "a/2.png", "ü 1.png"):
        save_pair(root, name)
        save(root / "bgr" / name, smooth(90, 80))
        save(root / "rgba" / Path(name).with_suffix(".png"), smooth(50, 50, 4))
    url = upload(s3, root)
    cache = replace(cache, limit=40_000)
    assert sum(path.stat().st_size for path in root.rglob("*.*")) > cache.limit

    def read(root: Location) -> list[dict]:
        sources = [
            open_source(s, cache) for s in (pairs_of(root), SourceSettings(rgba=root / "rgba"))
        ]
        backgrounds = Backgrounds((root / "bgr",), 0, cache)
        samples = Samples(sources, backgrounds, AugmentationSettings(), 0)
        requests = [[Request(index, 0, 48, 48)] for index in range(len(samples))]
        return list(DataLoader(samples, batch_sampler=requests, num_workers=2))

    wanted, got = read(root), read(url)
    assert len(got) == 6
    for one, other in zip(wanted, got, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("fgr", "pha", "bgr"))
        assert other["name"][0].count(f"{url}/") == 2


def test_a_folder_is_listed_once(tmp_path: Path, s3: Store, cache: Cache) -> None:
    save_pair(tmp_path / "data")
    source = open_source(pairs_of(upload(s3, tmp_path / "data")), cache)
    for _ in range(3):
        pickle.loads(pickle.dumps(source)).read(0)
    assert sum("list-type=2" in line for line in s3.requests) == 2  # colours and alphas
    assert sum(line.endswith(".png") for line in s3.requests if line.startswith("GET")) == 2


def test_clips_are_those_of_a_folder(tmp_path: Path, s3: Store, cache: Cache) -> None:
    for kind in ("fgr", "pha"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        write_numbered(tmp_path / "data" / kind / "a.mp4")
    url = upload(s3, tmp_path / "data")
    wanted, got = open_source(pairs_of(tmp_path / "data")), open_source(pairs_of(url), cache)
    assert got.runs == wanted.runs
    assert got.name(3) == f"{url}/fgr/a.mp4 frame 3"
    for index in (5, 3, len(got) - 1):
        assert same(wanted.read(index), got.read(index))


def test_names_that_are_no_files_and_other_kinds_are_told(s3: Store, cache: Cache) -> None:
    for name in ("data/fgr/../a.png", "data/fgr/b.exr", "data/fgr/.hidden/c.png", "data/fgr/d.png"):
        s3.put(name, b"x")
    with pytest.raises(DatasetError, match=r"2 files .*\.\./a\.png: its name can't be") as caught:
        open_source(SourceSettings(rgba=Url("s3", s3.bucket, "data/fgr")), cache)
    assert "b.exr" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_errors_name_the_url(
    tmp_path: Path, s3: Store, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PATIENCE", 0.05)
    save_pair(tmp_path / "data")
    url = upload(s3, tmp_path / "data")
    s3.put("data/fgr/a.png", b"not a picture")
    source = open_source(pairs_of(url), cache)
    with pytest.raises(ValueError, match=rf"^{url}/fgr/a\.png: not a picture") as caught:
        source.read(0)
    assert str(cache.folder) not in str(caught.value)
    s3.put("data/fgr/a.png", (tmp_path / "data/fgr/a.png").read_bytes())
    s3.put("data/pha/a.png", b"another version, which is not in the cache")
    s3.faults.append(Fault("pha/a.png"))
    with pytest.raises(DatasetError, match=rf"^{url}/pha/a\.png: the store answers 500.*given up"):
        open_source(pairs_of(url), cache).read(0)
    s3.faults[:] = [Fault("list-type", 403, "AccessDenied")]
    with pytest.raises(DatasetError, match=f"^{url}/fgr: access is denied"):
        open_source(pairs_of(url), cache)
    with pytest.raises(DatasetError, match="a web server has no list of its files"):
        open_source(SourceSettings(rgba=Url("https", "host.example", "data")), cache)


def test_an_empty_folder_is_told(s3: Store, cache: Cache) -> None:
    with pytest.raises(DatasetError, match=f"no picture was found below s3://{s3.bucket}/nothing"):
        Backgrounds((Url("s3", s3.bucket, "nothing"),), 0, cache)


def test_the_check_reads_urls(tmp_path: Path, s3: Store, capsys: pytest.CaptureFixture) -> None:
    save_pair(tmp_path / "data")
    save(tmp_path / "data/bgr/b.jpg", smooth(90, 80))
    url = upload(s3, tmp_path / "data")
    (tmp_path / "run.yaml").write_text(
        f"""
dataset:
  name: mine
  datasets:
    mine:
      train: [{{fgr: "{url}/fgr", pha: "{url}/pha"}}]
      valid: []
  train_backgrounds: ["{url}/bgr"]
  cache_dir: "{tmp_path}/cache"
  cache_gb: 0.1
"""
    )
    code = main([str(tmp_path / "run.yaml")])
    said = capsys.readouterr().out
    assert code == 0, said
    assert f"fgr {url}/fgr with pha {url}/pha" in said
    assert "no error," in said
    assert len(list((tmp_path / "cache").rglob("*.*"))) == 3


def test_settings_take_urls_and_a_limit() -> None:
    settings = DatasetSettings("x", train_backgrounds=("s3://b/x",), cache_gb=2.5)
    assert settings.train_backgrounds == (Url("s3", "b", "x"),)
    assert settings.cache == Cache(Path("cache"), 2_500_000_000)
    with pytest.raises(ValueError, match="greater than 0"):
        DatasetSettings("x", cache_gb=0)

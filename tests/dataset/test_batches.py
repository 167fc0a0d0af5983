"""Batches: each sample once, clips in order, the same whatever shares the work."""

from collections import Counter

import pytest

from dataset.batches import Batches, CropSettings
from dataset.samples import Request

CROP = CropSettings(smallest=64, largest=128, multiple=16)
PICTURES = [range(i, i + 1) for i in range(103)]
# Seven clips of 20 frames in runs of 8, 8 and 4.
CLIPS = [
    range(20 * clip + start, 20 * clip + min(start + 8, 20))
    for clip in range(7)
    for start in (0, 8, 16)
]


def indices(batches: Batches) -> list[list[int]]:
    return [[request.index for request in batch] for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("runs", [PICTURES, CLIPS], ids=["pictures", "clips"])
def test_an_epoch_takes_every_sample_once(runs: list[range], workers: int) -> None:
    batches = Batches(runs, 4, CROP, seed=0, workers=workers)
    taken = indices(batches)
    assert {len(batch) for batch in taken} == {4}
    assert len(taken) == len(batches) == sum(map(len, runs)) // 4
    counts = Counter(index for batch in taken for index in batch)
    assert set(counts.values()) == {1}


def test_epochs_differ_and_repeat() -> None:
    batches = Batches(PICTURES, 4, CROP, seed=0)
    first = list(batches)
    assert list(batches) == first
    batches.begin(1)
    second = list(batches)
    assert [r.index for b in first for r in b] != [r.index for b in second for r in b]
    assert {r.epoch for b in second for r in b} == {1}
    assert list(Batches(PICTURES, 4, CROP, seed=1)) != first


def test_begins_in_the_middle() -> None:
    batches = Batches(CLIPS, 4, CROP, seed=0, workers=2)
    whole = list(batches)
    batches.begin(0, 11)
    assert list(batches) == whole[11:]


@pytest.mark.parametrize("runs", [PICTURES, CLIPS], ids=["pictures", "clips"])
def test_processes_share_out_what_one_would_take(runs: list[range]) -> None:
    alone = list(Batches(runs, 4, CROP, seed=0, workers=2))
    shares = [list(Batches(runs, 2, CROP, 0, 2, rank, 2)) for rank in range(2)]
    assert [a + b for a, b in zip(*shares, strict=True)] == alone


def test_each_worker_reads_its_clips_forward() -> None:
    workers = 3
    taken = indices(Batches(CLIPS, 4, CROP, seed=0, workers=workers))
    forward = jumps = 0
    for worker in range(workers):
        last: dict[int, int] = {}
        run_of = {index: number for number, run in enumerate(CLIPS) for index in run}
        for batch in taken[worker::workers][:-6]:  # the last ones gather what is left
            for index in batch:
                run = run_of[index]
                assert index == last.get(run, CLIPS[run].start - 1) + 1
                forward += run in last
                jumps += run not in last
                last[run] = index
    assert forward > 3 * jumps


def test_a_batch_is_of_different_clips() -> None:
    for batch in indices(Batches(CLIPS, 4, CROP, seed=0))[:10]:
        assert len({run for run in CLIPS for index in batch if index in run}) == 4


def test_sizes_are_of_the_batch_and_of_the_settings() -> None:
    batches = list(Batches(PICTURES, 4, CROP, seed=0))
    sizes = [{(r.height, r.width) for r in batch} for batch in batches]
    assert {len(size) for size in sizes} == {1}
    heights = {r.height for batch in batches for r in batch}
    assert heights <= {64, 80, 96, 112, 128}
    assert len(heights) == 5
    assert isinstance(batches[0][0], Request)
    assert type(batches[0][0].index) is int, "a NumPy number would not seed alike everywhere"


def test_fewer_samples_than_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="3 samples, fewer than one batch of 2 for each of 2"):
        Batches(PICTURES[:3], 2, CROP, 0, 0, 0, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"smallest": 16}, "key 'smallest'.*greater than or equal to 32, got 16"),
        ({"smallest": 300, "largest": 200}, "no multiple of 1 lies between 300 and 200"),
        ({"multiple": 0}, "key 'multiple'.*greater than or equal to 1, got 0"),
    ],
)
def test_crops_out_of_range_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CropSettings(**wrong)


def test_crops_without_a_multiple_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of 100 lies between 201 and 299"):
        CropSettings(201, 299, 100)

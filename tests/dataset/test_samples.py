"""Samples: what they hold, and that they depend on nothing but seed and request."""

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from dataset import samples as module
from dataset.augmentation import UNDISTURBED, AugmentationSettings
from dataset.changes import BackgroundSettings, ForegroundSettings
from dataset.samples import Request, Samples
from dataset.synthetic import SyntheticForegrounds

cv2.setNumThreads(1)

STILL = {
    **{"rotation": 0.0, "shift": 0.0, "shear": 0.0, "scale": (1.0, 1.0), "flip": 0.0},
    **{"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
    **{"blur": 0.0, "sharpen": 0.0},
}
NOTHING = replace(
    AugmentationSettings(),
    foreground=ForegroundSettings(**STILL),
    background=BackgroundSettings(**STILL),
)


class FakeForegrounds:
    """Pictures whose first pixel is their index; notes how large they were asked for."""

    def __init__(self, length: int = 4, size: tuple[int, int] = (90, 120)) -> None:
        self.length, self.size, self.asked = length, size, []
        self.runs = (range(length),)

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"f{index}"

    def read(self, index: int, shorter_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(shorter_side)
        fgr = np.full((*self.size, 3), (40 * index + 20, 90, 160), np.uint8)
        pha = np.zeros(self.size, np.uint8)
        pha[20:70, 30:90] = 255
        return fgr, pha


class FakeBackgrounds:
    def __len__(self) -> int:
        return 5

    def name(self, index: int) -> str:
        return f"b{index}"

    def choose(self, index: int, epoch: int) -> int:
        return (index + epoch) % 5

    def read(self, index: int, shorter_side: int | None = None) -> np.ndarray:
        small = np.random.default_rng(index).integers(60, 200, (5, 7, 3), np.uint8)
        return cv2.resize(small, (100, 80), interpolation=cv2.INTER_LINEAR)


def same(a: dict, b: dict) -> bool:
    tensors = all(torch.equal(a[name], b[name]) for name in ("fgr", "pha", "bgr"))
    return tensors and a["disturbance"] == b["disturbance"] and a["name"] == b["name"]


def make(augmentation: AugmentationSettings | None = None, seed: int = 0) -> Samples:
    sources = [FakeForegrounds(), SyntheticForegrounds(3, seed=seed)]
    return Samples(sources, FakeBackgrounds(), augmentation or AugmentationSettings(), seed, [2, 1])


@pytest.mark.parametrize("index", [0, 9])
def test_contents(index: int) -> None:
    sample = make()[Request(index, 3, 48, 64)]
    assert (sample["fgr"].shape, sample["fgr"].dtype) == ((3, 48, 64), torch.uint8)
    assert (sample["pha"].shape, sample["pha"].dtype) == ((1, 48, 64), torch.uint8)
    assert (sample["bgr"].shape, sample["bgr"].dtype) == ((3, 48, 64), torch.uint8)
    assert sample["disturbance"].keys() == UNDISTURBED.keys()
    for name, drawn in sample["disturbance"].items():
        assert type(drawn) is type(UNDISTURBED[name])
        assert all(type(value) in (int, float) for value in drawn)
    assert sample["pha"].max() > 200


def test_without_changes_the_pictures_come_through() -> None:
    sample = Samples([FakeForegrounds()], FakeBackgrounds(), NOTHING, 0)[Request(2, 0, 90, 90)]
    assert sample["fgr"][:, 45, 45].tolist() == [100, 90, 160]
    alpha = np.zeros((90, 90), np.uint8)
    alpha[20:70, 15:75] = 255  # 15 columns are cut off each side
    assert np.array_equal(sample["pha"][0].numpy(), alpha)
    whole = cv2.resize(FakeBackgrounds().read(2), (112, 90))[:, 11:101]
    assert np.abs(sample["bgr"].permute(1, 2, 0).numpy().astype(int) - whole).mean() < 1.5


def test_a_sample_depends_on_its_request_alone() -> None:
    requests = [Request(index, epoch, 40, 56) for epoch in (0, 1) for index in (0, 3, 4, 8, 10)]
    first = [make()[request] for request in requests]
    samples = pickle.loads(pickle.dumps(make()))
    torch.manual_seed(5)
    np.random.seed(5)
    again = [samples[request] for request in reversed(requests)][::-1]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    for i, a in enumerate(first):
        assert not any(same(a, b) for b in first[:i])
    assert not same(make(seed=1)[requests[0]], first[0])


def test_a_loader_with_workers_gives_the_same() -> None:
    samples = make()
    batches = [[Request(i, 0, 40, 40), Request(i + 6, 0, 40, 40)] for i in range(4)]
    loader = DataLoader(samples, batch_sampler=batches, num_workers=2)
    for requests, batch in zip(batches, loader, strict=True):
        expected = default_collate([samples[request] for request in requests])
        assert torch.equal(batch["fgr"], expected["fgr"])
        seeds = batch["disturbance"]["noise"].seed
        assert torch.equal(seeds, expected["disturbance"]["noise"].seed)
        assert seeds.dtype == torch.int64
        assert batch["name"] == expected["name"]


def test_runs_and_names_of_sources_and_repeats() -> None:
    samples = make()
    assert len(samples) == 4 + 4 + 3
    assert samples.runs[:2] == (range(0, 4), range(4, 8))
    assert [list(run) for run in samples.runs[2:]] == [[8], [9], [10]]
    assert samples.name(Request(5, 1, 8, 8)) == "f1 on b1"
    assert samples.name(Request(9, 0, 8, 8)) == "synthetic 1 (seed 0) on b4"
    # A repeat meets another background and takes other numbers.
    one, two = samples[Request(1, 0, 40, 40)], samples[Request(5, 0, 40, 40)]
    assert not torch.equal(one["pha"], two["pha"])
    assert one["disturbance"] != two["disturbance"]


def test_pictures_are_asked_for_as_large_as_needed() -> None:
    source = FakeForegrounds()
    settings = replace(AugmentationSettings(), foreground=ForegroundSettings(scale=(0.5, 0.5)))
    Samples([source], FakeBackgrounds(), settings, 0)[Request(0, 0, 40, 60)]
    assert source.asked == [30]


def test_foreground_colours_vary_but_not_those_of_drawn_ones() -> None:
    samples = Samples([FakeForegrounds()], FakeBackgrounds(), AugmentationSettings(), 0)
    colours = {
        tuple(samples[Request(0, epoch, 40, 40)]["fgr"][:, 20, 20].tolist()) for epoch in range(9)
    }
    assert len(colours) > 5
    drawn = Samples([SyntheticForegrounds(1)], None, NOTHING, 0)[Request(0, 0, 64, 64)]
    jitter = replace(NOTHING, foreground=replace(NOTHING.foreground, brightness=0.5))
    other = Samples([SyntheticForegrounds(1)], None, jitter, 0)[Request(0, 0, 64, 64)]
    assert torch.equal(drawn["fgr"], other["fgr"])


@pytest.mark.slow
def test_drawn_foregrounds_have_parts_of_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request(8 + index, epoch, 48, 48) for epoch in range(4) for index in range(3)]

    def drawn(share: float, backgrounds: FakeBackgrounds | None) -> list[dict]:
        monkeypatch.setattr(module, "PHOTOGRAPH_SHARE", share)
        made = Samples([FakeForegrounds(8), SyntheticForegrounds(3)], backgrounds, NOTHING, 0)
        return [made[request] for request in requests]

    without, some, all_ = (drawn(share, FakeBackgrounds()) for share in (0.0, 0.5, 1.0))
    for name in ("pha", "bgr"):
        assert all(torch.equal(a[name], b[name]) for a, b in zip(without, all_, strict=True))
    changed = [
        sum(not torch.equal(a["fgr"], b["fgr"]) for a, b in zip(without, others, strict=True))
        for others in (some, all_)
    ]
    assert 0 < changed[0] < changed[1]
    alone = zip(drawn(0.0, None), drawn(1.0, None), strict=True)
    assert all(same(a, b) for a, b in alone)


def test_drawn_backgrounds_differ_from_epoch_to_epoch() -> None:
    samples = Samples([FakeForegrounds()], None, NOTHING, 0)
    one, two = (samples[Request(0, epoch, 40, 40)]["bgr"] for epoch in (0, 1))
    assert not torch.equal(one, two)
    assert samples.name(Request(0, 0, 40, 40)) == "f0 on a drawn background"


def test_blur_softens_alpha_too() -> None:
    blur = replace(NOTHING, foreground=replace(NOTHING.foreground, blur=1.0))
    samples = Samples([FakeForegrounds()], FakeBackgrounds(), blur, 0)
    soft = [samples[Request(0, epoch, 90, 90)]["pha"] for epoch in range(6)]
    assert sum(bool(((alpha > 0) & (alpha < 255)).any()) for alpha in soft) >= 4


def test_wrong_arguments() -> None:
    settings = AugmentationSettings()
    with pytest.raises(ValueError, match="at least one source"):
        Samples([], None, settings, 0)
    for repeats in ([1, 2], [0], []):
        with pytest.raises(ValueError, match="repeats must be a number of 1 or more for each of 1"):
            Samples([FakeForegrounds()], None, settings, 0, repeats)
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        Samples([FakeForegrounds()], None, settings, -1)
    with pytest.raises(IndexError, match="from 0 to 3, got 4"):
        Samples([FakeForegrounds()], None, settings, 0)[Request(4, 0, 40, 40)]

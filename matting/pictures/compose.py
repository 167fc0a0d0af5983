"""Makes the output pictures of a matte."""

from typing import Literal

import cv2
import numpy as np

from ..prediction import Prediction

OutputType = Literal["com", "pha", "fgr", "err", "ref", "sheet"]
BitDepth = Literal[8, 16]
AlphaMode = Literal["straight", "premultiplied"]

# Standard deviation of `--target-bgr blur` as a fraction of the longer side: ours, enough to make
# text unreadable, as in video calls.
_BLUR = 0.015
_ROWS = 32


def render(
    kind: OutputType,
    matte: Prediction,
    target: np.ndarray | None,
    bit_depth: BitDepth,
    alpha: AlphaMode = "straight",
) -> np.ndarray:
    """Makes the picture of one output type (not of `sheet`, see sheet.py).

    Args:
        kind: `com` (over the target; RGBA without one), `pha`, `fgr`, `err` or `ref`.
        matte: the prediction.
        target: (H, W, 3) float32, RGB in [0, 1], the new background of `com`, or None.
        bit_depth: bits per channel of `com`, `pha` and `fgr`; the others have 8.
        alpha: whether RGBA has straight or premultiplied colours.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16.

    Raises:
        ValueError: for `err` and `ref` of an exported network, and for other types.
    """
    if kind == "com":
        if target is not None:
            return quantise(composite(matte, target), bit_depth)
        # Colours are not visible where alpha is 0; zeros compress well.
        shown = (matte.pha > 0).astype(np.uint8)
        colour = matte.fgr if alpha == "straight" else matte.fgr * matte.pha[..., None]
        fgr = cv2.copyTo(quantise(colour, bit_depth), shown)
        com = np.empty((*shown.shape, 4), fgr.dtype)
        parts = [fgr, quantise(matte.pha, bit_depth)]
        return cv2.mixChannels(parts, [com], [0, 0, 1, 1, 2, 2, 3, 3])[0]
    if kind == "pha":
        return quantise(matte.pha, bit_depth)
    if kind == "fgr":
        return quantise(matte.fgr, bit_depth)
    if kind in ("err", "ref"):
        asked = matte.err if kind == "err" else matte.ref
        if asked is None:
            raise ValueError(f"an exported network has no output {kind}; use weights")
        return quantise(asked.astype(np.float32), 8)
    raise ValueError(f"no picture is defined for output type {kind!r}")


def composite(matte: Prediction, target: np.ndarray) -> np.ndarray:
    """Puts the foreground over a new background B', (H, W, 3) float32: alpha F + (1 - alpha) B'.

    Source: the compositing equation of the paper.
    """
    com = np.empty_like(matte.fgr)
    for start in range(0, len(com), _ROWS):  # few rows stay in the cache
        rows = slice(start, start + _ROWS)
        # Alpha repeated for each channel, because broadcasting over three values is much slower.
        alpha = cv2.merge([matte.pha[rows]] * 3)
        np.multiply(alpha, matte.fgr[rows], out=com[rows])
        np.subtract(1, alpha, out=alpha)
        alpha *= target[rows]
        com[rows] += alpha
    return com


def quantise(picture: np.ndarray, bit_depth: BitDepth) -> np.ndarray:
    """Rounds floats in [0, 1] of any shape to uint8 or uint16; others become the nearest."""
    kind = cv2.CV_8U if bit_depth == 8 else cv2.CV_16U
    # Of OpenCV's functions that scale and convert at once, the fastest.
    quantised = cv2.addWeighted(picture, 2**bit_depth - 1, picture, 0, 0, dtype=kind)
    return quantised.reshape(picture.shape)


def to_float(picture: np.ndarray) -> np.ndarray:
    """Converts uint8 or uint16 of any shape to float32 in [0, 1]."""
    return picture.astype(np.float32) / np.iinfo(picture.dtype).max


def blur(picture: np.ndarray) -> np.ndarray:
    """Blurs a background, (H, W, 3) float32, in proportion to its size."""
    sigma = _BLUR * max(picture.shape[:2])
    # A wide Gaussian on a reduced picture looks the same and is much faster.
    factor = max(1, int(sigma / 4))
    height, width = (max(1, side // factor) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)

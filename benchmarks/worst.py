"""Draws the worst cases: frame, plate, true alpha, predicted alpha and error."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.composites import Pair
from evaluation.report import colour_error

_SHOWN = 8
_TILE = 300  # longer side, pixels
_GAP, _LABEL = 6, 22
_COLUMNS = ("frame", "plate", "true alpha", "predicted alpha", "error")
_INK, _PAPER = (235, 235, 235), (24, 24, 24)


@dataclass(frozen=True)
class Worst:
    """The picture of a condition with the largest MAD.

    Attributes:
        title: the condition.
        mad: its MAD.
        pair: frame, plate and true alpha.
        pha: (H, W) float in [0, 1], the predicted alpha.
    """

    title: str
    mad: float
    pair: Pair
    pha: np.ndarray


def draw_worst(cases: list[Worst]) -> np.ndarray:
    """Draws the worst cases, one row each, sorted by MAD, largest first.

    Args:
        cases: one per condition.

    Returns:
        (h, w, 3) uint8, RGB. In the error, orange means too much alpha and blue too little.
    """
    shown = sorted(cases, key=lambda case: -case.mad)[:_SHOWN]
    rows = [_draw_row(case) for case in shown]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, _LABEL + sum(row.height for row in rows)), _PAPER)
    text = "left to right: " + ", ".join(_COLUMNS) + " (orange: too much, blue: too little)"
    _write(sheet, text)
    top = _LABEL
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return np.asarray(sheet)


def _draw_row(case: Worst) -> Image.Image:
    pair = case.pair
    pictures = [
        pair.src / 255,
        pair.bgr / 255,
        np.dstack([pair.pha] * 3),
        np.dstack([case.pha] * 3),
        colour_error(case.pha, pair.pha),
    ]
    scale = _TILE / max(pair.pha.shape)
    height, width = (max(1, round(side * scale)) for side in pair.pha.shape)
    row = Image.new("RGB", (len(_COLUMNS) * (width + _GAP) + _GAP, _LABEL + height + _GAP), _PAPER)
    text = f"{case.title}: {pair.name}, MAD {case.mad:.4f}"
    _write(row, text)
    for number, picture in enumerate(pictures):
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        tile = Image.fromarray((small.clip(0, 1) * 255 + 0.5).astype(np.uint8))
        row.paste(tile, (_GAP + number * (width + _GAP), _LABEL))
    return row


def _write(picture: Image.Image, text: str) -> None:
    ImageDraw.Draw(picture).text((_GAP, 3), text, _INK, ImageFont.load_default(size=14))

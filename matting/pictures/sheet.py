"""The contact sheet of one frame."""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from media.pictures import resize

from ..prediction import Prediction
from .compose import composite, quantise, to_float
from .target import KEYING_GREEN

_COLUMNS = 4
_TILE = 480  # longer side, pixels
_GAP = 8
_LABEL = 26
_INK, _PAPER, _GREY = (235, 235, 235), (24, 24, 24), 0.5
_GREEN = np.array(KEYING_GREEN, np.float32) / 255  # shows faults at edges best


def draw_sheet(
    src: np.ndarray, bgr: np.ndarray, matte: Prediction, target: np.ndarray | None, lines: list[str]
) -> np.ndarray:
    """Draws frame, plate, error, refined cells, alpha, foreground and composite, labelled.

    Of an exported network there is neither error nor refined cells.

    Args:
        src: (H, W, 3) uint8 or uint16, the frame.
        bgr: (H, W, 3) uint8 or uint16, the plate as it was used.
        matte: the prediction.
        target: (H, W, 3) float32 in [0, 1], or None for green.
        lines: text for the last tile.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    scale = _TILE / max(src.shape[:2])
    height, width = (max(1, round(side * scale)) for side in src.shape[:2])
    background = np.broadcast_to(_GREEN, src.shape) if target is None else target
    alpha = matte.pha[..., None]
    tiles = {
        "frame": to_float(src),
        "plate, as used": to_float(bgr),
        "predicted error": matte.err,
        "refined cells": None if matte.ref is None else matte.ref.astype(np.float32),
        "alpha": matte.pha,
        "foreground": alpha * matte.fgr + (1 - alpha) * _GREY,
        "composite": composite(matte, background),
    }
    pictures = {label: tile for label, tile in tiles.items() if tile is not None}
    rows = -(-(len(pictures) + 1) // _COLUMNS)
    cell = width + _GAP, height + _LABEL + _GAP
    sheet = Image.new("RGB", (_COLUMNS * cell[0] + _GAP, rows * cell[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for index, (label, picture) in enumerate(pictures.items()):
        x, y = _position(index, cell)
        draw.text((x, y), label, _INK, font)
        sheet.paste(_thumbnail(picture, height, width), (x, y + _LABEL))
    x, y = _position(len(pictures), cell)
    draw.multiline_text((x, y + _LABEL), "\n".join(lines), _INK, ImageFont.load_default(size=13))
    return np.asarray(sheet)


def _position(index: int, cell: tuple[int, int]) -> tuple[int, int]:
    row, column = divmod(index, _COLUMNS)
    return column * cell[0] + _GAP, row * cell[1] + _GAP


def _thumbnail(picture: np.ndarray, height: int, width: int) -> Image.Image:
    small = quantise(resize(picture, height, width), 8)
    return Image.fromarray(small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2RGB))

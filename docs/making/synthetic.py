"""The picture of synthetic foregrounds: 24 over photographs, with their alpha."""

from pathlib import Path

import cv2
import numpy as np

from dataset.geometry import reduce_picture
from dataset.sources import Backgrounds
from dataset.synthetic import SyntheticForegrounds
from docs.making.sources import Sources
from media.pictures import resize_to_cover

ROWS, COLUMNS, SIDE, DRAWN = 6, 4, 178, 512
SEED = 4
PHOTOGRAPHS = "elementary_*.jpg"


def make_synthetic(sources: Sources, path: Path) -> None:
    """Makes the picture; seven of ten have parts cut out of another photograph."""
    backgrounds = Backgrounds(tuple(sources.find_photographs(PHOTOGRAPHS)), SEED)
    foregrounds = SyntheticForegrounds(ROWS * COLUMNS, SEED)
    cells = []
    for index in range(ROWS * COLUMNS):
        bgr = resize_to_cover(backgrounds.read(index % len(backgrounds)), DRAWN, DRAWN)
        other = reduce_picture(backgrounds.read((index + 1) % len(backgrounds)), DRAWN // 2)
        photograph = other if index % 10 < 7 else None
        fgr, pha = foregrounds.draw(index, 0, DRAWN, DRAWN, bgr, photograph)
        weight = pha.astype(np.float32) / 255
        com = cv2.blendLinear(fgr, bgr, weight, 1 - weight)
        pair = np.hstack((com, cv2.cvtColor(pha, cv2.COLOR_GRAY2RGB)))
        cells.append(cv2.resize(pair, (2 * SIDE, SIDE), interpolation=cv2.INTER_AREA))
    rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])

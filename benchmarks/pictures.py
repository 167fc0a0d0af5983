"""Picture files for benchmarks: HD JPEGs of foregrounds, alphas and backgrounds."""

from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic import draw_background, draw_foreground
from media.fast_pictures import EncodedPicture, read_rgb
from media.listing import list_pictures

HEIGHT, WIDTH = 1080, 1920
COUNT = 8


def write_hd_pictures(root: Path, mattes: Path | None, backgrounds: Path | None) -> None:
    """Writes 8 foregrounds, alphas and backgrounds of 1920 x 1080 as JPEG.

    Args:
        root: an existing folder, in which the folders fgr, pha and bgr are created.
        mattes: folder of NAME_fgr.png and NAME_pha.png, resized to HD; None draws them.
        backgrounds: folder of photographs, resized to HD; None draws them.

    Raises:
        ValueError: when a folder has no such pictures.
    """
    pairs = sorted(mattes.glob("*_fgr.png")) if mattes else []
    if mattes and not pairs:
        raise ValueError(f"{mattes} has no NAME_fgr.png; give a folder of mattes, or leave it out")
    photographs = list_pictures(backgrounds).pictures if backgrounds else []
    for n in range(COUNT):
        rng = np.random.default_rng(n)
        if pairs:
            path = pairs[n % len(pairs)]
            fgr = read_rgb(path)
            pha = EncodedPicture(path.with_name(path.name.replace("_fgr", "_pha"))).alpha()
        else:
            fgr, pha = draw_foreground(rng, HEIGHT, WIDTH)
        if photographs:
            bgr = read_rgb(photographs[n % len(photographs)])
        else:
            bgr = draw_background(rng, HEIGHT, WIDTH)
        for kind, pixels in (("fgr", fgr[..., ::-1]), ("pha", pha), ("bgr", bgr[..., ::-1])):
            path = root / kind / f"{n:04}.jpg"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), _to_hd(pixels), (cv2.IMWRITE_JPEG_QUALITY, 92))


def _to_hd(pixels: np.ndarray) -> np.ndarray:
    scale = max(HEIGHT / pixels.shape[0], WIDTH / pixels.shape[1])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    large = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_CUBIC)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return large[top : top + HEIGHT, left : left + WIDTH]

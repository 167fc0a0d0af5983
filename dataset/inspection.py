"""What `python -m dataset.check` looks for in one foreground or background."""

from collections import Counter
from dataclasses import dataclass, field

import cv2
import numpy as np

OPAQUE = 250
_PARTIAL = (32, 223)  # alphas at which premultiplied colours differ clearly from straight ones
_NEARBY = 20.0  # pixels to the opaque pixel that a colour is compared with
_BRIGHT = 40  # grey levels: below, rounding and noise decide
_ENOUGH = 200  # pixels
# Of `measure_darkening`: straight pictures measured -0.3 to 0.5 (once 1.45: dark hair beside
# a bright face), premultiplied ones 0.8 to 1.1.
_PREMULTIPLIED = (0.65, 1.25)


@dataclass
class Findings:
    """What was found in a source, added up over its pictures or frames.

    Attributes:
        checked: how many were decoded.
        sizes: how often each (height, width) came.
        alpha_min: least alpha of all.
        alpha_max: greatest alpha of all.
        empty: alphas that are zero everywhere, by name.
        never_opaque: alphas that do not reach 255, by name; empty ones do not count.
        coloured: alphas that are not grey, by name.
        premultiplied: foregrounds that are multiplied by their alpha, by name.
        judged: foregrounds with enough soft edge to tell whether they are.
        unreadable: why each of the files can't be read, in words.
    """

    checked: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    alpha_min: int = 255
    alpha_max: int = 0
    empty: list[str] = field(default_factory=list)
    never_opaque: list[str] = field(default_factory=list)
    coloured: list[str] = field(default_factory=list)
    premultiplied: list[str] = field(default_factory=list)
    judged: int = 0
    unreadable: list[str] = field(default_factory=list)

    def add_picture(self, picture: np.ndarray) -> None:
        """Adds a (H, W, ...) picture."""
        self.checked += 1
        self.sizes[picture.shape[0], picture.shape[1]] += 1

    def merge(self, other: "Findings") -> None:
        """Adds what was found elsewhere in the same source."""
        self.alpha_min = min(self.alpha_min, other.alpha_min)
        self.alpha_max = max(self.alpha_max, other.alpha_max)
        for name in ("checked", "judged", "sizes", "empty", "never_opaque", "coloured"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.premultiplied += other.premultiplied
        self.unreadable += other.unreadable

    def add_pair(
        self, name: str, fgr: np.ndarray, pha: np.ndarray, grey: bool = True, judge: bool = True
    ) -> None:
        """Adds a foreground.

        Args:
            name: for messages.
            fgr: (H, W, 3) uint8.
            pha: (H, W) uint8.
            grey: whether the alpha's file holds grey only.
            judge: whether to look for premultiplied colours, which takes longest.
        """
        self.add_picture(fgr)
        low, high = int(pha.min()), int(pha.max())
        self.alpha_min, self.alpha_max = min(self.alpha_min, low), max(self.alpha_max, high)
        if high == 0:
            self.empty.append(name)
        elif high < 255:
            self.never_opaque.append(name)
        if not grey:
            self.coloured.append(name)
        darkening = measure_darkening(fgr, pha) if judge else None
        if darkening is not None:
            self.judged += 1
            if _PREMULTIPLIED[0] < darkening < _PREMULTIPLIED[1]:
                self.premultiplied.append(name)


def measure_darkening(fgr: np.ndarray, pha: np.ndarray) -> float | None:
    """Measures how far a foreground's colours sink with its alpha.

    Each soft pixel is compared with the nearest opaque one: straight colours are about as bright,
    premultiplied ones darker by the factor alpha. Colours where alpha is zero don't count, so that
    black around a straight foreground is no fault.

    Args:
        fgr: (H, W, 3) uint8.
        pha: (H, W) uint8.

    Returns:
        About 0 for straight colours and 1 for premultiplied ones, the median over soft pixels; 0
        when colours exceed what multiplication allows; None when too few soft pixels lie near
        opaque bright ones to tell.

    Source:
        Ours, because published data sets do not say which they are.
    """
    opaque = pha >= OPAQUE
    soft = (pha >= _PARTIAL[0]) & (pha <= _PARTIAL[1])
    if min(np.count_nonzero(opaque), np.count_nonzero(soft)) < _ENOUGH:
        return None
    distance, label = cv2.distanceTransformWithLabels(
        (~opaque).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    brightness = fgr.max(axis=2).astype(np.float32)
    by_label = np.zeros(int(label.max()) + 1, np.float32)
    by_label[label[opaque]] = brightness[opaque]
    at = soft & (distance < _NEARBY)
    alpha, here, there = pha[at] / 255, brightness[at], by_label[label[at]]
    bright = there >= _BRIGHT
    if np.count_nonzero(bright) < _ENOUGH:
        return None
    alpha, here, there = alpha[bright], here[bright], there[bright]
    # A product with alpha can't exceed it, but for noise and what JPEG adds.
    if np.mean(here > 255 * alpha + 8) > 0.2:
        return 0.0
    return float(np.median((1 - here / there) / (1 - alpha)))

"""Decodes all or a part of a source, and inspects it for `python -m dataset.check`."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeVar

import cv2
import numpy as np

from media import MediaError
from media.clips import ClipIndex
from media.fast_pictures import EncodedPicture, grey_alpha, read_rgb
from runtime.progress import show_progress

from .clip_pairs import ClipPairs, index_pair
from .files import File, local
from .pairing import check_sizes
from .sources import FoundFiles, RgbaPictures

R = TypeVar("R")
T = TypeVar("T")
Pair = tuple[File, File]
IndexedPair = tuple[Pair, tuple[ClipIndex, ClipIndex]]

OPAQUE = 250
_PARTIAL = (32, 223)  # alphas at which premultiplied colours differ clearly from straight ones
_NEARBY = 20.0  # pixels to the opaque pixel that a colour is compared with
_BRIGHT = 40  # grey levels; below, rounding and noise dominate
_ENOUGH = 200  # pixels
# For `measure_darkening`: straight pictures measured -0.3 to 0.5 (once 1.45: dark hair beside
# a bright face), premultiplied ones 0.8 to 1.1.
_PREMULTIPLIED = (0.65, 1.25)
_GREY_TOLERANCE = 8  # levels between the channels of a grey JPEG
_JUDGED_FRAMES = 16  # one in this many frames of a clip is checked for premultiplied colours
_GIVEN_UP = 5  # unreadable frames after which a clip is abandoned
_CHUNK = 16  # pictures per task


@dataclass(frozen=True)
class PictureFacts:
    """Findings about a background, or a foreground with its alpha."""

    name: str
    size: tuple[int, int]  # height and width, pixels
    alpha: tuple[int, int] | None = None  # smallest and largest; None for a background
    grey: bool = True  # whether the alpha's file is grey
    darkening: float | None = None  # see `measure_darkening`; None also where not measured


@dataclass
class Findings:
    """Findings about a source, summed over its pictures or frames."""

    checked: int = 0  # pictures or frames decoded
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # (height, width)
    alpha: tuple[int, int] | None = None  # smallest and largest of all
    judged: int = 0  # foregrounds with enough soft edge to tell whether they are premultiplied
    empty: list[str] = field(default_factory=list)  # alphas that are zero everywhere
    never_opaque: list[str] = field(default_factory=list)  # others that do not reach 255
    coloured: list[str] = field(default_factory=list)  # alphas that are not grey
    premultiplied: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # why each file can't be read

    def add(self, facts: PictureFacts | MediaError) -> None:
        """Adds a picture's facts, or the error of reading it."""
        if isinstance(facts, MediaError):
            self.unreadable.append(str(facts))
            return
        self.checked += 1
        self.sizes[facts.size] += 1
        if facts.alpha is None:
            return
        low, high = self.alpha or facts.alpha
        self.alpha = (min(low, facts.alpha[0]), max(high, facts.alpha[1]))
        if facts.alpha[1] == 0:
            self.empty.append(facts.name)
        elif facts.alpha[1] < 255:
            self.never_opaque.append(facts.name)
        if not facts.grey:
            self.coloured.append(facts.name)
        if facts.darkening is not None:
            self.judged += 1
            if _PREMULTIPLIED[0] < facts.darkening < _PREMULTIPLIED[1]:
                self.premultiplied.append(facts.name)


def index_clips(pairs: list[Pair]) -> tuple[list[IndexedPair], list[str]]:
    """Indexes clips; returns usable pairs with their frames, and the errors of the others."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = pool.map(partial(_attempt, index_pair), pairs)
        results = list(show_progress(tasks, "finding frames", len(pairs), "pair"))
    paired = zip(pairs, results, strict=True)
    indexed = [(pair, found) for pair, found in paired if not isinstance(found, MediaError)]
    return indexed, [str(found) for found in results if isinstance(found, MediaError)]


def scan_clips(clips: list[IndexedPair], quick: int | None) -> Findings:
    """Decodes frames of clips, each clip forward; `quick` frames in total, or all."""
    frames = [
        (clip, frame) for clip, (_, (fgr, _)) in enumerate(clips) for frame in range(len(fgr))
    ]
    wanted: dict[int, list[int]] = {}
    for clip, frame in _choose(frames, quick):
        wanted.setdefault(clip, []).append(frame)

    def scan(clip: int) -> list[PictureFacts | MediaError]:
        facts: list[PictureFacts] = []
        errors: list[MediaError] = []
        source = ClipPairs([clips[clip][0]], [clips[clip][1]])
        for count, frame in enumerate(wanted[clip]):
            if len(errors) == _GIVEN_UP:
                break
            pair = _attempt(source.read, frame)
            if isinstance(pair, MediaError):
                errors.append(pair)
            else:
                judge = quick is not None or count % _JUDGED_FRAMES == 0
                facts.append(_inspect(source.name(frame), *pair, judge=judge))
        source.close()
        return [*facts, *errors]

    return _gather(wanted, scan, sum(map(len, wanted.values())))


def scan_pictures(found: FoundFiles, quick: int | None) -> Findings:
    """Decodes pairs of pictures, or RGBA pictures; `quick` of them, or all."""

    def scan(pair: Pair) -> PictureFacts:
        if found.kind == "rgba":
            return _inspect(str(pair[0]), *RgbaPictures([pair]).read(0))
        with local(pair[0]) as fgr_path, local(pair[1]) as pha_path:
            fgr, pha = EncodedPicture(fgr_path), EncodedPicture(pha_path)
            check_sizes(pair[0], fgr.size, pair[1], pha.size)
            channels, colours = pha.channels(), fgr.rgb()
        grey = channels.shape[2:] != (3,) or int(np.ptp(channels, axis=2).max()) <= _GREY_TOLERANCE
        return _inspect(str(pair[0]), colours, grey_alpha(channels), grey)

    return _scan_files(found.pairs, quick, scan)


def scan_backgrounds(files: list[File], quick: int | None) -> Findings:
    """Decodes photographs; `quick` of them, or all."""

    def scan(file: File) -> PictureFacts:
        with local(file) as path:
            return PictureFacts(str(file), read_rgb(path).shape[:2])

    return _scan_files(files, quick, scan)


def measure_darkening(fgr: np.ndarray, pha: np.ndarray) -> float | None:
    """Measures how much colours, (H, W, 3) uint8, darken with their alpha, (H, W) uint8.

    Each soft pixel is compared with the nearest opaque one. Straight colours are about as bright;
    premultiplied ones are darker by the factor alpha. Pixels of alpha 0 are not compared, so they
    may be black.

    Returns:
        The median: about 0 for straight colours and 1 for premultiplied ones. It is 0 if colours
        exceed alpha, which premultiplied ones can't. None if too few soft pixels lie near bright
        opaque ones.

    Source: ours, because published data sets do not say which they are.
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
    nearest = by_label[label]
    at = soft & (distance < _NEARBY) & (nearest >= _BRIGHT)
    if np.count_nonzero(at) < _ENOUGH:
        return None
    alpha, here, there = pha[at] / 255, brightness[at], nearest[at]
    # A product with alpha can't exceed alpha, except by noise and JPEG errors.
    if np.mean(here > 255 * alpha + 8) > 0.2:
        return 0.0
    return float(np.median((1 - here / there) / (1 - alpha)))


def _inspect(
    name: str, fgr: np.ndarray, pha: np.ndarray, grey: bool = True, judge: bool = True
) -> PictureFacts:
    """Inspects a foreground; with `judge` also for premultiplied colours, which is slowest."""
    darkening = measure_darkening(fgr, pha) if judge else None
    return PictureFacts(name, pha.shape, (int(pha.min()), int(pha.max())), grey, darkening)


def _attempt(read: Callable[[T], R], item: T) -> R | MediaError:
    try:
        return read(item)
    except MediaError as error:
        return error


def _choose(items: Sequence[T], count: int | None) -> Sequence[T]:
    """Chooses `count` of the items at random with a fixed seed, in their order."""
    if count is None or count >= len(items):
        return items
    chosen = np.random.default_rng(0).choice(len(items), count, replace=False)
    return [items[index] for index in sorted(chosen)]


def _scan_files(
    items: Sequence[T], quick: int | None, scan: Callable[[T], PictureFacts]
) -> Findings:
    items = _choose(items, quick)
    chunks = [items[first : first + _CHUNK] for first in range(0, len(items), _CHUNK)]
    return _gather(chunks, lambda chunk: [_attempt(scan, item) for item in chunk], len(items))


def _gather(
    tasks: Iterable[T], scan: Callable[[T], list[PictureFacts | MediaError]], total: int
) -> Findings:
    """Runs tasks in parallel and sums their findings; `total` files or frames, for progress."""
    findings = Findings()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = chain.from_iterable(pool.map(scan, tasks))
        for facts in show_progress(found, "decoding", total, "picture"):
            findings.add(facts)
    return findings

"""Decoding a whole source, or a part of it, for `python -m dataset.check`."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from media import MediaError
from media.clips import ClipIndex
from media.fast_pictures import EncodedPicture, grey_alpha, read_rgb

from .clip_pairs import ClipPairs, index_pair
from .inspection import Findings
from .pairing import check_sizes
from .sources import FoundFiles, RgbaPictures

T = TypeVar("T")
Pair = tuple[Path, Path]
IndexedPair = tuple[Pair, tuple[ClipIndex, ClipIndex]]

_GREY_TOLERANCE = 8  # levels between the channels of a grey JPEG
_JUDGED_FRAMES = 16  # of so many frames of a clip, one is looked at for premultiplied colours
_GIVEN_UP = 5  # unreadable frames after which a clip is left
_CHUNK = 16  # pictures a task


def index_clips(pairs: list[Pair]) -> tuple[list[IndexedPair], list[str]]:
    """Finds the frames of clips.

    Args:
        pairs: foreground and alpha clips.

    Returns:
        indexed: the pairs that can be used, with their indices.
        failed: why each of the others can't, in words.
    """

    def index(pair: Pair) -> tuple[ClipIndex, ClipIndex] | str:
        try:
            return index_pair(pair)
        except MediaError as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(tqdm(pool.map(index, pairs), "finding frames", len(pairs), leave=False))
    paired = list(zip(pairs, results, strict=True))
    indexed = [(pair, result) for pair, result in paired if not isinstance(result, str)]
    return indexed, [result for result in results if isinstance(result, str)]


def scan_clips(clips: list[IndexedPair], quick: int | None) -> Findings:
    """Decodes frames of clips, each clip forward.

    Args:
        clips: pairs of clips with their indices.
        quick: how many frames in all; None for every one.

    Returns:
        What was found.
    """
    frames = [
        (clip, frame) for clip, (_, (index, _)) in enumerate(clips) for frame in range(len(index))
    ]
    wanted: dict[int, list[int]] = {}
    for clip, frame in _choose(frames, quick):
        wanted.setdefault(clip, []).append(frame)

    def scan(clip: int) -> tuple[Findings, int]:
        findings, source = Findings(), ClipPairs([clips[clip][0]], [clips[clip][1]])
        for count, frame in enumerate(wanted[clip]):
            try:
                fgr, pha = source.read(frame)
            except MediaError as error:
                findings.unreadable.append(str(error))
                if len(findings.unreadable) == _GIVEN_UP:
                    break
            else:
                judge = quick is not None or count % _JUDGED_FRAMES == 0
                findings.add_pair(source.name(frame), fgr, pha, judge=judge)
        source.close()
        return findings, len(wanted[clip])

    return _scan(list(wanted), scan, sum(map(len, wanted.values())))


def scan_pictures(found: FoundFiles, quick: int | None) -> Findings:
    """Decodes pairs of pictures, or RGBA pictures.

    Args:
        found: the files of a source.
        quick: how many; None for all.

    Returns:
        What was found.
    """

    def scan(findings: Findings, pair: Pair) -> None:
        if found.kind == "rgba":
            findings.add_pair(str(pair[0]), *RgbaPictures([pair]).read(0))
            return
        fgr, pha = EncodedPicture(pair[0]), EncodedPicture(pair[1])
        check_sizes(fgr.path, fgr.size, pha.path, pha.size)
        channels = pha.channels()
        findings.add_pair(str(pair[0]), fgr.rgb(), grey_alpha(channels), _is_grey(channels))

    return _scan_files(_choose(found.pairs, quick), scan)


def scan_backgrounds(paths: list[Path], quick: int | None) -> Findings:
    """Decodes photographs; `quick` as in `scan_pictures`."""

    def scan(findings: Findings, path: Path) -> None:
        findings.add_picture(read_rgb(path))

    return _scan_files(_choose(paths, quick), scan)


def _is_grey(channels: np.ndarray) -> bool:
    if channels.ndim == 2 or channels.shape[2] == 4:
        return True
    low = channels.min(axis=2)
    return int((channels.max(axis=2) - low).max()) <= _GREY_TOLERANCE


def _choose(items: Sequence[T], count: int | None) -> Sequence[T]:
    """Takes `count` of the items at random, the same every time, in their order."""
    if count is None or count >= len(items):
        return items
    chosen = np.random.default_rng(0).choice(len(items), count, replace=False)
    return [items[index] for index in sorted(chosen)]


def _scan_files(items: Sequence[T], scan: Callable[[Findings, T], None]) -> Findings:
    chunks = [items[first : first + _CHUNK] for first in range(0, len(items), _CHUNK)]

    def scan_chunk(chunk: Sequence[T]) -> tuple[Findings, int]:
        findings = Findings()
        for item in chunk:
            try:
                scan(findings, item)
            except MediaError as error:
                findings.unreadable.append(str(error))
        return findings, len(chunk)

    return _scan(chunks, scan_chunk, len(items))


def _scan(tasks: Sequence[T], scan: Callable[[T], tuple[Findings, int]], total: int) -> Findings:
    """Runs tasks side by side; each returns what it found and how many files or frames it was."""
    findings = Findings()
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(desc="decoding", total=total, leave=False) as bar,
    ):
        for part, count in pool.map(scan, tasks):
            findings.merge(part)
            bar.update(count)
    return findings

"""Reads foregrounds and alphas from pairs of clips, by frame."""

import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np

from media.clips import ClipIndex, IndexedClip, index_clip

from . import DatasetError
from .files import File, local
from .pairing import check_sizes

# Consecutive frames that are read from a clip, enough to outweigh the cost of seeking.
RUN_LENGTH = 16
_OPEN_PAIRS = 2  # clips kept open; a 4K decoder needs about 200 MB
# A forked worker shares the files' positions with its parent, and closing the readers there would
# wait for ever, because their threads exist only in the parent. So workers neither use nor free
# readers that the parent opened.
_inherited: list[object] = []
# Foreground, alpha, and what keeps their files in the cache.
_OpenPair = tuple[IndexedClip, IndexedClip, ExitStack]


class ClipPairs:
    """Frames of pairs of clips; see `sources.Foregrounds`. One thread at a time may read."""

    def __init__(
        self, pairs: list[tuple[File, File]], indices: list[tuple[ClipIndex, ClipIndex]]
    ) -> None:
        self._pairs = pairs
        self._indices = indices
        self._starts = np.cumsum([0, *(len(fgr) for fgr, _ in indices)])
        self._open: OrderedDict[int, _OpenPair] = OrderedDict()
        self._process = os.getpid()
        self.runs = tuple(
            range(first, min(first + RUN_LENGTH, int(end)))
            for start, end in zip(self._starts, self._starts[1:], strict=False)
            for first in range(int(start), int(end), RUN_LENGTH)
        )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_open": OrderedDict()}

    def name(self, index: int) -> str:
        """Names a frame in messages; see `sources.Foregrounds`."""
        clip, frame = self._locate(index)
        return f"{self._pairs[clip][0]} frame {frame}"

    def read(self, index: int, shorter_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Reads a frame, always at its full size; see `sources.Foregrounds`."""
        clip, frame = self._locate(index)
        fgr_clip, pha_clip, _ = self._open_pair(clip)
        fgr, pha = fgr_clip.read_rgb(frame), pha_clip.read_alpha(frame)
        check_sizes(self._pairs[clip][0], fgr.shape[:2], self._pairs[clip][1], pha.shape)
        return fgr, pha

    def close(self) -> None:
        """Closes all files; reading opens them again."""
        self._close_but(0)

    def _close_but(self, kept: int) -> None:
        while len(self._open) > kept:
            for part in self._open.popitem(last=False)[1]:
                part.close()

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in [0, {len(self)}), got {index}")
        clip = int(np.searchsorted(self._starts, index, "right")) - 1
        return clip, index - int(self._starts[clip])

    def _open_pair(self, clip: int) -> _OpenPair:
        if self._process != os.getpid():
            _inherited.append(self._open)
            self._open, self._process = OrderedDict(), os.getpid()
        if clip not in self._open:
            self._close_but(_OPEN_PAIRS - 1)
            with ExitStack() as held:
                pairs = zip(self._pairs[clip], self._indices[clip], strict=True)
                fgr, pha = (
                    IndexedClip(held.enter_context(local(file)), index, str(file))
                    for file, index in pairs
                )
                self._open[clip] = fgr, pha, held.pop_all()
        self._open.move_to_end(clip)
        return self._open[clip]


def index_pairs(pairs: list[tuple[File, File]]) -> list[tuple[ClipIndex, ClipIndex]]:
    """Indexes the frames of pairs of clips, several pairs in parallel; see `index_pair`."""
    with ThreadPoolExecutor() as pool:  # reading packets releases Python's lock
        return list(pool.map(index_pair, pairs))


def index_pair(pair: tuple[File, File]) -> tuple[ClipIndex, ClipIndex]:
    """Indexes the frames of a foreground and its alpha; a MediaError names the clip at fault."""
    fgr, pha = map(_index_file, pair)
    if len(fgr) != len(pha):
        raise DatasetError(
            f"{pair[0]} has {len(fgr)} frames and {pair[1]} {len(pha)}; both must have the same "
            "number"
        )
    return fgr, pha


def _index_file(file: File) -> ClipIndex:
    with local(file) as path:
        return index_clip(path)

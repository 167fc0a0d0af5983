"""Names of many pictures: found by key, paired, and told apart, with a few bytes of memory each."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from dataset.pairing import find_namesake, stem_key
from storage.location import Location, Url

from ..shards import hash_text
from .listing import list_frames

_HERE = PurePosixPath()


def stem_of(name: str) -> str:
    """A name without its extension."""
    return PurePosixPath(name).with_suffix("").as_posix()


def find_alike(names: Sequence[str]) -> set[str]:
    """Finds the names whose outputs must keep the extension, to differ from those of others.

    Ignores case, because many file systems do.
    """
    keys = _hash_all((stem_of(name).casefold() for name in names), len(names))
    whole: set[str] = set()
    while True:
        values, counts = np.unique(keys, return_counts=True)
        found = np.flatnonzero(np.isin(keys, values[counts > 1])).tolist()
        alike = [index for index in found if names[index] not in whole]
        if not alike:
            return whole
        for index in alike:
            whole.add(names[index])
            keys[index] = hash_text(names[index].casefold())


class Partners:
    """Partners of frames, such as their plates: one file for all, or a folder paired by stem.

    Args:
        root: a picture or a folder.
        what: what it holds, for messages.

    Raises:
        PictureError: when it is missing or has no picture.
    """

    def __init__(self, root: Location, what: str) -> None:
        listing = list_frames(root)
        self.root, self.names, self.what = listing.root, listing.names, what
        self.single = root if listing.root != root else None
        self.left_out = listing.left_out
        self._refused = {_key(name): name for name in listing.left_out}
        self._used = np.zeros(len(self.names), bool)
        keys = _hash_all(map(_key, self.names), len(self.names))
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def find(self, name: str) -> int | None:
        """Finds the number of the only partner of a frame's path and stem; None without one.

        If there are several, it is the only one with the same extension too.
        """
        if self.single:
            return 0
        found = self._find_all(name)
        chosen = found[0] if len(found) == 1 else None
        if len(found) > 1:
            paths = [PurePosixPath(self.names[index]) for index in found]
            namesake = find_namesake(PurePosixPath(name).name, paths)
            chosen = None if namesake is None else found[paths.index(namesake)]
        self._used[found if chosen is None else chosen] = True
        return chosen

    def path(self, index: int) -> Location:
        """The file of a partner that was found."""
        return self.root / self.names[index]

    def explain(self, name: str) -> str:
        """Says why a frame has no partner."""
        key, found = _key(name), self._find_all(name)
        reason = f"no picture named {key} in {self.root}"
        if found:
            alike = ", ".join(PurePosixPath(self.names[index]).name for index in found)
            reason = f"several pictures named {key} in {self.root}: {alike}"
        if other := self._refused.get(key):
            reason += f", but {PurePosixPath(other).name}: {self.left_out[other]}"
        return f"no {self.what}: {reason}"

    def list_unused(self) -> list[str]:
        """Lists the partners that were never found."""
        return [] if self.single else [self.names[i] for i in np.flatnonzero(~self._used)]

    def _find_all(self, name: str) -> list[int]:
        key = _key(name)
        value = np.uint64(hash_text(key))
        first, last = (np.searchsorted(self._keys, value, side) for side in ("left", "right"))
        return [int(i) for i in self._order[first:last] if _key(self.names[i]) == key]


class RealPaths:
    """The real paths of many files, 8 bytes each, to find out whether a path leads to one."""

    def __init__(self, folders: Sequence[tuple[Location, Sequence[str]]]) -> None:
        self._folders = folders
        self._keys: np.ndarray | None = None

    def __contains__(self, path: Location) -> bool:
        if self._keys is None:  # slow and rarely needed
            paths = (_real_path(root / name) for root, names in self._folders for name in names)
            self._keys = np.sort(_hash_all(paths, sum(len(names) for _, names in self._folders)))
        key = np.uint64(hash_text(_real_path(path)))
        place = int(np.searchsorted(self._keys, key))
        return place < len(self._keys) and bool(self._keys[place] == key)


def _key(name: str) -> str:
    return stem_key(PurePosixPath(name), _HERE)


def _hash_all(texts: Iterable[str], count: int) -> np.ndarray:
    return np.fromiter(map(hash_text, texts), np.uint64, count)


def _real_path(path: Location) -> str:
    if isinstance(path, Url):
        return str(path)
    if path.is_symlink():
        return os.path.realpath(path)
    return os.path.join(_real_folder(path.parent), path.name)  # noqa: PTH118 - a text, not a path


_real_folder: Callable[[Path], str] = lru_cache(maxsize=1024)(os.path.realpath)

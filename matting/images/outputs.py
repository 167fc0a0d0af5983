"""The files that frames become, and which of them exist, in a folder or in a store."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from storage.files import list_names
from storage.location import Location, Url

from ..pictures.compose import OutputType
from ..shards import hash_text
from .earlier import is_whole
from .names import stem_of


@dataclass(frozen=True)
class Outputs:
    """The files that frames become."""

    dir: Location
    types: tuple[OutputType, ...]
    alike: set[str]
    """Names of frames that keep their extension, because others differ in nothing else."""

    def paths(self, name: str) -> dict[OutputType, Location]:
        """The file of each type."""
        stem = name if name in self.alike else stem_of(name)
        return {kind: self.dir / kind / f"{stem}.png" for kind in self.types}


class Existing:
    """The files in the folders of output types; of a store 8 bytes for each.

    Args:
        folder: the output folder.
        types: names of folders in it.
    """

    def __init__(self, folder: Location, types: Sequence[str]) -> None:
        self._keys = np.array([], np.uint64)
        if isinstance(folder, Url):
            self._keys = np.sort(np.array(array("Q", _hash_names(folder, types)), np.uint64))

    def __contains__(self, path: Location) -> bool:
        if not isinstance(path, Url):
            return os.path.lexists(path)
        key = np.uint64(hash_text(str(path)))
        place = int(np.searchsorted(self._keys, key))
        return place < len(self._keys) and bool(self._keys[place] == key)

    @staticmethod
    def is_whole(path: Location) -> bool:
        """Whether an existing output is complete; in a store it always is."""
        return isinstance(path, Url) or is_whole(path)


def _hash_names(folder: Url, types: Sequence[str]) -> Iterator[int]:
    for kind in types:
        for entry in list_names(folder / kind):
            yield hash_text(str(folder / kind / entry.name))

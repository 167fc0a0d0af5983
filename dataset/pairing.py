"""Pairs the pictures of two folders by relative path and stem."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np

from media import MediaError

AnyPath = TypeVar("AnyPath", bound=PurePath)


class DatasetError(MediaError):
    """Data that can't be trained on; the message names the file or folder and the cause."""


@dataclass(frozen=True)
class Pairing:
    """The result of pairing two folders."""

    matched: dict[Path, Path]  # partner of each picture that has one
    unmatched: dict[Path, str]  # why each of the other pictures has none
    unused: list[Path]  # partners without a picture


def stem_key(path: PurePath, root: PurePath) -> str:
    """Names a picture by its path below `root`, a folder or the file itself, without extension.

    The name is Unicode-normalised, because file systems spell accented letters differently.
    """
    relative = PurePath(path.name) if path == root else path.relative_to(root)
    return unicodedata.normalize("NFC", relative.with_suffix("").as_posix())


def pair_by_stem(
    pictures: list[Path], root: Path, partners: list[Path], partner_root: Path
) -> Pairing:
    """Pairs every picture with the only partner of the same relative path and stem.

    If there are several, it is the only one with the same extension too.
    """
    candidates: dict[str, list[Path]] = defaultdict(list)
    for partner in partners:
        candidates[stem_key(partner, partner_root)].append(partner)
    matched: dict[Path, Path] = {}
    unmatched: dict[Path, str] = {}
    used = set()
    for picture in pictures:
        key = stem_key(picture, root)
        found = candidates.get(key, [])
        chosen = found[0] if len(found) == 1 else find_namesake(picture.name, found)
        if chosen:
            matched[picture] = chosen
            used.add(chosen)
        elif found:
            names = ", ".join(path.name for path in found)
            unmatched[picture] = f"several pictures named {key} in {partner_root}: {names}"
            used.update(found)
        else:
            unmatched[picture] = f"no picture named {key} in {partner_root}"
    unused = [path for paths in candidates.values() for path in paths if path not in used]
    return Pairing(matched, unmatched, unused)


def find_namesake(name: str, found: Sequence[AnyPath]) -> AnyPath | None:
    """Finds the only file of a name: exactly, else ignoring case and Unicode spelling."""
    for alike in (str, _fold):
        same = [path for path in found if alike(path.name) == alike(name)]
        if len(same) == 1:
            return same[0]
    return None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def check_sizes(fgr: Path, fgr_size: tuple[int, ...], pha: Path, pha_size: tuple[int, ...]) -> None:
    """Raises a DatasetError unless the (height, width) of a foreground and its alpha agree."""
    if tuple(fgr_size) != tuple(pha_size):
        sizes = [f"{width} x {height}" for height, width in (fgr_size, pha_size)]
        raise DatasetError(
            f"{fgr} is {sizes[0]} pixels and {pha} {sizes[1]}; both must have the same size"
        )


class FilePaths:
    """Paths stored in one `bytes`; 500,000 `Path`s would take 200 MB in every worker."""

    def __init__(self, paths: list[Path]) -> None:
        names = [os.fsencode(path) for path in paths]
        self._names = b"".join(names)
        self._ends = np.cumsum([0, *map(len, names)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Path:
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in [0, {len(self)}), got {index}")
        return Path(os.fsdecode(self._names[self._ends[index] : self._ends[index + 1]]))

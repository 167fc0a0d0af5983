"""Pairs the pictures of two folders by relative path and stem."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Generic, TypeVar

from storage.location import Location

from . import DatasetError
from .files import File, RemoteFile

AnyFile = TypeVar("AnyFile", bound=PurePath | RemoteFile)


@dataclass(frozen=True)
class Pairing(Generic[AnyFile]):
    """The result of pairing two folders."""

    matched: dict[AnyFile, AnyFile]  # partner of each picture that has one
    unmatched: dict[AnyFile, str]  # why each of the other pictures has none
    unused: list[AnyFile]  # partners without a picture


def stem_key(path: PurePath | RemoteFile, root: PurePath | Location) -> str:
    """Names a picture by its path below `root`, a folder or the file itself, without extension.

    The name is Unicode-normalised, because file systems spell accented letters differently.
    """
    if isinstance(path, RemoteFile):
        relative: PurePath = PurePosixPath(path.relative)
    else:
        relative = PurePath(path.name) if path == root else path.relative_to(str(root))
    return unicodedata.normalize("NFC", relative.with_suffix("").as_posix())


def pair_by_stem(
    pictures: list[AnyFile], root: Location, partners: list[AnyFile], partner_root: Location
) -> Pairing[AnyFile]:
    """Pairs every picture with the only partner of the same relative path and stem.

    If there are several, it is the only one with the same extension too.
    """
    candidates: dict[str, list[AnyFile]] = defaultdict(list)
    for partner in partners:
        candidates[stem_key(partner, partner_root)].append(partner)
    matched: dict[AnyFile, AnyFile] = {}
    unmatched: dict[AnyFile, str] = {}
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


def find_namesake(name: str, found: Sequence[AnyFile]) -> AnyFile | None:
    """Finds the only file of a name: exactly, else ignoring case and Unicode spelling."""
    for alike in (str, _fold):
        same = [path for path in found if alike(path.name) == alike(name)]
        if len(same) == 1:
            return same[0]
    return None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def check_sizes(fgr: File, fgr_size: tuple[int, ...], pha: File, pha_size: tuple[int, ...]) -> None:
    """Raises a DatasetError unless the (height, width) of a foreground and its alpha agree."""
    if tuple(fgr_size) != tuple(pha_size):
        sizes = [f"{width} x {height}" for height, width in (fgr_size, pha_size)]
        raise DatasetError(
            f"{fgr} is {sizes[0]} pixels and {pha} {sizes[1]}; both must have the same size"
        )

"""Training files: foregrounds (pairs of pictures, RGBA, pairs of clips), and backgrounds."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.clips import CLIP_EXTENSIONS
from media.fast_pictures import EncodedPicture, read_rgb
from media.listing import EXTENSIONS
from storage.location import Location

from . import CHECK, DatasetError
from .cache import Cache
from .clip_pairs import RUN_LENGTH, ClipPairs, index_pairs
from .files import File, FilePaths, Files, list_files, local
from .pairing import check_sizes, pair_by_stem
from .settings import SourceSettings

__all__ = ["RUN_LENGTH", "Backgrounds", "DatasetError", "Foregrounds", "open_source"]

_NAMED = 3  # files that an error lists


class Foregrounds(Protocol):
    """Foregrounds with alpha, by index; picklable, for the workers of a loader."""

    @property
    def runs(self) -> tuple[range, ...]:
        """Ranges of indices to read in order: a picture, or up to `RUN_LENGTH` frames of a clip."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Names a foreground in messages: its file, and the frame of a clip."""

    def read(self, index: int, shorter_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Reads (H, W, 3) uint8 RGB, straight colours, and (H, W) uint8 alpha; index from 0.

        With `shorter_side`, JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size, as long as the
        shorter side keeps at least this many pixels.

        Raises:
            MediaError: when a file can't be read, or the two differ in size.
        """


@dataclass(frozen=True)
class FoundFiles:
    """The files of a source."""

    kind: str  # pictures, rgba or clips
    pairs: list[tuple[File, File]]  # foreground and alpha, sorted; the same file twice for rgba
    unpaired: dict[File, str]  # why each of the other files has no partner
    left_out: dict[File, str]  # why files that look like such data can't be used


def open_source(settings: SourceSettings, cache: Cache | None = None) -> Foregrounds:
    """Opens a source of foregrounds in files, and indexes the frames of clips.

    Files at URLs are listed once, here, and fetched into the cache when they are read; clips are
    fetched here too, to index their frames.

    Raises:
        MediaError: when a folder is missing or empty, files are unpaired or can't be used, or a
            clip is unreadable.
    """
    found = find_files(settings, cache)
    _refuse_left_out(found.left_out, settings)
    if found.unpaired:
        raise DatasetError(
            f"{len(found.unpaired)} files of {settings} have no partner: "
            f"{_name_reasons(found.unpaired)}. "
            f"Remove them or add their partners; `{CHECK}` lists them all"
        )
    if found.kind == "clips":
        return ClipPairs(found.pairs, index_pairs(found.pairs))
    return PicturePairs(found.pairs) if found.kind == "pictures" else RgbaPictures(found.pairs)


def _refuse_left_out(left_out: dict[File, str], where: object) -> None:
    if left_out:
        raise DatasetError(
            f"{len(left_out)} files or folders of {where} can't be used: "
            f"{_name_reasons(left_out)}. "
            f"Convert or remove them; `{CHECK}` lists them all"
        )


def _name_reasons(reasons: dict[File, str]) -> str:
    named = [f"{path}: {why}" for path, why in reasons.items()][:_NAMED]
    named += [f"and {len(reasons) - _NAMED} more"] if len(reasons) > _NAMED else []
    return "; ".join(named)


def find_files(settings: SourceSettings, cache: Cache | None = None) -> FoundFiles:
    """Lists and pairs the files of a source that is not synthetic; see `open_source`.

    Raises:
        MediaError: when a folder is missing, is empty or has both pictures and clips; or when no
            file has a partner.
    """
    if settings.rgba is not None:
        listing, kind = _list_kind(settings.rgba, cache)
        if kind == "clips":
            raise DatasetError(
                f"{settings.rgba} has clips; a folder given as rgba must have RGBA pictures"
            )
        pairs = [(path, path) for path in listing.pictures]
        return FoundFiles("rgba", pairs, {}, listing.left_out)
    if settings.fgr is None or settings.pha is None:
        raise DatasetError(f"{settings} has no files to open")
    fgrs, kind = _list_kind(settings.fgr, cache)
    phas, pha_kind = _list_kind(settings.pha, cache)
    if kind != pha_kind:
        raise DatasetError(
            f"{settings.fgr} has {kind}, {settings.pha} {pha_kind}; both must have the same kind"
        )
    if fgrs.pictures == [settings.fgr] and phas.pictures == [settings.pha]:  # single files
        return FoundFiles(kind, [(fgrs.pictures[0], phas.pictures[0])], {}, {})
    pairing = pair_by_stem(fgrs.pictures, settings.fgr, phas.pictures, settings.pha)
    unused = dict.fromkeys(pairing.unused, f"no foreground of that name in {settings.fgr}")
    if not pairing.matched:
        raise DatasetError(
            f"no file of {settings.fgr} has a partner of the same relative path and name in "
            f"{settings.pha}; the first files are {fgrs.pictures[0]} and {phas.pictures[0]}"
        )
    left_out = fgrs.left_out | phas.left_out
    return FoundFiles(kind, list(pairing.matched.items()), pairing.unmatched | unused, left_out)


def _list_kind(root: Location, cache: Cache | None) -> tuple[Files, str]:
    listing = list_files(root, cache or Cache(), EXTENSIONS | CLIP_EXTENSIONS)
    files = reversed(listing.pictures)
    kinds = {path.suffix.lower() in CLIP_EXTENSIONS: path for path in files}
    if len(kinds) == 2:
        both = f"such as {kinds[True]} and {kinds[False]}"
        raise DatasetError(f"{root} has clips and pictures, {both}; put them into separate folders")
    return listing, "clips" if True in kinds else "pictures"


class PicturePairs:
    """Foregrounds and alphas in separate picture files; see `Foregrounds`."""

    def __init__(self, pairs: list[tuple[File, File]]) -> None:
        self._fgrs = FilePaths([fgr for fgr, _ in pairs])
        self._phas = FilePaths([pha for _, pha in pairs])
        self.runs = tuple(range(index, index + 1) for index in range(len(pairs)))

    def __len__(self) -> int:
        return len(self._fgrs)

    def name(self, index: int) -> str:
        return str(self._fgrs[index])

    def read(self, index: int, shorter_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        files = self._fgrs[index], self._phas[index]
        with local(files[0]) as fgr_path, local(files[1]) as pha_path:
            fgr, pha = EncodedPicture(fgr_path), EncodedPicture(pha_path)
            check_sizes(files[0], fgr.size, files[1], pha.size)
            # If one is a PNG and the other a JPEG, both are reduced by the same divisor.
            reduction = max(fgr.reduction(shorter_side), pha.reduction(shorter_side))
            return fgr.rgb(reduction), pha.alpha(reduction)


class RgbaPictures(PicturePairs):
    """Foregrounds with their alpha channel; see `Foregrounds`."""

    def read(self, index: int, shorter_side: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        file = self._fgrs[index]
        with local(file) as path:
            channels = EncodedPicture(path).channels()
        if channels.ndim == 2 or channels.shape[2] != 4:
            raise DatasetError(
                f"{file}: has no alpha channel; a folder given as rgba must have RGBA pictures"
            )
        return np.ascontiguousarray(channels[..., :3]), np.ascontiguousarray(channels[..., 3])


class Backgrounds:
    """Photographs as backgrounds, in an order shuffled by a seed; picklable.

    Args:
        folders: folders of pictures, with their subfolders, or single files; URLs of folders.
        seed: determines the order and the choices.
        cache: for files at URLs; None is the default one.

    Raises:
        MediaError: when a folder is missing, has no picture, or has files that can't be used.
    """

    def __init__(
        self, folders: tuple[Location, ...], seed: int, cache: Cache | None = None
    ) -> None:
        paths: list[File] = []
        for folder in folders:
            listing = list_files(folder, cache or Cache())
            _refuse_left_out(listing.left_out, folder)
            paths += listing.pictures
        if not paths:
            raise DatasetError("backgrounds: name at least one folder of photographs, got none")
        order = np.random.default_rng(seed).permutation(len(paths))
        self._paths = FilePaths([paths[index] for index in order])
        self._seed = seed

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        """Names a photograph in messages: its file."""
        return str(self._paths[index])

    def choose(self, index: int, epoch: int) -> int:
        """Chooses one for a foreground's index: a different one every epoch until all were used."""
        first = np.random.default_rng((self._seed, index)).integers(len(self))
        return int(first + epoch) % len(self)

    def read(self, index: int, shorter_side: int | None = None) -> np.ndarray:
        """Reads a photograph by index, from 0; see `media.fast_pictures.read_rgb`."""
        with local(self._paths[index]) as path:
            return read_rgb(path, shorter_side)

    def file(self, index: int) -> File:
        """The file of a photograph, by index."""
        return self._paths[index]

"""Photographs to put foregrounds before."""

from pathlib import Path

import numpy as np

from media.fast_pictures import read_rgb
from media.pictures import list_pictures

from .pairing import DatasetError, FilePaths


class Backgrounds:
    """Photographs of one or more folders, in an order shuffled by a seed; picklable.

    Args:
        folders: folders of pictures, with their subfolders, or single files.
        seed: gives the order, and the choices.

    Raises:
        MediaError: when a folder is missing or holds no picture.
    """

    def __init__(self, folders: tuple[Path, ...], seed: int) -> None:
        paths = [path for folder in folders for path in list_pictures(folder)]
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
        """Chooses the photograph for a foreground: another one every epoch until all were met.

        Args:
            index: of the foreground.
            epoch: 0 or more.

        Returns:
            The index of a photograph.
        """
        first = np.random.default_rng((self._seed, index)).integers(len(self))
        return int(first + epoch) % len(self)

    def read(self, index: int, shorter_side: int | None = None) -> np.ndarray:
        """Reads a photograph, 0 to the length - 1; see `media.fast_pictures.read_rgb`."""
        return read_rgb(self._paths[index], shorter_side)

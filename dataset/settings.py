"""Settings of the data: foregrounds and backgrounds of a training run."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from runtime.settings import REQUIRED, SettingsError, settings_group
from storage.location import AnyLocation, OptionalLocation

from .cache import Cache


@settings_group()
class SourceSettings:
    """One source of foregrounds: `fgr` and `pha`, or `rgba`, or `synthetic`."""

    fgr: OptionalLocation = None
    """Folder of pictures (with subfolders) or of clips (mp4, mov, mkv, webm, avi), or a file. This
    and the others may be URLs of folders, such as s3://bucket/folder."""
    pha: OptionalLocation = None
    """Folder of alphas with the same structure, paired by relative path and stem."""
    rgba: OptionalLocation = None
    """Folder of RGBA pictures with straight alpha, or a file."""
    synthetic: Annotated[int, Field(ge=0)] = 0
    """Number of drawn foregrounds per epoch."""
    repeat: Annotated[int, Field(ge=1)] = 1
    """How often an epoch uses the source."""

    def __post_init__(self) -> None:
        if (self.fgr is None) != (self.pha is None):
            present, missing = ("pha", "fgr") if self.fgr is None else ("fgr", "pha")
            raise ValueError(f"a source with {present} needs {missing} too")
        kinds = {"fgr and pha": self.fgr, "rgba": self.rgba, "synthetic": self.synthetic or None}
        given = [kind for kind, value in kinds.items() if value is not None]
        if len(given) != 1:
            got = ", ".join(given) or "none of them"
            raise ValueError(f"a source needs one of fgr and pha, rgba, synthetic; got {got}")

    def __str__(self) -> str:
        if self.synthetic:
            return f"synthetic {self.synthetic}"
        return f"rgba {self.rgba}" if self.rgba else f"fgr {self.fgr} with pha {self.pha}"


@settings_group()
class SplitSettings:
    """The sources of a data set."""

    train: tuple[SourceSettings, ...]
    """Sources to train on."""
    valid: tuple[SourceSettings, ...]
    """Sources to validate on."""

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("train must name at least one source, got none")


@settings_group("dataset")
class DatasetSettings:
    """The data of a run."""

    name: str = REQUIRED
    """Name of one of the data sets in the settings file."""
    datasets: tyro.conf.Suppress[dict[str, SplitSettings]] = field(default_factory=dict)
    """Sources of each data set by name; only in the settings file."""
    train_backgrounds: tuple[AnyLocation, ...] = ()
    """Folders of photographs to use as backgrounds in training. If none is given, backgrounds are
    drawn."""
    valid_backgrounds: tuple[AnyLocation, ...] = ()
    """Folders of photographs to use as backgrounds in validation. If none is given, backgrounds are
    drawn."""
    cache_dir: Path = Cache.folder
    """Folder for files of data sets at URLs, best on a disk of this machine. Its processes and runs
    share it."""
    cache_gb: Annotated[float, Field(gt=0)] = Cache.limit / 1e9
    """Size of that folder in GB. The least recently used files are removed from it."""

    @property
    def cache(self) -> Cache:
        """The folder for files at URLs, with its limit."""
        return Cache(self.cache_dir, int(self.cache_gb * 1e9))

    def split(self) -> SplitSettings:
        """Looks up the sources of the data set called `name`, or raises a SettingsError."""
        if self.name not in self.datasets:
            known = ", ".join(self.datasets) or "none; give a settings file with `dataset.datasets`"
            raise SettingsError(f"unknown data set '{self.name}' (dataset.name); known: {known}")
        return self.datasets[self.name]

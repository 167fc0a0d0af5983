"""Settings of the data: which foregrounds and backgrounds a training run reads."""

from dataclasses import field
from pathlib import Path

import tyro

from runtime.settings import REQUIRED, SettingsError, settings_group


@settings_group()
class SourceSettings:
    """One source of foregrounds: `fgr` and `pha`, or `rgba`, or `synthetic`.

    Attributes:
        fgr: Folder of pictures (with subfolders) or of clips (mp4, mov, mkv, webm, avi), or a file.
        pha: The same tree of alphas, paired by relative path and stem.
        rgba: Folder of RGBA pictures with straight alpha, or a file.
        synthetic: Drawn foregrounds an epoch.
        repeat: Times that an epoch passes over the source.
    """

    fgr: Path | None = None
    pha: Path | None = None
    rgba: Path | None = None
    synthetic: int = 0
    repeat: int = 1

    def __post_init__(self) -> None:
        if self.synthetic < 0 or self.repeat < 1:
            raise ValueError(
                "synthetic must be 0 or more and repeat 1 or more, got "
                f"synthetic {self.synthetic} and repeat {self.repeat}"
            )
        if (self.fgr is None) != (self.pha is None):
            present, missing = ("pha", "fgr") if self.fgr is None else ("fgr", "pha")
            raise ValueError(f"a source with {present} needs {missing} too, its pair")
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
    """The sources of a data set.

    Attributes:
        train: What the network learns from.
        valid: What it is measured on.
    """

    train: tuple[SourceSettings, ...]
    valid: tuple[SourceSettings, ...]

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("train must name at least one source, got none")


@settings_group("dataset")
class DatasetSettings:
    """The data of a run.

    Attributes:
        name: Which of the data sets that the settings file describes.
        datasets: Every data set's sources by name; only in the settings file.
        train_backgrounds: Folders of photographs to train before; none: drawn ones.
        valid_backgrounds: Folders of photographs to validate before; none: drawn ones.
    """

    name: str = REQUIRED
    datasets: tyro.conf.Suppress[dict[str, SplitSettings]] = field(default_factory=dict)
    train_backgrounds: tuple[Path, ...] = ()
    valid_backgrounds: tuple[Path, ...] = ()

    def split(self) -> SplitSettings:
        """Looks up the data set called `name`.

        Returns:
            Its sources.

        Raises:
            SettingsError: when the settings file describes none of that name.
        """
        if self.name not in self.datasets:
            known = ", ".join(self.datasets) or "none; give a settings file with `dataset.datasets`"
            raise SettingsError(f"unknown data set '{self.name}' (dataset.name); known: {known}")
        return self.datasets[self.name]

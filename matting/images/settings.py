"""Settings of a run over photographs, on one machine or a cluster."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

import tyro

from runtime.files import OnExisting
from runtime.settings import settings_group
from storage.location import OptionalText

from ..pictures.target import Target, find_target
from ..plate.prepare import Preprocess, PreprocessMode
from ..quality import Quality
from ..settings import ComputeSettings, ImagesSettings, ModelSettings, OutputSettings
from ..shards import Shard, parse_shard


@settings_group()
class Settings:
    """All settings of the script."""

    images: ImagesSettings = field(default_factory=ImagesSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "best"
    """Work per picture. auto chooses backbone scale and refined pixels by the picture's size. best
    adds a second pass on a larger, mirrored picture: better mattes, several times slower. fast
    takes less time than auto for mattes that are less exact. hd and 4k are the paper's presets.
    --model-backbone-scale and --model-refine-sample-pixels override it."""
    preprocess: PreprocessMode = "auto"
    """auto compares each frame with its plate, reports what is wrong with the capture, and aligns
    the plate or matches its exposure where needed. none does only what --preprocess-alignment and
    --preprocess-exposure ask for."""
    preprocess_alignment: bool = False
    """Align the plate to each frame (hand-held camera), whatever the check finds. If that is not
    safe, the plate stays unchanged and the report says why."""
    preprocess_exposure: bool = False
    """Match the plate's exposure and white balance to each frame, whatever the check finds. If that
    is not safe, the plate stays unchanged and the report says why."""
    target_bgr: OptionalText = None
    """New background of com and sheet: a colour (green, #00b140), a picture, a folder of pictures
    paired with the frames by relative path and stem (or their URL), or blur (the plate blurred)."""
    on_existing: OnExisting = "error"
    """Outputs that exist: skip keeps them and makes only missing ones; overwrite replaces them;
    error stops before any work."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Same as --on-existing overwrite, and overrides it."""
    shard: str | None = None
    """I/N: matte part I, from 0 to N - 1, of N parts of the frames, chosen by a hash of their names
    below --images-src. Each part writes its own summary-I-of-N.json; `matting merge-summaries` adds
    them up."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""

    @property
    def plates(self) -> Preprocess:
        """The preparation of plates."""
        return Preprocess(self.preprocess, self.preprocess_alignment, self.preprocess_exposure)

    def find_target(self) -> Target:
        """The new background; errors as `pictures.target.find_target`."""
        return Target("none") if self.target_bgr is None else find_target(self.target_bgr)

    def find_shard(self) -> Shard:
        """The part of the frames; ValueError if it is not I/N."""
        return parse_shard(self.shard)

    @property
    def existing(self) -> OnExisting:
        """What to do with outputs that exist, by both settings."""
        return "overwrite" if self.overwrite else self.on_existing

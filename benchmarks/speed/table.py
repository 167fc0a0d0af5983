"""The paper's table of speeds with ours beside, and a plot of seconds over the size of a frame."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from benchmarks.speed.inputs import make_noise
from benchmarks.speed.network import Speed, measure_speed
from benchmarks.speed.settings import MeasureSettings
from matting.predictor import Predictor
from matting.quality import HD, UHD_4K, Budget
from matting.settings import ModelSettings
from model.matting import Backbone
from runtime.files import whole


@dataclass(frozen=True)
class Preset:
    """A size of frames and the paper's work for it.

    Attributes:
        name: in the table.
        width: pixels.
        height: pixels.
        budget: the work.
    """

    name: str
    width: int
    height: int
    budget: Budget


PRESETS = (Preset("HD", 1920, 1080, HD), Preset("4K", 3840, 2160, UHD_4K))
# Frames a second and GMac of a frame. Source: the paper, table 3, float32 and batch 1.
PUBLISHED_ON = "RTX 2080 Ti"
PUBLISHED: dict[tuple[Backbone, str], tuple[float, float]] = {
    ("resnet50", "HD"): (60.0, 34.3),
    ("resnet50", "4K"): (33.2, 41.5),
    ("resnet101", "HD"): (42.5, 44.0),
    ("resnet101", "4K"): (29.8, 51.2),
    ("mobilenetv2", "HD"): (100.6, 9.9),
    ("mobilenetv2", "4K"): (45.4, 17.0),
}
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
PLOTTED = {"720p": (1280, 720), "HD": (1920, 1080), "4K": (3840, 2160), "8K": (7680, 4320)}

TABLE_HEAD = """\
| backbone | preset | scale, pixels | frames/s | RTX 2080 Ti (paper) | GMac | paper |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        backbone: of the network.
        preset: size and work.
        speed: ours.
    """

    backbone: Backbone
    preset: Preset
    speed: Speed

    @property
    def published(self) -> tuple[float, float]:
        """Frames a second and GMac, as the paper has them."""
        return PUBLISHED[self.backbone, self.preset.name]

    def figures(self, peak: float) -> dict[str, Any]:
        """Says it in numbers; see `Speed.figures`."""
        frames_per_second, gmac = self.published
        return {
            **{"backbone": self.backbone, "preset": self.preset.name},
            **self.speed.figures(peak),
            **{"published_frames_per_second": frames_per_second, "published_gmac": gmac},
        }

    def to_markdown(self) -> str:
        """Writes the row below `TABLE_HEAD`."""
        budget, (frames_per_second, gmac) = self.preset.budget, self.published
        cells = (
            self.backbone,
            self.preset.name,
            f"1/{1 / budget.backbone_scale:g}, {budget.refine_sample_pixels:,}",
            f"{self.speed.batch_size / self.speed.timing.mean:.2f}",
            f"{frames_per_second}",
            f"{self.speed.macs / 1e9:.1f}",
            f"{gmac}",
        )
        return f"| {' | '.join(cells)} |"


def measure_row(
    backbone: Backbone, preset: Preset, predictor: Predictor, measure: MeasureSettings
) -> Row:
    """Times a network on noise by one of the paper's presets.

    Args:
        backbone: of the predictor's network.
        preset: size and work.
        predictor: runs it.
        measure: how often, in batches of which size.

    Returns:
        The row.
    """
    budget = preset.budget
    model = replace(
        ModelSettings(),
        backbone_scale=budget.backbone_scale,
        refine_sample_pixels=budget.refine_sample_pixels,
    )
    src, bgr = make_noise(preset.width, preset.height, measure.batch_size, predictor.device)
    return Row(backbone, preset, measure_speed(predictor, src, bgr, model, measure))


def measure_sizes(
    predictor: Predictor, model: ModelSettings, measure: MeasureSettings
) -> Iterator[tuple[str, Speed]]:
    """Times a network on noise from 720p to 8K; the coarse input stays of one size.

    Args:
        predictor: runs it.
        model: scale and pixels, where they are given; else the coarse input is of 480 x 270 pixels.
        measure: how often, in batches of which size.

    Yields:
        The size's name and the speed, one after the other.
    """
    for name, (width, height) in PLOTTED.items():
        src, bgr = make_noise(width, height, measure.batch_size, predictor.device)
        yield name, measure_speed(predictor, src, bgr, model, measure)


def check_plot(path: Path) -> None:
    """Checks that a plot can be drawn, before anything is measured for it.

    Args:
        path: where to.

    Raises:
        ValueError: when it is no PNG or matplotlib is missing.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"--plot writes PNG, got {path}; name it {path.with_suffix('.png')}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "--plot needs matplotlib; run `pip install matplotlib`, or leave out --plot"
        )


def draw_plot(path: Path, speeds: dict[str, Speed], title: str) -> None:
    """Draws seconds of a frame over its megapixels, as PNG.

    Args:
        path: where; an existing file is replaced.
        speeds: by name of the size.
        title: what was measured.

    Raises:
        OSError: when it can't be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    megapixels = [speed.width * speed.height / 1e6 for speed in speeds.values()]
    seconds = [speed.timing.mean / speed.batch_size for speed in speeds.values()]
    axes.plot(megapixels, seconds, marker="o")
    for index, (name, x, y) in enumerate(zip(speeds, megapixels, seconds, strict=True)):
        above_or_below = (0, -16) if index % 2 else (0, 8)  # 720p and HD are neighbours
        axes.annotate(name, (x, y), above_or_below, textcoords="offset points", ha="center")
    axes.set(title=title, xlabel="megapixels of a frame", ylabel="seconds a frame")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    with whole(path) as partial:
        figure.savefig(partial, format="png", dpi=120)

"""The paper's table of speeds compared with ours, and a plot of seconds by frame size."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from benchmarks.speed.frames import make_noise
from benchmarks.speed.network import Opened, print_network
from benchmarks.speed.settings import MeasureSettings
from benchmarks.speed.speed import Speed, format_figures, measure_speed, note_disturbance
from matting.predictor import Predictor
from matting.quality import HD, UHD_4K, Budget
from matting.settings import ModelSettings
from model.matting import Backbone
from runtime.device import describe_device
from runtime.files import whole
from runtime.wording import visible


@dataclass(frozen=True)
class Preset:
    """A frame size in pixels, with the paper's scale and pixels for it."""

    name: str
    width: int
    height: int
    budget: Budget


PRESETS = (Preset("HD", 1920, 1080, HD), Preset("4K", 3840, 2160, UHD_4K))
# Frames per second and GMac per frame. Source: the paper, table 3, float32 and batch 1.
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


def measure_table(
    model: ModelSettings,
    open_one: Callable[[ModelSettings], Opened],
    measure: MeasureSettings,
    peak: float,
) -> list[dict[str, Any]]:
    """Times each backbone, opened by `open_one`, with each preset on noise; prints the table.

    Returns:
        For each row: properties of the network, `backbone` and `preset`, `Speed.figures`, and the
        paper's `published_frames_per_second` and `published_gmac`.
    """
    print(TABLE_HEAD)
    rows: list[dict[str, Any]] = []
    speeds: dict[str, Speed] = {}
    for backbone in BACKBONES:
        predictor, about = open_one(replace(model, backbone=backbone))
        for preset in PRESETS:
            speed = speeds[f"{backbone} {preset.name}"] = measure_preset(predictor, preset, measure)
            rate, gmac = PUBLISHED[backbone, preset.name]
            rows.append(
                about
                | {"backbone": backbone, "preset": preset.name}
                | speed.figures(peak)
                | {"published_frames_per_second": rate, "published_gmac": gmac}
            )
            print(_to_markdown(rows[-1]), flush=True)
    for note in dict.fromkeys(f"{row['backbone']}: {n}" for row in rows for n in row["notes"]):
        print(f"note: {note}")
    note_disturbance(speeds)
    return rows


def measure_preset(predictor: Predictor, preset: Preset, measure: MeasureSettings) -> Speed:
    """Times a network on noise with one of the paper's presets; see `measure_speed`."""
    budget = preset.budget
    model = replace(
        ModelSettings(),
        backbone_scale=budget.backbone_scale,
        refine_sample_pixels=budget.refine_sample_pixels,
    )
    src, bgr = make_noise(preset.width, preset.height, measure.batch_size, predictor.device)
    return measure_speed(predictor, src, bgr, model, measure)


def measure_plot(
    path: Path, opened: Opened, model: ModelSettings, measure: MeasureSettings, peak: float
) -> dict[str, Any]:
    """Times a network on noise from 720p to 8K, prints the figures and draws the PNG.

    If `model` gives no scale, the coarse input has 480 x 270 pixels at every size.

    Returns:
        Properties of the network, and `sizes`: `Speed.figures` by the size's name.

    Raises:
        OSError: when the plot can't be written.
    """
    predictor, about = print_network(opened)
    speeds = {}
    for name, (width, height) in PLOTTED.items():
        src, bgr = make_noise(width, height, measure.batch_size, predictor.device)
        speeds[name] = measure_speed(predictor, src, bgr, model, measure)
        print(f"{name}\n{format_figures(speeds[name].figures(peak))}", flush=True)
    _draw_plot(path, speeds, f"{about['network']}\n{describe_device(predictor.device)}")
    print(visible(f"plot: {path}"))
    about["notes"] += note_disturbance(speeds)
    return {**about, "sizes": {name: speed.figures(peak) for name, speed in speeds.items()}}


def check_plot(path: Path) -> None:
    """Checks that a plot can be drawn; call it before measuring.

    Raises:
        ValueError: when `path` is not a PNG or matplotlib is missing.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"--plot writes PNG, got {path}; name it {path.with_suffix('.png')}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "--plot needs matplotlib; run `pip install matplotlib`, or leave out --plot"
        )


def _to_markdown(row: dict[str, Any]) -> str:
    cells = (
        row["backbone"],
        row["preset"],
        f"1/{1 / row['backbone_scale']:g}, {row['refine_sample_pixels']:,}",
        f"{row['frames_per_second']:.2f}",
        row["published_frames_per_second"],
        f"{row['gmac']:.1f}",
        row["published_gmac"],
    )
    return f"| {' | '.join(map(str, cells))} |"


def _draw_plot(path: Path, speeds: dict[str, Speed], title: str) -> None:
    """Draws seconds per frame over megapixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    works = [speed.work for speed in speeds.values()]
    megapixels = [work["width"] * work["height"] / 1e6 for work in works]
    seconds = [speed.timing.mean / speed.work["batch_size"] for speed in speeds.values()]
    axes.plot(megapixels, seconds, marker="o")
    for index, (name, x, y) in enumerate(zip(speeds, megapixels, seconds, strict=True)):
        above_or_below = (0, -16) if index % 2 else (0, 8)  # labels would overlap
        axes.annotate(name, (x, y), above_or_below, textcoords="offset points", ha="center")
    axes.set(title=title, xlabel="megapixels per frame", ylabel="seconds per frame")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    with whole(path) as partial:
        figure.savefig(partial, format="png", dpi=120)

"""Time the network alone, from files to files (--end-to-end), or as the paper's table (--table).

Example: python inference_speed_test.py --model-backbone mobilenetv2 --resolution 1920 1080
"""

import json
import sys
from dataclasses import field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import tyro

from benchmarks.speed import table as speed_table
from benchmarks.speed.cuda_graphs import replayed
from benchmarks.speed.end_to_end import format_rates, measure_end_to_end, plan_pictures
from benchmarks.speed.inputs import describe_machine, load_frames, open_predictor
from benchmarks.speed.network import format_figures, measure_speed, summarise
from benchmarks.speed.settings import (
    MeasureSettings,
    ModeSettings,
    PictureSettings,
    check_modes,
    check_new_file,
    check_resolution,
)
from benchmarks.speed.timing import measure_peak
from matting.settings import ComputeSettings, ModelSettings
from model import MattingRefine
from runtime.device import describe_device, precision_note, resolve_device
from runtime.files import write_whole
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml


@settings_group()
class Settings:
    """All settings of the script.

    The shipped weights are used where they fit the network that is asked for, else random ones: the
    speed depends on them only by which cells are refined.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        json: File for all that is printed.
        overwrite: Replace the files of --json and --plot.
        print_config: Print the resolved settings as YAML and stop.
    """

    measure: MeasureSettings = field(default_factory=MeasureSettings)
    image: PictureSettings = field(default_factory=PictureSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    mode: ModeSettings = field(default_factory=ModeSettings)
    json: Path | None = None
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    config: Path | None = None
    print_config: bool = False


def main() -> int:
    """Runs the script; returns its exit code."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    try:
        measure_all(settings)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        reason = str(error).split("\n")[0]
        print(f"error: use a smaller --resolution or --batch-size: {reason}", file=sys.stderr)
        return 2
    return 0


def measure_all(settings: Settings) -> None:
    """Measures what is asked for, prints it and writes it as JSON."""
    device, precision = resolve_device(settings.compute.device), settings.compute.precision
    plot = settings.mode.plot
    check_modes(settings.mode, settings.measure, settings.image, settings.model, device)
    for flag, path in (("--plot", plot), ("--json", settings.json)):
        if path:
            check_new_file(flag, path, settings.overwrite)
    if plot:
        speed_table.check_plot(plot)
    machine = describe_machine(device, settings.compute.backend)
    slow = precision_note(device, precision)
    # What emulates a precision computes in float32.
    peak = measure_peak(device, "float32" if slow else precision)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"device {machine['device']}, {machine['system']}, {versions}")
    print(f"precision {precision}, measured peak {peak / 1e9:.1f} GFLOP/s")
    if slow:
        print(f"note: {slow}")

    result: dict[str, Any] = {"machine": machine, "peak_gflops": peak / 1e9, "note": slow}
    if settings.mode.table:
        result["table"] = measure_table(settings, device, peak)
    elif settings.mode.end_to_end:
        result["end_to_end"] = measure_files(settings, device)
    elif not plot:
        result["speed"] = measure_network(settings, device, peak)
    if plot:
        result["plot"] = measure_plot(settings, plot, device, peak)
    if settings.json:
        result["settings"] = to_plain(settings)
        text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
        write_whole(settings.json, text.encode(errors="backslashreplace"))
        print(f"all of this is in {settings.json}")


def measure_network(settings: Settings, device: torch.device, peak: float) -> dict[str, Any]:
    """Times the network alone, on noise or on every picture."""
    model, measure = settings.model, settings.measure
    noise = settings.image.src is None
    predictor, about = open_predictor(model, settings.compute, measure, device, noise)
    if measure.resolution:
        check_resolution(*measure.resolution, isinstance(predictor.network, MattingRefine))
    tell(about)
    speeds = {
        name: measure_speed(predictor, src, bgr, model, measure)
        for name, src, bgr in load_frames(
            settings.image, measure, device, settings.mode.to_preprocess()
        )
    }
    figures = summarise(list(speeds.values()), peak)
    print(format_figures(figures))
    each = {name: speed.figures(peak) for name, speed in speeds.items()}
    return {**about, **figures, "frames": each}


def measure_table(settings: Settings, device: torch.device, peak: float) -> list[dict[str, Any]]:
    """Times the networks and presets of the paper's table, and prints it row by row."""
    print(speed_table.TABLE_HEAD)
    rows: list[dict[str, Any]] = []
    for backbone in speed_table.BACKBONES:
        model = replace(settings.model, backbone=backbone)
        predictor, about = open_predictor(model, settings.compute, settings.measure, device, True)
        for preset in speed_table.PRESETS:
            row = speed_table.measure_row(backbone, preset, predictor, settings.measure)
            print(row.to_markdown(), flush=True)
            rows.append({**about, **row.figures(peak)})
    for note in dict.fromkeys(f"{row['backbone']}: {n}" for row in rows for n in row["notes"]):
        print(f"note: {note}")
    return rows


def measure_files(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Times decoding, computing and encoding, together and each alone."""
    image, model, measure = settings.image, settings.model, settings.measure
    predictor, about = open_predictor(model, settings.compute, measure, device, False)
    tell(about)
    graphs = replayed(predictor.network, predictor.precision, measure.cuda_graphs)
    with TemporaryDirectory() as folder, graphs:
        rates = measure_end_to_end(
            plan_pictures(image, Path(folder)),
            *(predictor, model),
            preprocess=settings.mode.to_preprocess(),
            workers=settings.compute.num_workers,
            frames=measure.iterations,
        )
    print(format_rates(rates))
    return {**about, **rates}


def measure_plot(
    settings: Settings, path: Path, device: torch.device, peak: float
) -> dict[str, Any]:
    """Times the network on noise from 720p to 8K and draws the plot."""
    model, measure = settings.model, settings.measure
    predictor, about = open_predictor(model, settings.compute, measure, device, True)
    tell(about)
    sizes = {}
    for name, speed in speed_table.measure_sizes(predictor, model, measure):
        sizes[name] = speed
        print(f"{name}\n{format_figures(speed.figures(peak))}", flush=True)
    speed_table.draw_plot(path, sizes, f"{about['network']}\n{describe_device(device)}")
    print(f"plot: {path}")
    return {**about, "sizes": {name: speed.figures(peak) for name, speed in sizes.items()}}


def tell(about: dict[str, Any]) -> None:
    """Prints what is timed."""
    print(f"{about['network']}, weights {about['weights']}, backend {about['backend']}")
    if about["parity"] is not None:
        print(f"coarse alpha differs from PyTorch's by {about['parity']:.1e} at most, on noise")
    for note in about["notes"]:
        print(f"note: {note}")


if __name__ == "__main__":
    sys.exit(run_script(main))

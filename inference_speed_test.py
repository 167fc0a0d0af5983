"""Time the network alone, files to files (--end-to-end), or the paper's table (--table).

Example: python inference_speed_test.py --model-backbone mobilenetv2 --resolution 1920 1080
"""

import sys
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import tyro

from benchmarks.speed.end_to_end import format_rates, measure_end_to_end
from benchmarks.speed.frames import load_frames, plan_pictures
from benchmarks.speed.network import Opened, measure_machine, open_predictor, print_network
from benchmarks.speed.settings import (
    MeasureSettings,
    ModeSettings,
    PictureSettings,
    check_modes,
    check_new_file,
)
from benchmarks.speed.speed import measure_frames
from benchmarks.speed.table import check_plot, measure_plot, measure_table
from matting.settings import ComputeSettings, ModelSettings
from runtime.device import resolve_device
from runtime.files import write_whole
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml
from runtime.wording import hide_folders, to_json, visible


@settings_group()
class Settings:
    """All settings of the script.

    Uses the included weights if they fit the requested network, else random ones. Weights affect
    the speed only through which cells are refined.
    """

    measure: MeasureSettings = field(default_factory=MeasureSettings)
    image: PictureSettings = field(default_factory=PictureSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    mode: ModeSettings = field(default_factory=ModeSettings)
    json: Path | None = None
    """Also write everything that is printed to this file."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Replace the files of --json and --plot."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


def main() -> int:
    """Runs the script; returns its exit code."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    device = resolve_device(settings.compute.device)
    check_modes(settings.mode, settings.measure, settings.image, settings.model)
    for flag, path in (("--plot", settings.mode.plot), ("--json", settings.json)):
        if path:
            check_new_file(flag, path, settings.overwrite)
    if settings.mode.plot:
        check_plot(settings.mode.plot)
    try:
        result = measure_all(settings, device)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        reason = str(error).split("\n")[0]
        text = f"error: use a smaller --resolution or --batch-size: {reason}"
        print(visible(text), file=sys.stderr)
        return 2
    if settings.json:
        plain = to_plain(settings)
        write_whole(settings.json, to_json(hide_folders(result | {"settings": plain}, plain)))
        print(visible(f"everything above is in {settings.json}"))
    return 0


def measure_all(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Runs the requested measurements and prints the figures; returns them for JSON."""
    mode, compute, measure = settings.mode, settings.compute, settings.measure
    facts, peak = measure_machine(device, compute)

    def open_one(model: ModelSettings, noise: bool = True) -> Opened:
        return open_predictor(model, compute, measure, device, noise)

    if mode.table:
        facts["table"] = measure_table(settings.model, open_one, measure, peak)
    elif mode.end_to_end:
        predictor, about = print_network(open_one(settings.model, noise=False))
        with TemporaryDirectory() as folder:
            jobs = plan_pictures(settings.image, Path(folder))
            way = settings.model, mode.to_preprocess(), compute.num_workers, measure.iterations
            facts["end_to_end"] = about | measure_end_to_end(jobs, predictor, *way)
        print(format_rates(facts["end_to_end"]))
    elif not mode.plot:
        opened = print_network(open_one(settings.model, settings.image.src is None))
        frames = load_frames(settings.image, measure, device, mode.to_preprocess())
        facts["speed"] = measure_frames(frames, opened, settings.model, measure, peak)
    if mode.plot:
        opened = open_one(settings.model)
        facts["plot"] = measure_plot(mode.plot, opened, settings.model, measure, peak)
    return facts


if __name__ == "__main__":
    sys.exit(run_script(main))

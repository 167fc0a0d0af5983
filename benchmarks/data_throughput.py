"""Samples per second of the data pipeline on one core, compared with the authors' transforms.

    python -m benchmarks.data_throughput                  # a table
    python -m benchmarks.data_throughput --json out.json  # and the figures as JSON

Both read the same HD JPEGs (foreground, alpha, background) and apply the whole published recipe for
crops of 512 x 512 (stage 1) and 2048 x 2048 (stage 2), alternately, on one thread. Of the authors'
code, their package's data workers are timed. Their package has no counterpart of our work on the
device, so that is timed separately and added for a second, stricter comparison.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from BackgroundMattingV2.dataset import ImagesDataset, ZipDataset
from BackgroundMattingV2.dataset import augmentation as authors
from torch.utils.data import default_collate
from torchvision import transforms

from benchmarks.pictures import write_hd_pictures
from dataset import samples as samples_module
from dataset.augmentation import AugmentationSettings
from dataset.changes import ForegroundSettings
from dataset.disturbances.optics import PlatePosition
from dataset.disturbances.plate_colour import PlateColour
from dataset.disturbances.recording import Noise
from dataset.disturbances.scene import Shadow
from dataset.samples import Request, Samples
from dataset.settings import SourceSettings
from dataset.sources import Backgrounds, open_source
from dataset.synthesis import synthesise

STAGES = {"stage 1": (512, (0.4, 1.0)), "stage 2": (2048, (0.3, 1.0))}
CPU = torch.device("cpu")
# Parts that are timed: name in the report, and the functions whose time it sums.
WORKER_PARTS = {
    "warp": tuple(
        (samples_module, name) for name in ("warp_foreground", "warp_background", "reduce_picture")
    ),
    "colours": ((samples_module, "change_colours"),),
    "blur, sharpen": ((samples_module, "blur_and_sharpen"),),
    "planes": ((samples_module, "_planes"),),
}
DEVICE_PARTS = {
    "shadow": ((Shadow, "apply"),),
    "plate position": ((PlatePosition, "apply"),),
    "plate colours": ((PlateColour, "apply"),),
    "noise": ((Noise, "apply"),),
}


def make_ours(root: Path, scale: tuple[float, float]) -> Samples:
    """Opens the pictures in the same way as training.

    Args:
        root: with the folders fgr, pha and bgr.
        scale: of the foreground.

    Returns:
        Samples of the published recipe.
    """
    source = open_source(SourceSettings(fgr=root / "fgr", pha=root / "pha"))
    recipe = replace(AugmentationSettings(), foreground=ForegroundSettings(scale=scale))
    return Samples([source], Backgrounds((root / "bgr",), 0), recipe, seed=0)


def make_theirs(root: Path, size: int, scale: tuple[float, float]) -> Any:
    """Composes the authors' transforms and data sets in the order of their recipe.

    Args:
        root: with the folders fgr, pha and bgr.
        size: of the crop, pixels.
        scale: of the foreground.

    Returns:
        Their data set of ((alpha, foreground), background).
    """
    bounds: dict[str, Any] = {"degrees": (-5, 5), "translate": (0.1, 0.1), "shear": (-5, 5)}
    jitter = transforms.ColorJitter(0.15, 0.15, 0.15, 0.05)
    pair = authors.PairCompose(
        [
            authors.PairRandomAffineAndResize((size, size), scale=scale, **bounds),
            authors.PairRandomHorizontalFlip(),
            authors.PairRandomBoxBlur(0.1, 5),
            authors.PairRandomSharpen(0.1),
            authors.PairApplyOnlyAtIndices([1], jitter),
            authors.PairApply(transforms.ToTensor()),
        ]
    )
    single = transforms.Compose(
        [
            authors.RandomAffineAndResize((size, size), scale=(1, 2), **bounds),
            transforms.RandomHorizontalFlip(),
            authors.RandomBoxBlur(0.1, 5),
            authors.RandomSharpen(0.1),
            jitter,
            transforms.ToTensor(),
        ]
    )
    alphas = ImagesDataset(str(root / "pha"), mode="L")
    foregrounds = ImagesDataset(str(root / "fgr"), mode="RGB")
    backgrounds = ImagesDataset(str(root / "bgr"), mode="RGB", transforms=single)
    pairs = ZipDataset([alphas, foregrounds], transforms=pair, assert_equal_length=True)
    return ZipDataset([pairs, backgrounds])


@contextmanager
def timed_parts(
    parts: Mapping[str, tuple[tuple[Any, str], ...]],
) -> Iterator[dict[str, float]]:
    """Sums the time spent in functions, which it replaces by timed ones inside the block.

    Args:
        parts: by name in the report, modules or classes with names of their functions.

    Yields:
        Seconds by name of the report.
    """
    spent: dict[str, float] = defaultdict(float)
    originals: list[tuple[Any, str, Any]] = []

    def wrap(part: str, function: Callable) -> Callable:
        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args)
            finally:
                spent[part] += time.perf_counter() - start

        return timed

    try:
        for part, functions in parts.items():
            for owner, name in functions:
                originals.append((owner, name, vars(owner)[name]))
                setattr(owner, name, wrap(part, getattr(owner, name)))
        yield spent
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def measure_parts(ours: Samples, size: int, count: int) -> dict[str, dict[str, float]]:
    """Measures the time of each part of our pipeline.

    Args:
        ours: the samples.
        size: of the crop, pixels.
        count: samples to average.

    Returns:
        Seconds per sample by part, for the worker and for the device.
    """
    requests = [Request(n % len(ours), n // len(ours), size, size) for n in range(count)]
    whole = {"worker": 0.0, "device": 0.0}
    with (
        timed_parts(WORKER_PARTS) as worker,
        timed_parts(DEVICE_PARTS) as device,
    ):
        for request in requests:
            start = time.perf_counter()
            sample = ours[request]
            whole["worker"] += time.perf_counter() - start
            batch = default_collate([sample])
            start = time.perf_counter()
            synthesise(batch, CPU)
            whole["device"] += time.perf_counter() - start
    worker["decoding and rest"] = whole["worker"] - sum(worker.values())
    device["float, composite and rest"] = whole["device"] - sum(device.values())
    return {
        "worker": {part: seconds / count for part, seconds in worker.items()},
        "device": {part: seconds / count for part, seconds in device.items()},
    }


def measure_stage(root: Path, size: int, scale: tuple[float, float], count: int) -> dict[str, Any]:
    """Times both pipelines alternately.

    Args:
        root: with the folders fgr, pha and bgr.
        size: of the crop, pixels.
        scale: of the foreground.
        count: samples of each.

    Returns:
        Seconds per sample (medians and means), ratios, and seconds of the parts of ours.
    """
    ours, theirs = make_ours(root, scale), make_theirs(root, size, scale)
    seconds: dict[str, list[float]] = {"worker": [], "device": [], "authors": []}
    for n in range(-2, count):  # two to warm up
        request = Request(n % len(ours), n + 2, size, size)
        start = time.perf_counter()
        sample = ours[request]
        done = time.perf_counter()
        batch = default_collate([sample])
        begun = time.perf_counter()
        synthesise(batch, CPU)
        composed = time.perf_counter()
        theirs[n % len(ours)]
        end = time.perf_counter()
        if n >= 0:
            seconds["worker"].append(done - start)
            seconds["device"].append(composed - begun)
            seconds["authors"].append(end - composed)
    seconds["both"] = [sum(pair) for pair in zip(seconds["worker"], seconds["device"], strict=True)]
    figures: dict[str, Any] = {"size": size, "samples": count}
    for what in (statistics.median, statistics.mean):
        of = {name: what(values) for name, values in seconds.items()}
        figures[what.__name__] = of | {
            "ratio worker": of["authors"] / of["worker"],
            "ratio both": of["authors"] / of["both"],
        }
    return figures | {"parts": measure_parts(ours, size, max(8, count // 2))}


def print_stage(name: str, figures: dict[str, Any]) -> None:
    """Prints the table of a stage.

    Args:
        name: of the stage.
        figures: as `measure_stage` returns them.
    """
    print(f"\n{name}, {figures['size']} px, {figures['samples']} samples each, one thread")
    print(f"{'':36}{'median s':>10}{'mean s':>10}{'samples/s':>11}{'ratio':>7}")
    rows = (
        ("authors' data worker", "authors", None),
        ("our data worker", "worker", "ratio worker"),
        ("our device part, on the CPU", "device", None),
        ("our data worker and device part", "both", "ratio both"),
    )
    for label, key, ratio in rows:
        median, mean = figures["median"][key], figures["mean"][key]
        times = f"{figures['median'][ratio]:7.1f}" if ratio else ""
        print(f"{label:36}{median:10.4f}{mean:10.4f}{1 / median:11.1f}{times}")
    for place, parts in figures["parts"].items():
        ranked = sorted(parts.items(), key=lambda item: -item[1])
        told = ", ".join(f"{part} {seconds * 1000:.1f}" for part, seconds in ranked)
        print(f"  {place}, mean ms: {told}")


def main() -> None:
    """Measures both stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=40, help="samples per pipeline and stage")
    parser.add_argument("--mattes", type=Path, help="folder of NAME_fgr.png and NAME_pha.png")
    parser.add_argument("--backgrounds", type=Path, help="folder of photographs")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    report: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_hd_pictures(root, args.mattes, args.backgrounds)
        for name, (size, scale) in STAGES.items():
            count = args.samples if size < 1000 else max(5, args.samples // 2)
            report[name] = measure_stage(root, size, scale, count)
            print_stage(name, report[name])
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

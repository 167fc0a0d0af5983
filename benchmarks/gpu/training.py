"""Samples per second of both training stages, on drawn foregrounds and backgrounds.

Example: python -m benchmarks.gpu.training --device cuda --json training.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from matting.settings import DEFAULT_CHECKPOINT

# Crop in pixels and samples of a step, as in the published recipe.
STAGES = {"train_base.py": (512, 8), "train_refine.py": (2048, 4)}
_INTERVAL = 8  # steps of a figure; the last one counts, after what happens once
NAMES = ("samples_per_second", "data_wait_share", "peak_memory_gib")
HEAD = """\
| program | crop | samples a step | samples/s | waiting for data | memory |
|---|---|---|---|---|---|"""


def measure(
    script: str, crop: int, batch_size: int, steps: int, device: str, workers: int
) -> dict[str, float]:
    """Trains for some steps in a process of its own, and returns the figures of the last ones.

    Raises:
        subprocess.CalledProcessError: when training fails; its messages are on the terminal.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "dataset": {
                "name": "drawn",
                "datasets": {
                    "drawn": {
                        "train": [{"synthetic": steps * batch_size}],
                        "valid": [{"synthetic": 1}],
                    }
                },
            },
            "model": {
                "name": "gpu",
                "backbone": "mobilenetv2",
                "initial_checkpoint": str(DEFAULT_CHECKPOINT),
            },
            "crop": {"smallest": crop, "largest": crop, "multiple": 16},
            "learning_rates": {"backbone": 1e-5, "aspp": 1e-5, "decoder": 1e-5},
            "run": {
                "batch_size": batch_size,
                "num_workers": workers,
                "epoch_end": 1,
                "device": device,
                "checkpoint_dir": f"{folder}/checkpoint",
            },
            "log": {"dir": f"{folder}/log", "train_loss_interval": min(_INTERVAL, steps)},
            "validation": {"samples": 1, "size": 64, "batch_size": 1},
        }
        if script == "train_refine.py":
            settings["learning_rates"]["refiner"] = 1e-5
        path = Path(folder) / "settings.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [sys.executable, script, "--config", str(path)]
        subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - our own script
        log = EventAccumulator(str(Path(folder, "log", "gpu"))).Reload()
        return {name: log.Scalars(f"speed/{name}")[-1].value for name in NAMES}


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--num-workers", type=int, default=12)
    parser.add_argument(
        "--crops", nargs=2, type=int, help="of the two stages, instead of 512, 2048"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    rows = {}
    print(HEAD, flush=True)
    for i, (script, (crop, batch_size)) in enumerate(STAGES.items()):
        crop = args.crops[i] if args.crops else crop
        row = measure(script, crop, batch_size, args.steps, args.device, args.num_workers)
        rows[script] = row | {"crop": crop, "batch_size": batch_size}
        rate, waiting, memory = (row[name] for name in NAMES)
        print(
            f"| `{script}` | {crop} | {batch_size} | {rate:.1f} | {waiting:.0%} | "
            f"{memory:.1f} GiB |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

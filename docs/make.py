"""Remake the pictures and tables of the documentation.

Example: python -m docs.make --write
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from docs.making.augmentation import make_augmentation
from docs.making.curve import make_curve
from docs.making.demo import make_sheet, make_speed, make_webcam
from docs.making.hair import make_hair
from docs.making.sources import ROOT, MissingSourceError, Sources
from docs.making.synthetic import make_synthetic
from docs.making.tables import PAGE, make_performance
from docs.making.video import make_jobs, make_strip
from matting.settings import DEFAULT_CHECKPOINT
from runtime.files import write_whole
from runtime.script import run_script

SHARED = ROOT.parent / "shared" / "data"
PICTURES = ROOT / "docs" / "pictures"
RECORD = "made.json"  # sha256 of the weights that each was made with

# By the shipped weights; what is drawn or measured without them.
BY_WEIGHTS: dict[str, Callable[[Sources, Path], None]] = {
    "hair.webp": make_hair,
    "portrait.png": make_sheet,
    "lawn.png": make_sheet,
    "webcam.jpg": make_webcam,
    "video.jpg": make_strip,
    "video_jobs.jpg": make_jobs,
    PAGE.name: make_performance,
}
OTHERS: dict[str, Callable[[Sources, Path], None]] = {
    "synthetic.png": make_synthetic,
    "augmentation.png": make_augmentation,
    "speed.png": make_speed,
    "training_base.png": make_curve,
}
MAKERS = BY_WEIGHTS | OTHERS


def main() -> int:
    """Runs the program; returns its exit code: 1 if one that was named could not be made."""
    args = parse()
    sources = Sources(args.photographs, args.clip, args.log)
    folder: Path = PICTURES if args.write else args.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    left_out = []
    for name in args.only or MAKERS:
        path = PAGE if args.write and name == PAGE.name else folder / name
        try:
            MAKERS[name](sources, path)
        except MissingSourceError as error:
            left_out.append(name)
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        if name in BY_WEIGHTS:
            record(folder / RECORD, name)
        print(path)
    return 1 if args.only and left_out else 0


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--write", action="store_true", help="replace those of docs/")
    where.add_argument("--output-dir", type=Path, help="folder to write them to instead")
    parser.add_argument("--only", nargs="+", choices=list(MAKERS), help="make these alone")
    parser.add_argument("--photographs", type=Path, default=SHARED / "backgrounds")
    parser.add_argument("--clip", type=Path, default=SHARED / "video" / "static_camera.avi")
    parser.add_argument("--log", type=Path, help="log of a run of configs/synthetic_base.yaml")
    return parser.parse_args()


def hash_weights() -> str:
    """Returns the sha256 of the shipped weights."""
    return hashlib.sha256(DEFAULT_CHECKPOINT.read_bytes()).hexdigest()


def record(path: Path, name: str) -> None:
    """Records by which weights something was made, beside what is recorded."""
    made = json.loads(path.read_text("utf-8")) if path.exists() else {}
    text = json.dumps(made | {name: hash_weights()}, indent=2, sort_keys=True)
    write_whole(path, f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(run_script(main))

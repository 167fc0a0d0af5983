"""A folder with small files of the names in the pages' commands, and the programs on its path."""

import os
import shlex
import stat
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import ENVIRONMENT, Clips, Photographs
from tests.docs.pages import ROOT
from tests.matting.exported.small import write_small

HEIGHT, WIDTH = 96, 128
WEIGHTS = ROOT / "weights" / "mattingrefine_mobilenetv2.safetensors"

# Flags behind which a name is written to, and not read.
WRITTEN = ("--output-dir", "--record", "--json", "--plot", "--picture")

# `ffmpeg -i CLIP -f rawvideo -pix_fmt rgb24 -`, for machines without it.
FFMPEG = """
import sys, av
for frame in av.open(sys.argv[2]).decode(video=0):
    sys.stdout.buffer.write(frame.to_ndarray(format="rgb24").tobytes())
"""


def picture(path: Path, subject: bool = False, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Writes a plate, or the frame with a subject before it."""
    plate = Photographs.plate(height, width)
    Photographs.save(path, Photographs.frame(plate) if subject else plate)


def folder(subject: bool, *names: str) -> Callable[[Path], None]:
    """Makes a folder of pictures of these names."""
    return lambda path: [picture(path / name, subject) for name in names]


def clip(count: int, height: int = HEIGHT, width: int = WIDTH) -> Callable[[Path], None]:
    """Makes a clip whose first frame is the empty plate."""

    def write(path: Path) -> None:
        pictures = [Photographs.plate(height, width), *Clips.moving(count - 1, height, width)]
        codec = "rawvideo" if path.suffix == ".avi" else "libx264"
        Clips.write(path, pictures, codec=codec)

    return write


def camera(path: Path) -> None:
    """Makes a clip for a countdown of ten seconds and a plate of 60 frames, at 5 a second."""
    still = [Photographs.plate(48, 64)] * 110
    Clips.write(path, still + Clips.moving(10), time_base=Fraction(1, 5))


def nameless_clip(path: Path) -> None:
    """Makes a clip of five seconds without an extension."""
    named = path.with_suffix(".mp4")
    clip(130)(named)
    named.rename(path)


def alphas(path: Path) -> None:
    """Makes a folder of two alphas."""
    for name in ("a.png", "b.png"):
        alpha = Photographs.disc(HEIGHT, WIDTH).astype(np.uint8) * 255
        Photographs.save(path / name, alpha)


def clip_alphas(path: Path) -> None:
    """Makes a folder with a folder of alphas, a clip's."""
    alphas(path / "clip")


def trimaps(path: Path) -> None:
    """Makes a folder of two trimaps, unknown everywhere."""
    for name in ("a.png", "b.png"):
        Photographs.save(path / name, np.full((HEIGHT, WIDTH), 128, np.uint8))


def mattes(path: Path) -> None:
    """Makes NAME_fgr.png and NAME_pha.png of two subjects."""
    alpha = Photographs.disc(HEIGHT, WIDTH).astype(np.uint8) * 255
    for name, colour in (("a", (205, 60, 40)), ("b", (30, 60, 200))):
        Photographs.save(path / f"{name}_pha.png", alpha)
        Photographs.save(path / f"{name}_fgr.png", np.full((HEIGHT, WIDTH, 3), colour, np.uint8))


def pairs(path: Path) -> None:
    """Makes plate.png, NAME_src.png and NAME_reference.png of a subject."""
    picture(path / "a_src.png", subject=True)
    picture(path / "plate.png")
    alpha = Photographs.disc(HEIGHT, WIDTH).astype(np.uint8) * 255
    Photographs.save(path / "a_reference.png", alpha)


def settings(path: Path) -> None:
    """Makes a file of settings as README describes it."""
    path.write_text("target-bgr: green\n", "utf-8")


def weights(path: Path) -> None:
    """Makes a checkpoint of the project's weights."""
    torch.save(load_file(WEIGHTS), path)


def small_export(path: Path) -> None:
    """Makes an export that computes next to nothing, with its card."""
    path.parent.mkdir(exist_ok=True)
    write_small(path)


FILES: dict[str, Callable[[Path], object]] = {
    "photos": folder(True, "a.png", "b.png"),
    "plates": folder(False, "a.png", "b.png"),
    "new": folder(False, "a.png", "b.png"),
    "frame.jpg": lambda path: picture(path, subject=True),
    **dict.fromkeys(("plate.jpg", "beach.jpg", "empty.jpg"), picture),
    "webcam/plate-20260102-101500.png": lambda path: picture(path, False, 48, 64),
    **dict.fromkeys(("clip.mp4", "phone.mov", "waves.mp4"), clip(4)),
    "clip.avi": clip(35),
    "footage": lambda path: [clip(4)(path / name) for name in ("a.mp4", "b.mp4")],
    "frames": folder(True, "0.png", "1.png"),
    "hd.mp4": clip(2, 1080, 1920),
    "empty-hd.jpg": lambda path: picture(path, False, 1080, 1920),
    "camera.mp4": camera,
    "mine.yaml": settings,
    **dict.fromkeys(("mattes/pha", "truth/pha"), alphas),
    **dict.fromkeys(("mattes/fgr", "truth/fgr"), folder(True, "a.png", "b.png")),
    **dict.fromkeys(("clips/pha", "truth/clips"), clip_alphas),
    "trimaps": trimaps,
    # Words in capitals stand for folders and files of the reader's.
    **dict.fromkeys(("PHOTOGRAPHS", "OTHERS", "HELD_OUT"), folder(False, "b.png", "c.png")),
    "MATTES": mattes,
    "PAIRS": pairs,
    "CLIP": nameless_clip,
    **dict.fromkeys(("weights.pth", "RUN", "BEFORE", "COUNTED"), weights),
    "exported/dynamic-blocks-float32.onnx": small_export,
    "checkpoint/stage4_resnet50/best.pth": weights,
    "checkpoint/synthetic_refine/best.pth": weights,
}


def make_workplace(root: Path) -> Path:
    """Makes a folder like a checkout, and a folder `bin` of programs for the path."""
    root.mkdir(exist_ok=True)
    for path in (ROOT / "configs", *ROOT.glob("*.py")):
        (root / path.name).symlink_to(path)
    for path in (ROOT / "demo").glob("*/*.jpg"):
        small = root / path.relative_to(ROOT)
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as opened:
            opened.reduce(4).save(small)
    python, programs = shlex.quote(sys.executable), root / "bin"
    programs.mkdir()
    (programs / "ffmpeg.py").write_text(FFMPEG, "utf-8")
    for name, line in {
        "python": f'{python} "$@"',
        "matting": f'{python} -m matting "$@"',
        "torchrun": f'{python} -m torch.distributed.run "$@"',
        "ffmpeg": f'{python} {shlex.quote(str(programs / "ffmpeg.py"))} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\nexec {line}\n", "utf-8")
        (programs / name).chmod(stat.S_IRWXU)
    return root


def environment(root: Path) -> dict[str, str]:
    """The variables for a shell in a workplace."""
    path = os.pathsep.join((str(root / "bin"), ENVIRONMENT["PATH"]))
    return ENVIRONMENT | {"PATH": path, "PYTHONPATH": str(ROOT)}


def make_files(root: Path, commands: tuple[str, ...]) -> None:
    """Makes the files that commands read, where none of these has made them."""
    words = [word for command in commands for word in ["", *shlex.split(command.replace("=", " "))]]
    for before, word in pairwise(words):
        name = word.rstrip("/")
        if name in FILES and before not in WRITTEN and not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            FILES[name](root / name)

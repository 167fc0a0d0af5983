"""The stages of the GPU report: what they run, and for how long at most."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from media.pictures import read_picture
from runtime.files import SHIPPED


@dataclass(frozen=True)
class Stage:
    """A program of this repository.

    Attributes:
        name: in the report.
        arguments: of Python.
        limit: seconds after which it is killed.
        json: file that it writes, whose content the report takes over.
    """

    name: str
    arguments: tuple[str, ...]
    limit: int
    json: Path | None = None


def plan_stages(device: str, quick: bool, folder: Path) -> list[Stage]:
    """Lists the stages, of 20 minutes at most, and makes the clips that they read.

    Args:
        device: `cuda`, or `cpu` to rehearse; the tests that need CUDA are then only collected.
        quick: small input.
        folder: for clips and JSON.

    Raises:
        OSError: when a clip can't be written.
    """
    on = "--device", device
    small = ["--resolution", "192", "128"]
    network = [*small, "--calls", "1", "--precisions", "float32"] if quick else []
    training = ["--steps", "2", "--num-workers", "1", "--crops", "64", "128"] if quick else []
    timing = ["--warm-up", "10", "--iterations", "100", "--table"]
    if quick:
        timing = ["--warm-up", "0", "--iterations", "1", *small]
    tests = ["tests/model/cuda"] if quick else []
    tests += ["--collect-only"] if device == "cpu" else []
    # Half precision is emulated on CPUs.
    half = "float16" if device == "cuda" else "float32"
    stages = [
        Stage("tests", ("-m", "pytest", "-m", "gpu", "-q", *tests), 240),
        _with_json("network", ("-m", "benchmarks.gpu.network", *on, *network), 300, folder),
        *(
            _with_json(
                f"table, {precision}",
                ("inference_speed_test.py", *on, "--precision", precision, *timing),
                150,
                folder,
            )
            for precision in dict.fromkeys((half, "float32"))
        ),
    ]
    sizes = {"small": (192, 128)} if quick else {"HD": (1920, 1080), "4K": (3840, 2160)}
    frames = 6 if quick else 120
    for name, (width, height) in sizes.items():
        clip, plate = make_clip(folder, name, width, height, frames)
        read = "-m", "benchmarks.video_end_to_end", str(clip), "--bgr", str(plate)
        counted = "--frames", str(frames), "--rounds", "1", "--precision", half
        stages.append(Stage(f"video files, {name}", (*read, *on, *counted), 100))
    stages.append(
        _with_json("training", ("-m", "benchmarks.gpu.training", *on, *training), 120, folder)
    )
    return stages


def _with_json(name: str, arguments: tuple[str, ...], limit: int, folder: Path) -> Stage:
    path = folder / f"{name.replace(', ', '_')}.json"
    return Stage(name, (*arguments, "--json", str(path)), limit, path)


def make_clip(folder: Path, name: str, width: int, height: int, frames: int) -> tuple[Path, Path]:
    """Writes a clip of a demo frame with noise of a camera, and its plate; returns both paths."""
    demo = SHIPPED / "demo"
    src, bgr = (
        cv2.resize(read_picture(demo / kind / "walk.jpg").pixels, (width, height))
        for kind in ("src", "bgr")
    )
    clip, plate = folder / f"{name}.mp4", folder / f"{name}.png"
    cv2.imwrite(str(plate), bgr[..., ::-1])
    generator = np.random.default_rng(0)
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(frames):
            noise = generator.integers(-3, 4, src.shape, np.int16)
            pixels = np.clip(src + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return clip, plate

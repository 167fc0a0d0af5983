"""Pictures of the programs at work on demo/: contact sheets, the webcam's preview, the speed."""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from docs.making.sources import ROOT, Sources, call_script
from docs.making.video import write_clip
from matting.webcam.window import draw_text
from media.fast_pictures import read_rgb
from media.pictures import write_jpeg

FRAMES = 6  # of the clip that stands in for the camera, ten a second
WEBCAM_SIZE = 720, 540


def make_sheet(sources: Sources, path: Path) -> None:
    """Makes the contact sheet of the demo's photograph with the picture's name."""
    name = f"{path.stem}.jpg"
    with tempfile.TemporaryDirectory() as folder:
        call_script(
            *("inference_images.py", "--config", "configs/demo.yaml", "--output-dir", folder),
            *("--images-src", f"demo/src/{name}", "--images-bgr", f"demo/bgr/{name}"),
        )
        path.write_bytes(Path(folder, "sheet", f"{path.stem}.png").read_bytes())


def make_webcam(sources: Sources, path: Path) -> None:
    """Makes the webcam's preview, the demo's portrait standing in for the camera."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frame = read_rgb(ROOT / "demo/src/portrait.jpg")
        write_clip(root / "camera.mp4", [frame] * FRAMES)
        call_script(
            *("inference_webcam.py", "--camera", root / "camera.mp4", "--camera-pace", "each"),
            *("--plate", ROOT / "demo/bgr/portrait.jpg", "--targets", "blur", "--keys", "0.4:s"),
            *("--preview", "no", "--record", root / "talk.mp4", "--output-dir", root / "out"),
        )
        (snapshot,) = (root / "out").glob("snapshot-*.png")
        summary = json.loads((root / "out/summary.json").read_text("utf-8"))
        speed = summary["images"][0]["details"]["speed"]
        picture = read_rgb(snapshot)
    numbers = f"{speed['latency_p50_ms']:.0f} ms  {speed['frames_per_second']:.1f} frames/s"
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    preview = draw_text(mirrored, [f"{numbers}  0 dropped", "blur"])
    write_jpeg(path, cv2.resize(preview, WEBCAM_SIZE, interpolation=cv2.INTER_AREA))


def make_speed(sources: Sources, path: Path) -> None:
    """Makes the plot of seconds over megapixels, as measured on this machine."""
    call_script("inference_speed_test.py", "--plot", path, "--iterations", 3, "--overwrite")

"""The main job on real photographs: hand-held frames, one plate, the default weights."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAIRS = ROOT.parent / "shared" / "data" / "real_pairs"
FRAMES = ("0001", "0500")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PAIRS.is_dir(),
        reason="the photographs (Background-Matting sample data) are not part of the repository",
    ),
]


def alpha(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float64) / 255


def matte_frames(folder: Path, *flags: str) -> dict[str, np.ndarray]:
    """Mattes the frames through the script; alpha of each."""
    source, output = folder / "frames", folder / ("-".join(flags).strip("-") or "plain")
    source.mkdir(exist_ok=True)
    for frame in FRAMES:
        shutil.copy(PAIRS / f"{frame}_src.png", source / f"{frame}.png")
    command = [sys.executable, "inference_images.py", "--output-types", "pha", *flags]
    command += ["--images-src", str(source), "--images-bgr", str(PAIRS / "plate.png")]
    command += ["--output-dir", str(output)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    return {frame: alpha(output / "pha" / f"{frame}.png") for frame in FRAMES}


def mean_differences(alphas: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean absolute differences of alphas to the references."""
    return {frame: float(np.abs(pha - reference(frame)).mean()) for frame, pha in alphas.items()}


def reference(frame: str) -> np.ndarray:
    return alpha(PAIRS / f"{frame}_reference.png")


@pytest.fixture(scope="module")
def automatic(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return matte_frames(tmp_path_factory.mktemp("automatic"))


def test_real_pairs_against_the_reference(tmp_path: Path, automatic: dict[str, np.ndarray]) -> None:
    aligned = mean_differences(matte_frames(tmp_path, "--preprocess-alignment"))
    unaligned = mean_differences(matte_frames(tmp_path, "--preprocess", "none"))
    print()
    for frame in FRAMES:
        print(
            f"{frame}: mean absolute difference to the reference alpha "
            f"{aligned[frame]:.4f} aligned, {unaligned[frame]:.4f} as captured"
        )
    # 0.0033 and 0.0026 were measured; the room is for another machine's rounding.
    assert max(aligned.values()) <= 0.004
    # The check finds the need by itself, and nothing else that would change the plate.
    assert mean_differences(automatic) == aligned
    # The frames need it: otherwise this would not test the alignment.
    assert min(unaligned.values()) >= 0.03


def test_the_person_is_whole_and_alone(automatic: dict[str, np.ndarray]) -> None:
    """No island in the scene, where steam rises and a sill moved, and no hole in the person."""
    for frame, pha in automatic.items():
        true = reference(frame)
        outside, inside = (
            cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5)
            for part in (true <= 0.05, true >= 0.95)
        )
        island = ((pha > 0.5) & (outside > 20)).sum()  # pixels
        trace = ((pha > 0.1) & (outside > 60)).sum()
        hole = ((pha < 0.5) & (inside > 5)).sum()
        print(f"{frame}: {island} pixels of islands, {trace} of faint ones, {hole} of holes")
        assert island == trace == 0
        assert hole <= 20  # of 2 million

"""Makes docs/pictures/video_jobs.jpg: a frame before and after each common job of docs/video.md.

python -m docs.make_video_pictures CLIP PHOTOGRAPH

CLIP is of a camera that stands still (OpenCV's vtest.avi); what a hand-held or an automatic camera
makes of it is computed, with known movement and exposure.
"""

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from matting.webcam.controls import checkerboard
from media.fast_pictures import read_rgb

SHOWN, BEFORE = 547, 11  # the frame that is shown, and how many before it are matted too
SPREAD = 16  # of the clip's frames, one of so many makes the plate
LEFT, TOP, WIDTH, HEIGHT, LABEL = 110, 270, 360, 270, 22
TARGET = Path(__file__).parent / "pictures" / "video_jobs.jpg"
RATE = 10

PLATE = "--video-bgr plate.png"
NEW = "--video-target-bgr new.png"
JOBS = {
    "no plate at hand": f"--video-src spread.mp4 --video-bgr median {NEW}",
    "the first frame is empty": "--video-src empty.mp4 --bgr-from-frame 0 --video-target-bgr green",
    "blur what is behind": f"--video-src clip.mp4 {PLATE} --video-target-bgr blur",
    "another video behind": f"--video-src clip.mp4 {PLATE} --video-target-bgr pan.mp4",
    "hand-held": f"--video-src moved.mp4 {PLATE} {NEW} --preprocess-alignment",
    "automatic exposure": f"--video-src brighter.mp4 {PLATE} {NEW} --preprocess-exposure",
    "alpha for an editor (over checks)": f"--video-src clip.mp4 {PLATE} --codec prores",
    "alpha as pictures": f"--video-src clip.mp4 {PLATE} --output-format image_sequences",
}
PROGRAM = Path(__file__).parents[1] / "inference_video.py"


def main() -> None:
    """Makes the clips, runs the jobs and lays the sheet."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    clip, photograph = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_inputs(root, clip, photograph)
        tiles = []
        for number, (name, arguments) in enumerate(JOBS.items()):
            before = read_frame(root / arguments.split()[1])
            out = root / str(number)
            command = [sys.executable, str(PROGRAM), *arguments.split(), "--output-dir", str(out)]
            subprocess.run(command, cwd=root, check=True)  # noqa: S603 - the words above
            made = sorted(out.glob("com.m*")) or sorted((out / "pha").iterdir())[-1:]
            tiles.append(label(name, np.hstack((before, read_frame(made[0])))))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    cv2.imwrite(str(TARGET), np.vstack(rows)[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 85))
    print(TARGET)


def make_inputs(root: Path, clip: Path, photograph: Path) -> None:
    """Writes the clips and pictures that `JOBS` names into a folder."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    spread = frames[SHOWN % SPREAD :: SPREAD]
    plate = np.percentile(spread, 50, axis=0).astype(np.uint8)
    shown = frames[SHOWN - BEFORE : SHOWN + 1]
    height, width = plate.shape[:2]
    new = cv2.resize(read_rgb(photograph), (width * 5 // 4, height * 5 // 4))
    for name, picture in (("plate.png", plate), ("new.png", new[:height, :width])):
        cv2.imwrite(str(root / name), picture[..., ::-1])
    write_clip(root / "clip.mp4", shown)
    write_clip(root / "empty.mp4", [plate, *shown])
    # Its last frame is the one shown; the plate is the median of all.
    write_clip(
        root / "spread.mp4", [*spread[SHOWN // SPREAD + 1 :], *spread[: SHOWN // SPREAD + 1]]
    )
    share = np.linspace(0, 1, len(shown))
    write_clip(root / "pan.mp4", [new[:height, round(s * 60) :][:, :width] for s in share])
    write_clip(
        root / "moved.mp4", [move(f, 2 * s, 14 * s) for f, s in zip(shown, share, strict=True)]
    )
    write_clip(
        root / "brighter.mp4",
        [cv2.convertScaleAbs(f, alpha=1 + 0.35 * s) for f, s in zip(shown, share, strict=True)],
    )


def move(picture: np.ndarray, degrees: float, pixels: float) -> np.ndarray:
    """Turns a picture about its middle and moves it down to the right."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.06)
    matrix = turn + np.array(((0, 0, pixels), (0, 0, pixels)))
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    """Writes (H, W, 3) uint8 frames as H.264 of high quality."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options={"crf": "8"})
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def read_frame(path: Path) -> np.ndarray:
    """Reads the part that is shown of a picture or of a clip's last frame, over checks."""
    with av.open(str(path)) as container:
        *_, last = container.decode(video=0)
        rgba = last.to_ndarray(format="rgba")[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    checks = checkerboard(HEIGHT, WIDTH) * 255
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + checks * (1 - alpha)).round().astype(np.uint8)


def label(name: str, tile: np.ndarray) -> np.ndarray:
    """Puts a name above a picture."""
    bar = np.full((LABEL, tile.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.pad(np.vstack((bar, tile)), ((0, 4), (2, 2), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()

"""Compares the time of reading clip frames with that of OpenCV, seeking to every frame.

Example: python -m benchmarks.clip_reading clip.mp4
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import av
import cv2
import numpy as np

from dataset.sources import RUN_LENGTH
from media.clips import ClipIndex, IndexedClip, index_clip
from media.colour import ToRgb

DEFAULT = Path("../shared/data/video/moving_camera_person.mp4")
SAMPLED = 20  # one in this many frames is checked to be the right one

Read = Callable[[list[int]], list[np.ndarray]]


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "clip", type=Path, nargs="?", default=DEFAULT, help="drawn if it does not exist"
    )
    parser.add_argument("--frames", type=int, default=48, help="frames per round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = args.clip if args.clip.exists() else draw_clip(Path(folder) / "drawn.mp4")
        start = perf_counter()
        index = index_clip(path)
        indexing = perf_counter() - start
        true = sample_frames(path)
        height, width = next(iter(true.values())).shape[:2]
        print(
            f"{path.name}: {len(index)} frames of {width} x {height}, indexed in {indexing:.3f} s"
        )
        print(
            f"ms per frame, median of {args.rounds} rounds of {args.frames} frames, one thread, "
            "alternating\n"
        )
        for title, orders in plan(len(index), args.frames, args.rounds).items():
            compare(title, orders, path, index)
        wrong = count_wrong(true, lambda numbers: read_ours(path, index, numbers))
        wrong_opencv = count_wrong(true, lambda numbers: read_opencv(path, numbers))
        print(f"\nwrong frames of {len(true) // 3}: ours {wrong}, OpenCV {wrong_opencv}")


def plan(count: int, frames: int, rounds: int) -> dict[str, list[list[int]]]:
    """Chooses the frames to read in each round, for each row of the table; the clip has `count`."""
    rng = np.random.default_rng(0)
    starts = np.arange(0, count - RUN_LENGTH + 1, RUN_LENGTH)

    def runs() -> list[int]:
        chosen = rng.permutation(starts)[: max(1, frames // RUN_LENGTH)]
        return [int(start) + step for start in chosen for step in range(RUN_LENGTH)]

    return {
        "forward": [list(range(min(frames, count))) for _ in range(rounds)],
        f"shuffled runs of {RUN_LENGTH}": [runs() for _ in range(rounds)],
        "shuffled frames": [rng.permutation(count)[:frames].tolist() for _ in range(rounds)],
    }


def compare(title: str, orders: list[list[int]], path: Path, index: ClipIndex) -> None:
    """Prints a row: both readers alternately on the same frames."""
    ours, theirs = [], []
    for numbers in orders:
        start = perf_counter()
        read_ours(path, index, numbers)
        between = perf_counter()
        read_opencv(path, numbers)
        ours.append((between - start) / len(numbers) * 1e3)
        theirs.append((perf_counter() - between) / len(numbers) * 1e3)
    a, b = median(ours), median(theirs)
    print(f"{title:<24}ours {a:7.2f}   OpenCV seek per frame {b:7.2f}   {b / a:5.1f} times")


def read_ours(path: Path, index: ClipIndex, numbers: list[int]) -> list[np.ndarray]:
    """Reads frames as training does, RGB."""
    clip = IndexedClip(path, index)
    frames = [clip.read_rgb(number) for number in numbers]
    clip.close()
    return frames


def read_opencv(path: Path, numbers: list[int]) -> list[np.ndarray]:
    """Seeks to every frame, then reads it, RGB."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    for number in numbers:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    return frames


def sample_frames(path: Path) -> dict[int, np.ndarray]:
    """Decodes the whole clip; returns sampled frames and their neighbours as ground truth."""
    to_rgb = ToRgb(exact=False)
    with av.open(str(path)) as container:
        return {
            number: to_rgb(frame)
            for number, frame in enumerate(container.decode(video=0))
            if number % SAMPLED < 3
        }


def count_wrong(true: dict[int, np.ndarray], read: Read) -> int:
    """Counts sampled frames that were read closer to a neighbour than to the true frame."""
    middles = [n for n in true if n % SAMPLED == 1 and n + 1 in true]
    numbers = np.random.default_rng(1).permutation(middles).tolist()
    wrong = 0
    for number, frame in zip(numbers, read(numbers), strict=True):
        around = (number - 1, number, number + 1)
        distances = [np.abs(frame.astype(int) - true[n]).mean() for n in around]
        wrong += int(np.argmin(distances)) != 1
    return wrong


def draw_clip(path: Path) -> Path:
    """Writes an HD clip of 300 frames of moving noise, with B-frames."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    wide = cv2.resize(noise, (2600, 1080), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(300):
            picture = np.ascontiguousarray(wide[:, 2 * number : 2 * number + 1920])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


if __name__ == "__main__":
    main()

"""Checks that mattes of a fixed camera's clip contain all people and nothing else.

Example: python -m benchmarks.static_camera CLIP --every 20 --picture sheet.png

The plate is the median of the clip. There is no true alpha: areas that differ clearly from the
plate and are tall enough count as people. This works for a fixed camera in daylight.
"""

import argparse
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.methods import OWN, Network, plate_difference
from matting.settings import DEFAULT_CHECKPOINT
from matting.video.attached import SubjectTracker
from matting.video.open import open_source
from matting.video.plate import median_plate
from matting.video.settings import VideoSettings
from media.pictures import write_png

CLEAR = 40  # grey levels of difference from the plate
NEAR = 12  # pixels around clear differences that also count as people: shoes, shadowed edges
COVERED = 0.5  # a person is found if more of their pixels than this have an alpha above 1/2
PLATE_FRAMES = 60
SHOWN = 4  # frames in the picture


class Person(NamedTuple):
    """An area of the frame that differs from the plate.

    Attributes:
        box: left, top, width, height, pixels.
        mask: (H, W) bool of the frame.
    """

    box: tuple[int, int, int, int]
    mask: np.ndarray


def find_people(src: np.ndarray, bgr: np.ndarray, height: int) -> tuple[list[Person], np.ndarray]:
    """Finds people by their difference from the plate.

    Args:
        src: (H, W, 3) uint8, RGB.
        bgr: (H, W, 3) uint8, RGB.
        height: people are taller than this, in pixels.

    Returns:
        People above this height, and (H, W) bool: where nothing differs clearly.
    """
    difference = plate_difference(*(cv2.GaussianBlur(p, (0, 0), 1.5) for p in (src, bgr)))
    clear = cv2.morphologyEx(
        (difference > CLEAR).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8)
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(clear)
    people = [
        Person((left, top, wide, high), (labels == number) & (difference > CLEAR))
        for number, (left, top, wide, high, _) in enumerate(stats.tolist())
        if number and high > height
    ]
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1,) * 2)
    return people, cv2.dilate(clear, near) == 0


def main() -> None:
    """Reads the command line and prints the people found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--every", type=int, default=20, help="use every N-th frame")
    parser.add_argument("--height", type=int, default=40, help="people are taller, in pixels")
    parser.add_argument(
        "--keep-attached", action="store_true", help="empty islands; mattes every frame for this"
    )
    parser.add_argument("--picture", type=Path, help="PNG of the frames with the least covered")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    settings = VideoSettings(args.clip)
    with closing(open_source(settings)) as source:
        plate = median_plate(source, PLATE_FRAMES).pixels
    network = Network(args.checkpoint, OWN["unprepared"])
    tracker = SubjectTracker() if args.keep_attached else None
    covers, empties = [], []
    worst: list[tuple[float, np.ndarray]] = []  # the least covered person of a frame, and the frame
    with closing(open_source(settings)) as source:
        while (frame := source.read()) is not None:
            asked, src = frame.number % args.every == 0, frame.pixels
            pha = network.predict(src, plate) if asked or tracker else None
            if pha is not None and tracker is not None:
                pha = tracker.keep(pha)
            if pha is None or not asked:
                continue
            people, empty = find_people(src, plate, args.height)
            cover = [float((pha[person.mask] > 0.5).mean()) for person in people]
            covers += cover
            empties.append(float(pha[empty].mean()))
            lost = [p.box for p, part in zip(people, cover, strict=True) if part < COVERED]
            parts = ", ".join(f"{part:.0%}" for part in cover)
            print(
                f"frame {frame.number}: {len(people)} people, covered {parts}; "
                f"mean alpha elsewhere {empties[-1]:.5f}" + (f"; LOST at {lost}" if lost else ""),
                flush=True,
            )
            if args.picture:
                worst.append((min(cover, default=1.0), draw(src, pha, people, lost)))
                worst = sorted(worst, key=lambda item: item[0])[:SHOWN]
    found = sum(part >= COVERED for part in covers)
    print(
        f"{len(empties)} frames: {found} of {len(covers)} people found, the least covered "
        f"{min(covers, default=1.0):.0%}; mean alpha elsewhere {np.mean(empties):.5f}, "
        f"at most {max(empties):.5f}"
    )
    if args.picture:
        write_png(args.picture, np.vstack([picture for _, picture in worst]))


def draw(src: np.ndarray, pha: np.ndarray, people: list[Person], lost: list) -> np.ndarray:
    """Draws frame and alpha side by side, with a box around each person, red if not found."""
    grey = cv2.cvtColor((pha * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    both = [src.copy(), grey]
    for picture in both:
        for person in people:
            left, top, wide, high = person.box
            colour = (255, 0, 0) if person.box in lost else (0, 200, 0)
            cv2.rectangle(picture, (left, top), (left + wide, top + high), colour)
    return np.hstack(both)


if __name__ == "__main__":
    main()

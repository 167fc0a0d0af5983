"""Draws what the gate's pictures consist of: scenes, shadows, dark cloth, strands."""

import cv2
import numpy as np

from benchmarks.composites import Pair, Subject

SCENE = 480, 640  # height and width of pictures in which a subject stands
NOISE, QUALITY = 0.004, 92  # of frame and plate: sigma of white, JPEG
HAIR = np.array((60, 40, 30), np.uint8)  # RGB of drawn hair


def place(subject: Subject) -> Subject:
    """Puts a subject into the middle of a scene, standing a tenth above its lower edge."""
    height, width = SCENE
    high, wide = subject.pha.shape
    scale = min(0.6 * height / high, 0.5 * width / wide)
    size = round(wide * scale), round(high * scale)
    top, left = round(0.9 * height) - size[1], (width - size[0]) // 2
    room = (top, height - top - size[1], left, width - left - size[0])
    fgr, pha = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for picture in (subject.fgr, subject.pha)
    )
    return Subject(
        subject.name,
        cv2.copyMakeBorder(fgr, *room, cv2.BORDER_REPLICATE),
        cv2.copyMakeBorder(pha, *room, cv2.BORDER_CONSTANT, value=0),
    )


def cast(pha: np.ndarray, side: int, blur: float) -> np.ndarray:
    """Casts a silhouette to a side, -1 or 1, mirrored and sheared: (H, W) depth in [0, 1]."""
    height, width = pha.shape
    shear = 0.25 * side
    move = width / 2 + side * 0.28 * width
    # Mirrored from left to right about the middle, leaning outwards from the ground.
    matrix = np.array([[-0.9, -shear, move + 0.45 * width + shear * 0.9 * height], [0, 1.0, 0.0]])
    depth = cv2.warpAffine(pha.astype(np.float32) / 255, matrix, (width, height))
    return cv2.GaussianBlur(depth, (0, 0), blur)


def shoot(subject: Subject, plate: np.ndarray, light: np.ndarray, seed: int) -> Pair:
    """Photographs a subject and its plate, with light noise and JPEG.

    Args:
        subject: as large as the plate.
        plate: (H, W, 3) uint8.
        light: (H, W), factor of the plate's light in the frame.
        seed: of the noise.
    """
    alpha = subject.pha / 255
    lit = plate * light[..., None]
    frame = alpha[..., None] * subject.fgr + (1 - alpha[..., None]) * lit
    rng = np.random.default_rng(seed)
    shots = []
    for picture in (frame, plate):
        noisy = picture + 255 * NOISE * rng.standard_normal(picture.shape)
        pixels = (np.clip(noisy, 0, 255) + 0.5).astype(np.uint8)
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        shots.append(
            cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
        )
    return Pair(subject.name, shots[0], shots[1], alpha)


def darken(photograph: np.ndarray, mean: float) -> np.ndarray:
    """Darkens a photograph to a mean in levels, and amplifies faint texture up to three times."""
    picture = photograph.astype(np.float32) * (mean / max(float(photograph.mean()), 1))
    smooth = cv2.GaussianBlur(picture, (0, 0), 8)
    detail = picture - smooth
    gain = np.clip(7 / max(float(np.median(measure_texture(picture))), 0.1), 1, 3)
    # Light areas would not be dark plates: their level is brought down to twice the mean.
    dark = np.minimum(smooth, 2 * mean) + gain * detail
    return (np.clip(dark, 0, 255) + 0.5).astype(np.uint8)


def measure_texture(picture: np.ndarray) -> np.ndarray:
    """Standard deviation of the grey levels of (H, W, 3) over 15 x 15 pixels, (H, W)."""
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    mean, square = (cv2.blur(values, (15, 15)) for values in (grey, np.square(grey)))
    return np.sqrt(np.maximum(square - np.square(mean), 0))


def dress(
    subject: Subject, plate: np.ndarray, difference: int, rng: np.random.Generator
) -> np.ndarray:
    """Colours of a subject in plain cloth, some levels from the mean of the plate behind it.

    Darker than the plate where that is possible and the generator says so. Of the subject's own
    detail 0.1 remains, and there are folds of 2 levels.
    """
    weights = subject.pha / 255
    mean = np.tensordot(weights, plate, 2) / max(float(weights.sum()), 1e-9)
    darker = bool(rng.integers(2)) and mean.min() - difference >= 5
    fgr = subject.fgr.astype(np.float32)
    detail = fgr - cv2.GaussianBlur(fgr, (0, 0), 12)
    folds = cv2.GaussianBlur(rng.standard_normal(subject.pha.shape).astype(np.float32), (0, 0), 25)
    folds = folds * (2 / max(float(folds.std()), 1e-9))
    cloth = mean + (-difference if darker else difference) + 0.1 * detail + folds[..., None]
    return (np.clip(cloth, 0, 255) + 0.5).astype(np.uint8)


def add_hair(subject: Subject, rng: np.random.Generator) -> tuple[Subject, np.ndarray]:
    """Adds 30 strands, 1 to 3 pixels wide and 60 to 140 long, that leave the upper outline.

    Returns:
        The subject, and (H, W) uint8: the alpha of the strands outside of it.
    """
    outlines, _ = cv2.findContours(
        (subject.pha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    rim = np.concatenate([outline[:, 0] for outline in outlines]).astype(np.float64)
    middle = rim.mean(axis=0)
    upper = rim[rim[:, 1] < middle[1]]
    height, width = subject.pha.shape
    # Four times as large: OpenCV's own smooth lines are 2 pixels wider than they should be.
    large = np.zeros((4 * height, 4 * width), np.uint8)
    steps = np.linspace(0, 1, 40)[:, None]
    for root in upper[rng.integers(len(upper), size=30)]:
        out = (root - middle) / max(float(np.linalg.norm(root - middle)), 1)
        side = np.array([-out[1], out[0]]) * rng.uniform(-0.4, 0.4)
        points = root + rng.uniform(60, 140) * (steps * out + np.square(steps) * side)
        cv2.polylines(
            large, [np.round(4 * points).astype(np.int32)], False, 255, int(rng.integers(4, 13))
        )
    hair = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    hair[subject.pha > 0] = 0
    fgr = np.where(hair[..., None] > 0, HAIR, subject.fgr)
    return Subject(subject.name, fgr, np.maximum(subject.pha, hair)), hair

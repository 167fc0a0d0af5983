"""Object-like shapes for synthetic foregrounds: solid, thin, full of holes, hairy, translucent.

Translucent ones never resemble the background: nothing would tell where they are.
"""

import cv2
import numpy as np

from .fine import Draw, cables, foliage, mesh, net, plant, turned, twigs, wheel
from .hairy import feather, fur, mane, tuft
from .materials import Dress, random_material, smooth_noise
from .shapes import Canvas, blob, fill, limb, lines, smooth_path


def _blob(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    mask = canvas.mask()
    radii = (size, size * rng.uniform(0.4, 1.3))
    outlines = [blob(rng, centre, radii, rng.uniform(0.02, 1.0))]
    for _ in range(int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))):
        place = centre + rng.normal(0, 0.3, 2) * size
        outlines.append(blob(rng, place, (size * rng.uniform(0.05, 0.3),) * 2, 0.3))
    fill(mask, *outlines)
    canvas.add(mask, dress(random_material(rng)))


def _polygons(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    for _ in range(int(rng.integers(1, 5))):
        mask = canvas.mask()
        corners = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = size * rng.uniform(0.4, 1.0, (corners, 1))
        place = centre + rng.normal(0, 0.35, 2) * size
        fill(mask, place + radius * np.stack((np.cos(angle), np.sin(angle)), 1))
        canvas.add(mask, dress(random_material(rng)))


def _frame(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A frame with one opening or several, as a window, a shelf or a ladder."""
    mask = canvas.mask()
    half = size * rng.uniform(0.5, 1.0, 2)
    rows, columns = rng.integers(1, 6, 2)
    rim = rng.uniform(0.02, 0.12) * size
    box = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)), np.float64)
    angle = rng.normal(0, 0.2)
    outlines = [turned(box * half, centre, angle)]
    cell = half * 2 / (columns, rows)
    for row in range(rows):
        for column in range(columns):
            middle = -half + cell * (column + 0.5, row + 0.5)
            inner = np.maximum(cell / 2 - rim, 0.5)
            outlines.append(turned(middle + box * inner, centre, angle))
    fill(mask, *outlines)
    canvas.add(mask, dress(random_material(rng)))


def _furniture(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A table, a chair or a lamp: a board on thin legs."""
    mask, material = canvas.mask(), dress(random_material(rng))
    wide, high = size * rng.uniform(0.5, 1.0), size * rng.uniform(0.5, 1.1)
    thick = size * rng.uniform(0.02, 0.07)
    for place in np.linspace(-0.9, 0.9, int(rng.integers(2, 5))):
        top = centre + np.array((place * wide, 0))
        foot = centre + np.array((place * wide * rng.uniform(0.8, 1.1), high))
        limb(mask, np.stack((top, foot)), (thick, thick * 0.7), bends=False)
    board = centre + np.array(((-wide, 0), (wide, 0)))
    limb(mask, board, (thick * 2,) * 2, bends=False)
    if rng.random() < 0.6:
        for place in np.linspace(-0.9, 0.9, int(rng.integers(2, 7))):
            bar = centre + np.array((place * wide, 0))
            limb(mask, np.stack((bar, bar - (0, high))), (thick, thick), bends=False)
        rail = np.array(((-wide, -high), (wide, -high)))
        limb(mask, centre + rail, (thick * 1.5,) * 2, bends=False)
    canvas.add(mask, material)


def _glass(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A glass, a bottle or a bubble: a strong rim, a weak inside, highlights."""
    inside, rim, light = canvas.mask(), canvas.mask(), canvas.mask()
    heights = np.linspace(-1, 1, 7)
    widths = rng.uniform(0.15, 0.6, 7)
    half = np.stack((widths, heights), 1)
    outline = centre + size * smooth_path(
        np.concatenate((half, half[::-1] * (-1, 1))), 6, closed=True
    )
    fill(inside, outline)
    lines(rim, [np.concatenate((outline, outline[:1]))], rng.uniform(0.01, 0.05) * size)
    material = random_material(rng, pattern="plain")
    canvas.add(inside, material, float(rng.uniform(0.08, 0.6)))
    canvas.add(rim, material, float(rng.uniform(0.4, 1.0)))
    middle = centre + np.array((0.08, -0.2)) * size
    shine = blob(rng, middle, (0.05 * size, 0.4 * size), 0.2)
    fill(light, shine)
    canvas.add(light, random_material(rng, np.array((245, 245, 250)), "plain"), 0.7)


def _smoke(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    # The noise is drawn on a grid that doesn't depend on the resolution.
    grid = 128
    noise = smooth_noise(rng, grid, grid, rng.uniform(2, 6), 5, 0.55)
    y, x = np.mgrid[:grid, :grid] * (canvas.unit / grid)
    extent = np.array((canvas.width, canvas.height)) / canvas.unit
    distance = ((x * extent[0] - centre[0]) ** 2 + (y * extent[1] - centre[1]) ** 2) / size**2
    cloud = np.clip(1.1 - distance + 0.5 * noise, 0, 1) * rng.uniform(0.3, 1.0)
    mask = cv2.resize(
        (cloud * 255).astype(np.uint8),
        (canvas.width, canvas.height),
        interpolation=cv2.INTER_LINEAR,
    )
    canvas.add(mask, random_material(rng, pattern="mottled"))


def _veil(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Thin cloth: translucent, denser in its folds."""
    mask = canvas.mask()
    fill(mask, blob(rng, centre, (size * 0.6, size), rng.uniform(0.1, 0.6)))
    grid = np.abs(smooth_noise(rng, 96, 96, rng.uniform(3, 9), 3, 0.5, rng.uniform(0.3, 4)))
    dense = np.clip(rng.uniform(0.2, 0.6) + 0.3 * (1 - grid), 0, 1).astype(np.float32)
    dense = cv2.resize(dense, (canvas.width, canvas.height))
    mask = cv2.multiply(mask, dense, dtype=cv2.CV_8U)
    canvas.add(mask, random_material(rng))


# What is drawn and how often.
OBJECTS: dict[str, tuple[float, Draw]] = {
    "blob": (0.03, _blob),
    "polygons": (0.04, _polygons),
    "plant": (0.06, plant),
    "foliage": (0.16, foliage),
    "twigs": (0.04, twigs),
    "frame": (0.03, _frame),
    "furniture": (0.04, _furniture),
    "net": (0.03, net),
    "mesh": (0.12, mesh),
    "cables": (0.02, cables),
    "wheel": (0.02, wheel),
    "fur": (0.08, fur),
    "tuft": (0.08, tuft),
    "mane": (0.20, mane),
    "feather": (0.02, feather),
    "glass": (0.02, _glass),
    "smoke": (0.005, _smoke),
    "veil": (0.005, _veil),
}
# Half the size of an object, as a fraction of the picture's shorter side.
SIZES = (0.1, 0.7)


def draw_objects(rng: np.random.Generator, canvas: Canvas, dress: Dress, count: int) -> None:
    """Draws objects anywhere in the frame.

    Args:
        rng: the source of randomness.
        canvas: to draw on.
        dress: changes each material on its way, for similarity to the background.
        count: of objects.
    """
    names, shares = list(OBJECTS), [share for share, _ in OBJECTS.values()]
    for _ in range(count):
        draw = OBJECTS[str(rng.choice(names, p=shares))][1]
        centre = rng.normal(0.5, 0.22, 2).clip(0, 1) * (canvas.width, canvas.height)
        draw(rng, canvas, dress, centre, float(rng.uniform(*SIZES)) * canvas.unit)

"""The canvas of a synthetic foreground: composites parts, then treats edges and colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from .materials import Material, log_uniform, paint, pick, random_material, shade_body
from .shapes import SHIFT, blur, blur_motion, fill, fixed, round_off

PHOTOGRAPH_PART_SHARE = 0.6  # of the materials unlike the background, if there is a photograph
SIMILAR_OFFSET = (4.0, 45.0)  # of 255: distance in RGB from the background's colour
SHADED_LIGHT = (0.3, 1.2)  # factor on the background's colours; shadows are below 1
# Of the materials like the background. "shaded" is new cloth in a shadow's colours: only the lost
# texture tells the two apart.
SIMILAR_WEIGHTS = {"mean": 0.35, "shifted": 0.3, "shaded": 0.35}
CUT_OUT_ZOOM = (0.7, 3.0)  # of a piece of a photograph; 1 fills the frame
# Fractions of samples.
EDGE_WEIGHTS = {"sharp": 0.62, "soft": 0.16, "defocus": 0.06, "motion": 0.08, "depth": 0.08}
# Draws on a part's (h, w, 3) texture, whose upper left corner is at (x, y).
Marks = Callable[[np.ndarray, tuple[int, int]], None]


@dataclass
class Canvas:
    """A picture to which parts are added, each over the earlier ones."""

    rng: Generator  # for all random values but `choices`
    height: int  # pixels
    width: int  # pixels
    light: tuple[float, float]  # the direction (x, y) towards which surfaces are bright
    background: np.ndarray | None = None  # (H, W, 3) uint8 RGB, which some parts resemble
    photograph: np.ndarray | None = None  # (H', W', 3) uint8 RGB, from which some parts are cut out
    choices: Generator | None = None  # None where no part resembles the background
    similar_share: float = 0.0  # of the materials, those that do

    def __post_init__(self) -> None:
        self.unit = float(min(self.height, self.width))  # the shorter side, pixels
        # (H, W, 3) uint8 RGB, not premultiplied, undefined where alpha, (H, W) uint8, is 0.
        self.colour: np.ndarray = np.zeros((self.height, self.width, 3), np.uint8)
        self.alpha = self.mask()

    def mask(self) -> np.ndarray:
        """Makes an empty (H, W) uint8 mask of the whole canvas."""
        return np.zeros((self.height, self.width), np.uint8)

    def material(self, colour: np.ndarray | None = None, pattern: str | None = None) -> Material:
        """Draws a material and the source of its colours; see `random_material` and `dress`."""
        return self.dress(random_material(self.rng, colour, pattern))

    def dress(self, material: Material) -> Material:
        """Chooses the source of a material's colours."""
        choices = self.choices
        if choices is None or choices.random() >= self.similar_share:
            # By the material's seed, so that a photograph does not change other random choices.
            cut = material.seed % 1009 < 1009 * PHOTOGRAPH_PART_SHARE
            return replace(material, source="photograph") if cut else material
        direction = choices.normal(0, 1, 3)
        offset = direction / np.linalg.norm(direction) * choices.uniform(*SIMILAR_OFFSET)
        source, light = pick(choices, SIMILAR_WEIGHTS), choices.uniform(*SHADED_LIGHT)
        return replace(material, source=source, offset=offset.astype(np.float32), factor=light)

    def fill(
        self, *outlines: np.ndarray, material: Material | None = None, opacity: float = 1.0
    ) -> None:
        """Adds a part with outlines (N, 2) over the picture; see `shapes.fill` and `add`."""
        mask = self.mask()
        fill(mask, *outlines)
        self.add(mask, material, opacity)

    def add(
        self,
        mask: np.ndarray,
        material: Material | None = None,
        opacity: float = 1.0,
        tones: Sequence[tuple[np.ndarray, float]] = (),
        marks: Marks | None = None,
    ) -> None:
        """Composites a part, (H, W) uint8, over the picture; without a material, draws one.

        `tones` are strands (N, S, 2) drawn on the part, each with a factor of its colour.
        """
        material = self.material() if material is None else material
        x, y, width, height = cv2.boundingRect(mask)
        if width < 1 or height < 1:
            return
        box = np.s_[y : y + height, x : x + width]
        part = mask[box]
        texture, dominant = self._texture(material, part, x, y)
        for strands, factor in tones:
            colour = tuple(np.clip(dominant * factor, 0, 255).tolist())
            wide = max(1, round(0.002 * self.unit))
            corner = fixed(round_off(strands) - (x, y))
            cv2.polylines(texture, list(corner), False, colour, wide, cv2.LINE_AA, SHIFT)
        if marks is not None:
            marks(texture, (x, y))
        over = part.astype(np.float32)
        if opacity < 1:
            over *= np.float32(opacity)
        under = self.alpha[box] * (1 - over * np.float32(1 / 255))
        # (over * texture + under * colour) / (over + under): "over" without premultiplication.
        self.colour[box] = cv2.blendLinear(texture, self.colour[box], over, under)
        self.alpha[box] = np.rint(over + under)

    def _texture(
        self, material: Material, part: np.ndarray, x: int, y: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a part's (h, w, 3) colours and the dominant one."""
        height, width = part.shape
        if material.source == "photograph" and self.photograph is not None:
            texture = self.cut_out(self.photograph, material, part)
        elif material.source == "shifted" and self.background is not None:
            # Moved by up to a third of the part's size, within the frame.
            share = np.array((material.seed % 997, material.seed % 991)) / 500 - 1
            corner = (y, x) + share * (height / 3 + 2, width / 3 + 2)
            top, left = corner.clip(0, (self.height - height, self.width - width)).astype(int)
            crop = self.background[top : top + height, left : left + width].astype(np.int16)
            texture = np.clip(crop + material.offset.astype(np.int16), 0, 255).astype(np.uint8)
        elif material.source == "shaded" and self.background is not None:
            texture = self._shade(material, part, x, y)
        else:
            if material.source == "mean" and self.background is not None:
                here = self.background[y : y + height, x : x + width]
                mean = np.array(cv2.mean(here)[:3]) + material.offset
                # Keeps a little of its own pattern.
                colours = mean + (material.colours - material.colours[0]) * np.float32(0.15)
                material = replace(material, colours=np.clip(colours, 0, 255))
            return paint(material, part, self.unit, self.light), material.colours[0]
        return texture, np.array(cv2.mean(texture)[:3])

    def _shade(self, material: Material, part: np.ndarray, x: int, y: int) -> np.ndarray:
        """Fills a part's box with the background behind it, darker or brighter, without texture."""
        height, width = part.shape
        here = self.background[y : y + height, x : x + width]  # type: ignore[index]
        cell = 0.06 * self.unit
        size = (max(2, round(width / cell)), max(2, round(height / cell)))
        smooth = cv2.resize(here, size, interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC)
        shade = cv2.resize(shade_body(part, material, self.light, 64, 64), (width, height))
        shade = 1 + 0.3 * (shade - 1)  # nearly plain
        factor = cv2.merge((shade, shade, shade)) * np.float32(material.factor)
        return cv2.multiply(smooth, factor, dtype=cv2.CV_8U)

    def cut_out(self, photograph: np.ndarray, material: Material, part: np.ndarray) -> np.ndarray:
        """Fills a part's box as `paint` does, with a piece of a photograph instead of a pattern.

        Plain materials, and half of the others, use only its brightness. Source: ours, because a
        network trained only on drawn textures over photographs separates the two by texture.
        """
        rng = np.random.Generator(np.random.SFC64(material.seed))
        height, width = part.shape
        rows, columns = photograph.shape[:2]
        scale = min(rows, columns) / (self.unit * log_uniform(rng, *CUT_OUT_ZOOM))
        tall = int(np.clip(round(height * scale), 2, rows))
        wide = int(np.clip(round(width * scale), 2, columns))
        top, left = int(rng.integers(rows - tall + 1)), int(rng.integers(columns - wide + 1))
        piece = photograph[top : top + tall, left : left + wide]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        if rng.random() < 0.2:
            piece = piece[::-1]
        piece = np.ascontiguousarray(piece)
        if material.pattern == "plain" or rng.random() < 0.5:
            grey = cv2.cvtColor(piece, cv2.COLOR_RGB2GRAY)
            gain = material.colours[0] / max(cv2.mean(grey)[0], 16.0)
            piece = cv2.merge((grey, grey, grey))
        else:
            gain = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
        kind = cv2.INTER_AREA if tall > height or wide > width else cv2.INTER_LINEAR
        piece = cv2.resize(piece, (width, height), interpolation=kind)
        shade = cv2.resize(shade_body(part, material, self.light, 64, 64), (width, height))
        factors = cv2.merge([shade * np.float32(value) for value in gain])
        return cv2.multiply(piece, factors, dtype=cv2.CV_8U)


def treat_edges(canvas: Canvas) -> None:
    """Softens, defocuses or motion-blurs the whole foreground, by `EDGE_WEIGHTS`."""
    rng, kind = canvas.rng, pick(canvas.rng, EDGE_WEIGHTS)
    size, angle = log_uniform(rng, 0.003, 0.03), rng.uniform(0, np.pi)
    turn, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.4)
    if kind == "sharp":
        return
    size = size * canvas.unit * (0.35 if kind == "soft" else 1.0)
    colour = extend_colours(canvas.colour, canvas.alpha)
    height, width = canvas.alpha.shape
    # Wide blurs are computed at a lower resolution, which is enough for them.
    shrink = min(1.0, 6 / size)
    both = cv2.merge((colour, canvas.alpha))
    if shrink < 1:
        small = (max(8, round(width * shrink)), max(8, round(height * shrink)))
        both = cv2.resize(both, small, interpolation=cv2.INTER_AREA)
    size *= shrink
    both = blur_motion(both, size, angle, bend) if kind == "motion" else blur(both, kind, size)
    both = cv2.resize(both, (width, height), interpolation=cv2.INTER_LINEAR)
    blurred, alpha = np.ascontiguousarray(both[..., :3]), both[..., 3]
    if kind == "depth":  # in focus on one side only
        x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None] * np.float32(np.cos(turn))
        y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(turn))
        ramp = np.clip((x + y) * 2.5 + 0.3, 0, 1)
        blurred = cv2.blendLinear(blurred, colour, ramp, 1 - ramp)
        alpha = np.rint(canvas.alpha + (alpha - canvas.alpha.astype(np.float32)) * ramp)
    canvas.colour, canvas.alpha = blurred, alpha.astype(np.uint8)


def extend_colours(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Extends (H, W, 3) uint8 colours to where (H, W) uint8 alpha is 0, for resampling.

    Source: push-pull; Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.
    """
    height, width = alpha.shape
    empty = np.where(alpha == 0, 255, 0).astype(np.uint8)
    # Float, because the mean over few known pixels must not be rounded before the division.
    total: np.ndarray = cv2.copyTo(colour, cv2.bitwise_not(empty)).astype(np.float32)
    share: np.ndarray = (alpha > 0).astype(np.float32)
    shrink = min(1.0, 128 / max(height, width))
    size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
    levels: list[tuple[np.ndarray, np.ndarray]] = []
    while not levels or max(share.shape) > 1:
        total = cv2.resize(total, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
        levels.append((total, share))
        size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    filled = np.full((1, 1, 3), 128, np.float32)  # used where no pixel is known
    for total, share in reversed(levels):
        mean = total / np.maximum(share, 1e-9)[..., None]
        coarse = cv2.resize(filled, share.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = np.where(share[..., None] > 1e-9, mean, coarse)
    whole = cv2.resize(filled.clip(0, 255).astype(np.uint8), (width, height))
    return cv2.copyTo(whole, empty, colour.copy())

"""The animation of the README: frame, plate, and the matte over several backgrounds with its hair.

Frame and plate stand still; the two tiles beside them wipe from one background to the next.
"""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from docs.making.sources import ROOT, Sources
from matting import Matting

TILE, GAP, RADIUS = (294, 366), 8, 10  # pixels, as everything below
WHOLE = 145, 104, 513, 562  # parts of the picture (left, top, right, bottom), of the tile's aspect
HAIR = 312, 160, 435, 313
LABEL_SIZE, LABEL_MARGIN = 23, 12
HOLD, STEP, STEPS = 1500, 45, 12  # ms that a scene stands, and of a step of a wipe; steps of one
QUALITY = 82

PHOTOGRAPHS = (
    "lomiri_picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "elementary_Viktor_Forgacs.jpg",
    "elementary_Snow_Capped_Mountain.jpg",
)


def make_hair(sources: Sources, path: Path) -> None:
    """Makes the animation from the demo's portrait.

    Raises:
        MissingSourceError: when a background is missing.
    """
    backgrounds = [sources.find_photographs(name)[0] for name in PHOTOGRAPHS]
    src, bgr = (ROOT / "demo" / kind / "portrait.jpg" for kind in ("src", "bgr"))
    matte = Matting.load()(src, bgr)
    frame = Image.open(src).convert("RGB")
    alpha = Image.fromarray(matte.render("pha")).convert("RGB")
    scenes = [
        *(("composite", Image.fromarray(matte.composite(new))) for new in backgrounds),
        ("frame", frame),
        ("alpha", alpha),
    ]
    still = [cut(frame, WHOLE, "frame"), cut(Image.open(bgr).convert("RGB"), WHOLE, "plate")]
    moving = [
        (cut(picture, WHOLE, label), cut(picture, HAIR, "close-up")) for label, picture in scenes
    ]
    pictures, durations = zip(*animate(still, moving), strict=True)
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=list(durations),
        loop=0,
        quality=QUALITY,
        method=4,
    )


def cut(picture: Image.Image, part: tuple[int, int, int, int], label: str) -> Image.Image:
    """Cuts a part out at the size of a tile, and labels it below."""
    tile = picture.resize(TILE, Image.Resampling.LANCZOS, part)
    font = ImageFont.load_default(LABEL_SIZE)
    left, bottom = LABEL_MARGIN, TILE[1] - LABEL_MARGIN
    box = left, bottom - LABEL_SIZE - 12, left + font.getlength(label) + 20, bottom
    shade = Image.new("L", TILE, 0)
    ImageDraw.Draw(shade).rounded_rectangle(box, RADIUS, 170)
    tile.paste((0, 0, 0), mask=shade)
    middle = left + 10, (box[1] + bottom) / 2
    ImageDraw.Draw(tile).text(middle, label, "white", font, anchor="lm")
    return tile


def animate(
    still: list[Image.Image], moving: list[tuple[Image.Image, Image.Image]]
) -> Iterator[tuple[Image.Image, int]]:
    """Yields the pictures of the animation, and how long each stands, ms."""
    width, height = TILE
    for now, new in zip(moving, moving[1:] + moving[:1], strict=True):
        for step in range(STEPS):
            edge = width * step // STEPS
            tiles = []
            for old_tile, new_tile in zip(now, new, strict=True):
                tile = old_tile.copy()
                tile.paste(new_tile.crop((0, 0, edge, height)))
                if step:
                    ImageDraw.Draw(tile).rectangle((edge - 1, 0, edge + 1, height), "white")
                tiles.append(tile)
            yield lay([*still, *tiles]), STEP if step else HOLD


def lay(tiles: list[Image.Image]) -> Image.Image:
    """Lays tiles side by side, with round corners and transparency between them."""
    width, height = TILE
    sheet = Image.new("RGBA", (len(tiles) * (width + GAP) - GAP, height))
    mask = Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *mask.size), 4 * RADIUS, 255)
    mask = mask.resize(TILE, Image.Resampling.LANCZOS)
    for n, tile in enumerate(tiles):
        sheet.paste(tile, (n * (width + GAP), 0), mask)
    return sheet

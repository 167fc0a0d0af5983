"""Reads the new background of a composite from `--target-bgr`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ImageColor

from media.pictures import resize_to_cover
from media.profiles import bring
from storage.files import exists
from storage.location import Location, Url, parse_location

from .compose import blur, to_float

# The new background `green`, also the default: the green of studios, not that of CSS (0, 128, 0).
KEYING_GREEN = (0, 177, 64)


@dataclass(frozen=True)
class Target:
    """A new background."""

    kind: Literal["none", "colour", "picture", "folder", "blur"]
    """`none` leaves the composite transparent."""
    colour: tuple[int, int, int] | None = None
    """RGB in 0..255, for the kind `colour`."""
    path: Path | None = None
    """For the kinds `picture` and `folder`."""
    url: Url | None = None
    """Instead of a path."""

    @property
    def location(self) -> Location | None:
        """The path or URL."""
        return self.url or self.path


def parse_target(text: str | None) -> Target:
    """Parses `--target-bgr`.

    Args:
        text: `blur`; a colour (`green` for keying, a name of CSS, `#00b140`, `rgb(0,177,64)`); the
            path of a picture or of a folder; None for a transparent composite.

    Returns:
        The target.

    Raises:
        ValueError: when it is none of these.
    """
    if text is None:
        return Target("none")
    if not text.strip():
        raise ValueError(
            "target background: the name is empty; it is blur, a colour (green, #00b140, "
            "rgb(0,177,64)), or a picture or folder"
        )
    if text == "blur":
        return Target("blur")
    if text.lower() == "green":
        return Target("colour", colour=KEYING_GREEN)
    try:
        colour = ImageColor.getrgb(text)[:3]
    except ValueError:
        path = Path(text)
    else:
        if max(colour) > 255:
            raise ValueError(f"target background {text!r}: channels must be from 0 to 255")
        return Target("colour", colour=colour)
    if path.is_dir():
        return Target("folder", path=path)
    if path.is_file():
        return Target("picture", path=path)
    raise ValueError(
        f"target background {text!r} is neither blur, nor a colour (green, #00b140, "
        "rgb(0,177,64)), nor a picture or folder that exists"
    )


def find_target(text: str | Url) -> Target:
    """Parses `--target-bgr` where a URL of a picture or folder may stand, too.

    Args:
        text: see `parse_target`; or `s3://`, `gs://`, or a picture's `https://`.

    Raises:
        ValueError: as `parse_target`; StorageError when the store does not tell what it is.
    """
    location = parse_location(text) if ":/" in str(text) else text
    if isinstance(location, Url):
        return Target("picture" if exists(location) else "folder", url=location)
    return parse_target(str(location))


def render_target(
    target: Target,
    picture: np.ndarray | None,
    bgr: np.ndarray,
    icc_profile: bytes | None = None,
) -> np.ndarray | None:
    """Makes the new background of one frame.

    Args:
        target: see `Target`.
        picture: (h, w, 3) uint8 or uint16, the frame's new background for the kinds `picture` and
            `folder`; it is resized to cover the frame, and its centre is cropped.
        bgr: (H, W, 3) uint8 or uint16, the frame's plate, for the kind `blur`; it has no colours of
            the subject that could leak.
        icc_profile: colour profile of the frame and of `picture`; a colour is converted to it from
            sRGB.

    Returns:
        (H, W, 3) float32 in [0, 1], or None for a transparent composite.

    Raises:
        ValueError: when the kind needs a picture and there is none.
    """
    if target.kind == "none":
        return None
    if target.kind == "colour":
        colour = np.array(target.colour, np.float32) / 255
        if icc_profile is not None:
            exact = colour.reshape(1, 1, 3).astype(np.float64)
            colour = bring(exact, None, icc_profile)[0, 0].astype(np.float32)
        return np.broadcast_to(colour, bgr.shape)
    if target.kind == "blur":
        return blur(to_float(bgr))
    if picture is None:
        raise ValueError(f"the target background is a {target.kind}, but no picture was given")
    return to_float(resize_to_cover(picture, *bgr.shape[:2]))

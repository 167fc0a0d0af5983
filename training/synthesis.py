"""From the parts of training samples to frames and captured plates, on the training device.

Every disturbance follows numbers that came with its sample (`dataset.draws`), and works on
that sample alone: the result does not depend on what else is in the batch, and what was not drawn
costs nothing. Light meets the camera in this order: shadow, steam and composite (frame) or steam,
movement, position, defocus and colours (plate); then noise; then JPEG. A zoom enlarges what the
camera has captured.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dataset.colours import tint_matrix
from dataset.draws import UNDISTURBED
from dataset.geometry import linear_part
from media.colour import GAMMA

from .jpeg import compress
from .noise import add_noise
from .pieces import PIECE, make_room, split_pieces, to_float
from .scene_change import sway_plate, veil_scene

# Shadows are wide; they are computed at this part of the size.
_SHADOW_REDUCTION = 4


class Sample(NamedTuple):
    """A batch to train on; float32 in [0, 1], on the device.

    Attributes:
        src: (B, 3, H, W), the frame, RGB.
        bgr: (B, 3, H, W), the captured plate, RGB.
        pha: (B, 1, H, W), the true alpha.
        fgr: (B, 3, H, W), the true foreground, RGB, not premultiplied.
    """

    src: Tensor
    bgr: Tensor
    pha: Tensor
    fgr: Tensor


def synthesise(batch: dict[str, Any], device: torch.device) -> Sample:
    """Composes frames and disturbs frames and plates.

    Args:
        batch: collated samples of `dataset.samples.Samples`: `fgr` (B, 3, H, W), `pha`
            (B, 1, H, W) and `bgr` (B, 3, H, W), uint8, and `disturbance`, (B,) tensors by name.
        device: where to compute.

    Returns:
        The batch. The same samples give the same values in any batch; noise differs from one kind
        of device to another.

    Raises:
        ValueError: when a disturbance is missing or unknown.
    """
    values = {name: value.tolist() for name, value in batch["disturbance"].items()}
    if values.keys() != UNDISTURBED.keys():
        wrong = sorted(values.keys() ^ UNDISTURBED.keys())
        raise ValueError(
            f"the disturbance of a batch must hold what draw_disturbance draws; {', '.join(wrong)} "
            "are missing or unknown"
        )
    # No lower precision here, whatever the network uses.
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        fgr, pha, bgr = (
            to_float(batch[name].to(device, non_blocking=True)) for name in ("fgr", "pha", "bgr")
        )
        src = make_room(bgr)
        disturbances = [{name: value[i] for name, value in values.items()} for i in range(len(src))]
        for i, drawn in enumerate(disturbances):
            scene = cast_shadow(bgr[i], pha[i], drawn, src[i])
            scene = veil_scene(scene, drawn, False, src[i])
            torch.lerp(scene, fgr[i], pha[i], out=src[i])
            veil_scene(bgr[i], drawn, True, bgr[i])
            sway_plate(bgr[i], drawn)
            move_plate(bgr[i], drawn)
            defocus_plate(bgr[i], drawn)
            tint_plate(bgr[i], drawn)
            generator = torch.Generator(device).manual_seed(int(drawn["noise_seed"]))
            for picture, name in ((src[i], "src"), (bgr[i], "bgr")):
                add_noise(picture, drawn[f"noise_{name}"], drawn["dark_noise"], generator)
        compress_pictures(src, values["jpeg_src"])
        compress_pictures(bgr, values["jpeg_bgr"])
        for i, drawn in enumerate(disturbances):
            zoom((src[i], bgr[i], pha[i], fgr[i]), drawn)
    return Sample(src, bgr, pha, fgr)


def cast_shadow(scene: Tensor, pha: Tensor, drawn: dict[str, float], out: Tensor) -> Tensor:
    """Darkens a scene by a moved and blurred matte.

    Args:
        scene: (3, H, W) float, RGB in [0, 1].
        pha: (1, H, W) float in [0, 1].
        drawn: the names that begin with `shadow_` are used.
        out: like the scene; for the result.

    Returns:
        `out`, or without a shadow the scene itself.

    Source: the paper, training; at a reduced size, which a box of 20 pixels and more allows.
    """
    if drawn["shadow_strength"] == 0:
        return scene
    height, width = pha.shape[1:]
    small = (-(-height // _SHADOW_REDUCTION), -(-width // _SHADOW_REDUCTION))
    matte = F.interpolate(pha[None], small, mode="area")[0]
    linear = linear_part(drawn["shadow_rotation"], drawn["shadow_shear"], drawn["shadow_scale"])
    moved = torch.empty_like(matte)
    _move(matte, linear, (drawn["shadow_shift_x"], drawn["shadow_shift_y"]), "zeros", moved)
    # A box of any width: its outermost pixels count by the part that it covers.
    half = drawn["shadow_blur"] / _SHADOW_REDUCTION / 2
    reach = math.ceil(half)
    distance = torch.arange(-reach, reach + 1, device=pha.device, dtype=pha.dtype).abs()
    box = (half + 0.5 - distance).clamp(0, 1)
    box = box / box.sum()
    padded = F.pad(moved[None], (reach,) * 4, mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, box[None, None, None]), box[None, None, :, None])
    shadow = F.interpolate(blurred, (height, width), mode="bilinear", align_corners=False)[0]
    parts = (split_pieces(part.flatten(1)) for part in (scene, shadow, out))
    for light, dark, result in zip(*parts, strict=True):
        torch.sub(light, dark, alpha=drawn["shadow_strength"], out=result).clamp_(0, 1)
    return out


def move_plate(bgr: Tensor, drawn: dict[str, float]) -> None:
    """Turns and shifts a plate; its reflection shows where it leaves the crop free.

    Args:
        bgr: (3, H, W) float, RGB in [0, 1]; changed in place.
        drawn: `plate_rotation` and `plate_shift_*` are used.

    Source: the paper, training; the reflection is ours, because a real plate has no black edges.
    """
    shift = (drawn["plate_shift_x"], drawn["plate_shift_y"])
    if (drawn["plate_rotation"], *shift) == (0, 0, 0):
        return
    linear = linear_part(drawn["plate_rotation"], 0, 1)
    if bgr.device.type != "cpu":
        _move(bgr.clone(), linear, shift, "reflection", bgr)
        return
    # The same by OpenCV, in half the time.
    height, width = bgr.shape[1:]
    middle = np.array((width - 1, height - 1)) / 2
    offset = middle - linear @ middle + np.multiply(shift, (width, height))
    matrix = np.column_stack((linear, offset))
    for plane in bgr:
        moved = cv2.warpAffine(
            plane.numpy(), matrix, (width, height), borderMode=cv2.BORDER_REFLECT
        )
        plane.copy_(torch.from_numpy(moved))


def defocus_plate(bgr: Tensor, drawn: dict[str, float]) -> None:
    """Blurs a plate by a disc.

    Args:
        bgr: (3, H, W) float, RGB in [0, 1]; changed in place.
        drawn: `defocus_radius` is used.

    Source: ours; a lens spreads a point over a disc.
    """
    radius = drawn["defocus_radius"]
    if radius == 0:
        return
    reach = math.ceil(radius)
    place = torch.arange(-reach, reach + 1, device=bgr.device, dtype=bgr.dtype)
    disc = (radius + 0.5 - torch.hypot(place[:, None], place[None])).clamp(0, 1)
    padded = F.pad(bgr[:, None], (reach,) * 4, mode="replicate")
    bgr.copy_(F.conv2d(padded, (disc / disc.sum())[None, None])[:, 0])


def tint_plate(bgr: Tensor, drawn: dict[str, float]) -> None:
    """Changes exposure, white balance, brightness, contrast, saturation and hue of a plate.

    Args:
        bgr: (3, H, W) float, RGB in [0, 1]; changed in place.
        drawn: `exposure_stops`, `white_balance_*` and `plate_*` but the position are used.

    Source: the release for the order and for adding the brightness; exposure and white balance are
    ours. A stop doubles the light, and so multiplies coded values by 2^(1/2.2).
    """
    balance = np.array((drawn["white_balance_red"], 1, drawn["white_balance_blue"]))
    gain = balance * 2 ** (drawn["exposure_stops"] / GAMMA)
    tint = tint_matrix(drawn["plate_saturation"], drawn["plate_hue"]) * drawn["plate_contrast"]
    offset = drawn["plate_contrast"] * drawn["plate_brightness"]  # tinting leaves greys alone
    if offset == 0 and np.array_equal(tint * gain, np.eye(3)):
        return
    factors = bgr.new_tensor((tint * gain).tolist())
    added = bgr.new_full((3, 1), offset)
    for piece in split_pieces(bgr.flatten(1)):
        piece.copy_(torch.addmm(added, factors, piece).clamp_(0, 1))


def compress_pictures(pictures: Tensor, qualities: Sequence[float]) -> None:
    """Compresses pictures as JPEG.

    Args:
        pictures: (B, 3, H, W) float, RGB in [0, 1]; changed in place.
        qualities: of the B pictures, from 1 to 100; 0 leaves one as it is.

    Source: ours. A GPU compresses all at once, since launching the kernels of one picture takes
    longer than they do; the CPU one after another, in its cache.
    """
    chosen = [i for i, quality in enumerate(qualities) if quality]
    together = 1 if pictures.device.type == "cpu" else len(pictures)
    for start in range(0, len(chosen), together):
        group = chosen[start : start + together]
        pictures[group] = compress(pictures[group], [int(qualities[i]) for i in group])


def zoom(pictures: Sequence[Tensor], drawn: dict[str, float]) -> None:
    """Enlarges one part of all pictures of a sample to their size.

    Args:
        pictures: (C, H, W) float in [0, 1] each; changed in place.
        drawn: `zoom_factor`, `zoom_x` and `zoom_y` are used.

    Source: ours; bicubic, as `matting.second_look` enlarges.
    """
    factor = drawn["zoom_factor"]
    if factor == 1:
        return
    size = pictures[0].shape[1:]
    height, width = (math.ceil(side / factor) for side in size)
    top, left = (
        round((size[0] - height) * drawn["zoom_y"]),
        round((size[1] - width) * drawn["zoom_x"]),
    )
    for picture in pictures:
        part = picture[None, :, top : top + height, left : left + width]
        picture.copy_(F.interpolate(part, size, mode="bicubic")[0].clamp_(0, 1))


def _move(
    picture: Tensor, linear: np.ndarray, shift: tuple[float, float], padding: str, out: Tensor
) -> None:
    """Moves (C, H, W) about its middle into `out`; shifts are fractions of the size."""
    height, width = picture.shape[1:]
    # Coordinates of grid_sample: from -1 to 1 over the picture.
    half = np.diag((width / 2, height / 2))
    (a, b), (c, d) = (np.linalg.inv(half) @ np.linalg.inv(linear) @ half).tolist()
    across, down = (
        (torch.arange(side, device=picture.device, dtype=picture.dtype) * 2 + 1) / side
        - (1 + 2 * moved)
        for side, moved in ((width, shift[0]), (height, shift[1]))
    )
    rows = max(1, PIECE // width) if picture.device.type == "cpu" else height
    for start in range(0, height, rows):
        y = down[start : start + rows, None]
        grid = torch.stack((a * across + b * y, c * across + d * y), -1)
        moved = F.grid_sample(picture[None], grid[None], padding_mode=padding, align_corners=False)
        out[:, start : start + rows] = moved[0]

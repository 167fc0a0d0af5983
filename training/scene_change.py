"""Small changes of a scene between plate and frame that are no subject: steam, leaves, parallax."""

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

# How far from the level of the field a place is fully changed, standard deviations of the field.
_SOFT = 0.4
_FINE = 0.5  # of a second field of half the width, which makes the outlines ragged


def veil_scene(picture: Tensor, drawn: dict[str, float], on_plate: bool, out: Tensor) -> Tensor:
    """Hides a few small places of a scene behind steam.

    Args:
        picture: (3, H, W) float, RGB in [0, 1].
        drawn: the names that begin with `change_` are used.
        on_plate: whether the picture is the plate; steam is before one of both, by
            `change_on_plate`.
        out: like the picture, or it itself; for the result.

    Returns:
        `out`, or the picture itself where there is no steam.

    Source: ours, see `SceneChangeSettings`.
    """
    if drawn["change_opacity"] == 0 or on_plate != bool(drawn["change_on_plate"]):
        return picture
    opacity = draw_places(drawn, picture) * drawn["change_opacity"]
    return torch.lerp(picture, picture.new_tensor(drawn["change_grey"]), opacity, out=out)


def sway_plate(bgr: Tensor, drawn: dict[str, float]) -> None:
    """Moves what is in a few small places of a plate, as wind or parallax does.

    Args:
        bgr: (3, H, W) float, RGB in [0, 1]; changed in place.
        drawn: the names that begin with `change_` are used.

    Source: ours, see `SceneChangeSettings`.
    """
    if drawn["change_shift_x"] == drawn["change_shift_y"] == 0:
        return
    height, width = bgr.shape[1:]
    places = draw_places(drawn, bgr)[0]
    rows, columns = (
        torch.arange(side, device=bgr.device, dtype=bgr.dtype) for side in bgr.shape[1:]
    )
    x = columns - places * drawn["change_shift_x"] * width
    y = rows[:, None] - places * drawn["change_shift_y"] * height
    if bgr.device.type != "cpu":
        grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
        bgr.copy_(
            F.grid_sample(bgr[None], grid[None], padding_mode="border", align_corners=False)[0]
        )
        return
    # The same by OpenCV, in a fraction of the time.
    maps = cv2.convertMaps(x.numpy(), y.numpy(), cv2.CV_16SC2)
    for plane in bgr:
        moved = cv2.remap(plane.numpy(), *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        plane.copy_(torch.from_numpy(moved))


def draw_places(drawn: dict[str, float], like: Tensor) -> Tensor:
    """Draws the places that change: where a smooth random field is highest.

    Args:
        drawn: `change_size`, `change_share` and `change_seed` are used.
        like: (C, H, W) float; gives size, type and device.

    Returns:
        (1, H, W) in [0, 1], 1 where the change is full; `change_share` of it above 0, about.

    Source: ours; two fields of random numbers, the second finer.
    """
    height, width = like.shape[1:]
    generator = torch.Generator().manual_seed(int(drawn["change_seed"]))
    field = torch.zeros(1, 1, height, width)
    for part, weight in ((1.0, 1.0), (0.5, _FINE)):
        cell = part * drawn["change_size"] * max(height, width)
        grid = (round(height / cell) + 3, round(width / cell) + 3)
        coarse = torch.randn(1, 1, *grid, generator=generator)
        field += weight * F.interpolate(coarse, (height, width), mode="bicubic")
    flat = field.flatten()
    level = flat.kthvalue(round((1 - drawn["change_share"]) * (flat.numel() - 1)) + 1).values
    places = ((field[0] - level) / (_SOFT * flat.std())).clamp(0, 1)
    return places.to(like)

"""Composites training samples into frames and captured plates, on the training device.

Each sample is disturbed by its own values (`augmentation`), so the result does not depend on the
other samples of the batch.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .augmentation import UNDISTURBED
from .disturbances import fill, make_room
from .disturbances.light import CastShadow, LowLight
from .disturbances.optics import Defocus, PlatePosition, Zoom
from .disturbances.plate_colour import PlateColour
from .disturbances.recording import Jpeg, Noise
from .disturbances.scene import SceneChange, Shadow


class Sample(NamedTuple):
    """A training batch; float32 in [0, 1], on the device."""

    src: Tensor  # (B, 3, H, W), the frame, RGB
    bgr: Tensor  # (B, 3, H, W), the captured plate, RGB
    pha: Tensor  # (B, 1, H, W), the true alpha
    fgr: Tensor  # (B, 3, H, W), the true foreground, RGB, not premultiplied


def synthesise(batch: dict[str, Any], device: torch.device) -> Sample:
    """Composites frames and disturbs frames and plates, in physical order from scene to file.

    Args:
        batch: collated samples of `Samples`: `fgr` (B, 3, H, W), `pha` (B, 1, H, W) and `bgr`
            (B, 3, H, W), uint8, and `disturbance`, by name a tuple of (B,) tensors.
        device: where to compute; noise and JPEG differ between CPU and GPU.

    Raises:
        ValueError: when a disturbance is missing or unknown.
    """
    drawn = _take_apart(batch["disturbance"])
    # Always float32, even if the network uses a lower precision.
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        pixels = (batch[name].to(device, non_blocking=True) for name in ("fgr", "pha", "bgr"))
        fgr, pha, bgr = (fill(make_room(part), part) for part in pixels)
        src = make_room(bgr)
        for i, one in enumerate(drawn):
            LowLight.apply(one["low_light"], fgr[i], bgr[i])
            scene = Shadow.apply(one["shadow"], bgr[i], pha[i], src[i])
            scene = CastShadow.apply(one["cast_shadow"], scene, pha[i], src[i])
            scene = SceneChange.apply(one["scene_change"], scene, False, src[i])
            torch.lerp(scene, fgr[i], pha[i], out=src[i])  # the composite
            SceneChange.apply(one["scene_change"], bgr[i], True, bgr[i])
            SceneChange.sway(one["scene_change"], bgr[i])
            PlatePosition.apply(one["plate_position"], bgr[i])
            Defocus.apply(one["defocus"], bgr[i])
            PlateColour.apply(one["plate_colour"], one["exposure"], one["white_balance"], bgr[i])
            Noise.apply(one["noise"], one["dark_noise"], src[i], bgr[i])
        Jpeg.apply([one["jpeg"] for one in drawn], src, bgr)
        for i, one in enumerate(drawn):
            Zoom.apply(one["zoom"], (src[i], bgr[i], pha[i], fgr[i]))
    return Sample(src, bgr, pha, fgr)


def _take_apart(disturbance: dict[str, Any]) -> list[dict[str, Any]]:
    """Splits the collated disturbances of a batch into those of each sample."""
    if disturbance.keys() != UNDISTURBED.keys():
        wrong = ", ".join(sorted(disturbance.keys() ^ UNDISTURBED.keys()))
        raise ValueError(
            "the disturbance of a batch must have the keys and values of draw_disturbance; "
            f"{wrong} are missing or unknown"
        )
    columns = (
        map(values._make, zip(*(part.tolist() for part in values), strict=True))
        for values in disturbance.values()
    )
    return [dict(zip(disturbance, row, strict=True)) for row in zip(*columns, strict=True)]

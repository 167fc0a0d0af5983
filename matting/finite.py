"""Whether a network computes numbers at all: weights can be finite and what they give not."""

from functools import partial

import torch
from torch import Tensor, nn

from model import MattingBase
from model.weights import CheckpointError
from runtime.device import Precision, autocast

# Side of the picture on which weights are tried, pixels.
_SIDE = 64


@torch.inference_mode()
def check_weights(
    network: MattingBase, device: torch.device, precision: Precision, name: str
) -> None:
    """Refuses weights by which a layer gives infinity or NaN on a small picture.

    What the layers after it make of that can look like a matte: clamped, all opaque.

    Args:
        network: on the device, in evaluation mode.
        device: where to compute.
        precision: of the convolutions.
        name: what to call the weights in an error.

    Raises:
        CheckpointError: with the first such layer's name.
    """
    broken: list[str] = []

    def check(name: str, layer: nn.Module, inputs: object, output: Tensor) -> None:
        if not broken and not bool(output.isfinite().all()):
            broken.append(name)

    layers = [(name, x) for name, x in network.named_modules() if not list(x.children())]
    hooks = [layer.register_forward_hook(partial(check, name)) for name, layer in layers]
    picture = torch.linspace(0, 1, 3 * _SIDE**2, device=device).view(1, 3, _SIDE, _SIDE)
    try:
        with autocast(device, precision):
            network(picture, picture.flip(2))
    finally:
        for hook in hooks:
            hook.remove()
    if broken:
        reason = explain_non_finite(f"its layer {broken[0]}", precision)
        raise CheckpointError(f"{name}: {reason}")


def explain_non_finite(what: str, precision: Precision) -> str:
    """Says what is not finite, and what to do about it in a precision."""
    advice = "The weights are damaged or of a training that failed; take others"
    if precision != "float32":
        advice = f"Numbers leave the range of {precision}: use --precision float32"
    return f"the network computes values that are not finite (NaN or infinity): {what}. {advice}"

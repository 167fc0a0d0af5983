"""Packs the weights of a checkpoint into a small file for release.

Averages several checkpoints of one training history; can take the refiner from another one.

Example: python -m training.release checkpoint/default_refine/best.pth weights/mine.safetensors
"""

import argparse
import sys
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from model.loading import load_weights
from model.reading import read_state_dict
from model.weights import identify
from runtime.files import write_whole
from runtime.script import run_script
from runtime.wording import visible


def pack(state: dict[str, Tensor]) -> bytes:
    """Packs a state dict as the content of a safetensors file, at half the size.

    Weights become float16; running statistics do not, because some exceed its range. Metadata name
    network and backbone. Raises ValueError when a weight exceeds the range of float16, the state is
    not that of a network, or values are not finite.
    """
    found = identify(state)
    load_weights(found.build(), state, "the checkpoint")  # checks names, shapes and values
    packed = {}
    for name, value in state.items():
        half = value.is_floating_point() and "running_" not in name
        packed[name] = (value.half() if half else value).contiguous()
        if not bool(packed[name].isfinite().all()):
            raise ValueError(f"{name} exceeds the range of float16, {value.abs().max():.3g}")
    network = {"mattingbase": "MattingBase", "mattingrefine": "MattingRefine"}[found.type]
    return save(packed, {"network": network, "backbone": found.backbone})


def mean_of(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Averages the weights and running statistics of networks of one training history.

    The mean of several is float32; counters are those of the last. Raises ValueError when names or
    shapes differ.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022: the mean of the weights
        before and after fine-tuning keeps more of the original network's quality.
    """
    if len(states) == 1:
        return states[0]
    last = states[-1]
    for state in states:
        if different := _different_names(state, last):
            raise ValueError(
                f"only checkpoints of one network can be averaged; they differ in {different[0]} "
                f"and {len(different) - 1} others"
            )
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }


def exchange_refiner(state: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replaces the tensors `refiner.*` of a `MattingRefine`'s state dict by those of another.

    Raises ValueError when names or shapes of the two refiners differ, or there is none.

    Source: ours, because a refiner trained jointly with the coarse network can be worse than the
        earlier one.
    """
    old, new = (
        {name: value for name, value in one.items() if name.startswith("refiner.")}
        for one in (state, other)
    )
    if not old or _different_names(old, new):
        raise ValueError(
            f"the refiners differ in names or shapes, got {len(old)} and {len(new)} tensors; use "
            "a checkpoint of a MattingRefine with the same kernel size"
        )
    return state | new


def _different_names(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Finds names that only one of two state dicts has, or whose shapes differ."""
    shapes, others = ({k: v.shape for k, v in state.items()} for state in (one, other))
    return [k for k in sorted(shapes | others) if shapes.get(k) != others.get(k)]


def main() -> int:
    """Reads the command line and writes the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "checkpoints", nargs="+", type=Path, help="several checkpoints of one network are averaged"
    )
    parser.add_argument("output", type=Path, help="a .safetensors file, which must not exist")
    parser.add_argument("--refiner", type=Path, help="take the refiner from this checkpoint")
    args = parser.parse_args()
    if args.output.suffix != ".safetensors":
        raise ValueError(f"the output must end in .safetensors, got {args.output}")
    if args.output.exists():
        raise ValueError(f"{args.output} exists; move it or give another name")
    state = mean_of([read_state_dict(path) for path in args.checkpoints])
    if args.refiner:
        state = exchange_refiner(state, read_state_dict(args.refiner))
    content = pack(state)
    write_whole(args.output, content)
    size = f"{len(content) / 2**20:.1f} MiB"
    print(visible(f"{args.output}: {size}, sha256 {sha256(content).hexdigest()}"))
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))

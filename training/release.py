"""Packs the weights of a checkpoint into a small file to be given away.

Example: python -m training.release checkpoint/default_refine/best.pth weights/mine.safetensors
"""

import argparse
import sys
from hashlib import sha256
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from model.weights import identify, read_state_dict
from runtime.files import write_whole


def pack(state: dict[str, Tensor]) -> bytes:
    """Packs a state dict as safetensors, in half the size.

    Args:
        state: tensors by name.

    Returns:
        The file's content: weights as float16, running statistics as they are, since some leave the
        range of float16, and metadata that name network and backbone.

    Raises:
        ValueError: when a weight leaves the range of float16, or the names are of no network.
    """
    found = identify(state)
    packed = {}
    for name, value in state.items():
        half = value.is_floating_point() and "running_" not in name
        packed[name] = (value.half() if half else value).contiguous()
        if not bool(packed[name].isfinite().all()):
            raise ValueError(f"{name} leaves the range of float16, {value.abs().max():.3g}")
    network = {"mattingbase": "MattingBase", "mattingrefine": "MattingRefine"}[found.type]
    return save(packed, {"network": network, "backbone": found.backbone})


def main() -> int:
    """Reads the command line and writes the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path, help="a .safetensors file, which must not exist")
    args = parser.parse_args()
    try:
        if args.output.suffix != ".safetensors":
            raise ValueError(f"the output must end in .safetensors, got {args.output}")
        if args.output.exists():
            raise ValueError(f"{args.output} exists; move it or name another")
        content = pack(read_state_dict(args.checkpoint))
        write_whole(args.output, content)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {len(content) / 2**20:.1f} MiB, sha256 {sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

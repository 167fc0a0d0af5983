"""Export the network to files that other programs run: ONNX, OpenVINO, TorchScript and more.

Example: python export.py --format onnx --size HD --output-dir exported
"""

import os
import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from exports.network import Mode
from exports.settings import NetworkSettings, parse_size
from exports.write import Order, write_export
from matting.exported.card import Card, Format, card_path, list_files
from runtime.device import Precision
from runtime.files import check_writable, explain
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_yaml
from runtime.wording import listed, visible


@settings_group()
class Settings:
    """All settings of the script."""

    model: NetworkSettings = field(default_factory=NetworkSettings)
    format: Annotated[tuple[Format, ...], Field(min_length=1)] = ("onnx",)
    """Formats to write; docs/export.md says which is for what."""
    size: str = "HD"
    """Size of the frames: HD, 4K, width and height such as 1280x720, or dynamic for any multiples
    of 4 pixels from 64 on."""
    mode: Mode = "blocks"
    """Refinement: blocks, the squares of 16 x 16 pixels that hold the largest predicted errors;
    full, the whole frame; coarse, none."""
    precision: Precision = "float32"
    """Number format of the network; pictures and results stay float32."""
    output_dir: Path = Path("exported")
    """Folder for the files and their cards."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Replace existing outputs."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


def main() -> int:
    """Runs the script; returns its exit code: 0 only if every format was written."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return export(settings)


def export(settings: Settings) -> int:
    """Writes every format of the settings; returns the exit code."""
    size = parse_size(settings.size)
    order = Order(settings.model, size, settings.mode, settings.precision)
    formats = list(dict.fromkeys(settings.format))
    for format in formats:
        order.check(format)
    paths = [settings.output_dir / order.name(format) for format in formats]
    parts = [([x] if x.is_dir() else list_files(x)) + [card_path(x)] for x in paths]
    existing = [x.name for part in parts for x in part if os.path.lexists(x)]
    if existing and not settings.overwrite:
        raise ValueError(
            f"{settings.output_dir} has {listed(existing)} already; use -y to replace them"
        )
    check_writable(settings.output_dir)
    order.plain  # noqa: B018 - weights that can't be used are an error before any work
    failed = False
    for format, path in zip(formats, paths, strict=True):
        print(visible(f"writing {path}"), flush=True)
        try:
            print(visible(f"{path}: {describe(write_export(order, format, path.parent))}"))
        except Exception as error:  # an exporter has its own reasons, and others may succeed
            failed = True
            print(visible(f"error: {format}: {explain(error)}"), file=sys.stderr)
    return 1 if failed else 0


def describe(card: Card) -> str:
    """Sums up the comparison with PyTorch."""
    parity = card.parity
    if not parity.frames:
        return f"not compared with PyTorch; {parity.reason}"
    return (
        f"99% of the values differ from PyTorch's by at most {parity.most:.1e}, all by at most "
        f"{parity.largest:.1e} ({parity.runtime}, {len(parity.frames)} frames)"
        + (f"; {parity.reason}" if parity.reason else "")
    )


if __name__ == "__main__":
    sys.exit(run_script(main))

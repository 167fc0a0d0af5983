"""The table of multiply-adds of docs/performance.md, counted anew."""

from pathlib import Path

import torch

from benchmarks.speed import table
from benchmarks.speed.network import open_predictor
from benchmarks.speed.settings import MeasureSettings
from docs.making.sources import ROOT, MissingSourceError, Sources
from matting.settings import ComputeSettings, ModelSettings

PAGE = ROOT / "docs" / "performance.md"
HEAD = "| network | HD, ours | HD, paper | 4K, ours | 4K, paper |\n|---|---|---|---|---|\n"
NAMES = {"resnet50": "ResNet-50", "resnet101": "ResNet-101", "mobilenetv2": "MobileNetV2"}


def make_performance(sources: Sources, path: Path) -> None:
    """Writes the page with the table's rows counted anew.

    Raises:
        MissingSourceError: when the page has no such table.
    """
    text = PAGE.read_text(encoding="utf-8")
    if text.count(HEAD) != 1:
        raise MissingSourceError(f"{PAGE} has no table that begins with {HEAD!r}")
    before, after = text.split(HEAD)
    rest = after.partition("\n\n")[2]
    path.write_text(f"{before}{HEAD}{count_rows()}\n{rest}", encoding="utf-8")


def count_rows() -> str:
    """Counts GMac of each network and preset on noise, on a CPU: the rows of the table."""
    once = MeasureSettings(warm_up=0, iterations=1)
    rows = []
    for backbone in table.BACKBONES:
        settings = ModelSettings(backbone=backbone), ComputeSettings(device="cpu")
        predictor, _ = open_predictor(*settings, once, torch.device("cpu"), noise=True)
        cells = [NAMES[backbone]]
        for preset in table.PRESETS:
            macs = table.measure_preset(predictor, preset, once).macs
            cells += [f"{macs / 1e9:.1f}", str(table.PUBLISHED[backbone, preset.name][1])]
        rows.append(f"| {' | '.join(cells)} |\n")
    return "".join(rows)

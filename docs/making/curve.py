"""The curve of a training run, from its TensorBoard files."""

from pathlib import Path

import matplotlib
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from docs.making.sources import MissingSourceError, Sources

matplotlib.use("Agg")
from matplotlib import pyplot

LABELS = {
    "loss/pha_l1": "training batches",
    "valid/mad": "fixed samples",
    "valid/mad_coarse": "fixed samples, coarse alpha resized",
}


def make_curve(sources: Sources, path: Path) -> None:
    """Draws the error of alpha over minutes.

    Raises:
        MissingSourceError: when no log is named.
    """
    if sources.log is None:
        raise MissingSourceError("it takes --log, the log of a run of configs/synthetic_base.yaml")
    events = EventAccumulator(str(sources.log), size_guidance={"scalars": 0})
    events.Reload()
    present = events.Tags()["scalars"]
    names = [name for name in LABELS if name in present]
    start = events.Scalars(names[0])[0].wall_time
    figure, axes = pyplot.subplots(figsize=(8, 3.6), dpi=100)
    for name in names:
        points = events.Scalars(name)
        minutes = [(point.wall_time - start) / 60 for point in points]
        style = "-" if name.startswith("loss") else "o-"
        axes.plot(minutes, [point.value for point in points], style, label=LABELS[name], ms=4)
    axes.set(xlabel="minutes", ylabel="mean absolute error of alpha", yscale="log")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)

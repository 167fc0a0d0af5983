"""Draws the curve of a run from its TensorBoard files.

Example: python -m docs.make_training_curve log/synthetic_base docs/pictures/curve.png
"""

import argparse
from pathlib import Path

import matplotlib
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

matplotlib.use("Agg")
from matplotlib import pyplot


def main() -> None:
    """Reads the command line and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", type=Path, help="folder of the run's TensorBoard files")
    parser.add_argument("picture", type=Path, help="PNG to write")
    args = parser.parse_args()
    events = EventAccumulator(str(args.log), size_guidance={"scalars": 0})
    events.Reload()
    names = ["loss/pha_l1", "valid/mad"]
    if "valid/mad_coarse" in events.Tags()["scalars"]:
        names.append("valid/mad_coarse")
    start = events.Scalars(names[0])[0].wall_time
    figure, axes = pyplot.subplots(figsize=(8, 3.6), dpi=100)
    labels = {
        "loss/pha_l1": "training batches",
        "valid/mad": "fixed samples",
        "valid/mad_coarse": "fixed samples, coarse alpha resized",
    }
    for name in names:
        points = events.Scalars(name)
        minutes = [(point.wall_time - start) / 60 for point in points]
        style = "-" if name.startswith("loss") else "o-"
        axes.plot(minutes, [point.value for point in points], style, label=labels[name], ms=4)
    axes.set(xlabel="minutes", ylabel="mean absolute error of alpha", yscale="log")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(args.picture)


if __name__ == "__main__":
    main()

"""The report of an evaluation: on screen, as CSV, as JSON, and as an HTML page with pictures."""

import base64
import csv
import io
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from media.pictures import PictureError, reduced_size
from runtime.files import OnExisting
from runtime.wording import hide_folders, list_changes, to_json, visible

from .comparisons import Comparison
from .measure import REGIONS, Measurement, average
from .metrics import METRICS
from .reading import read_alpha, read_colours

FILES = ("evaluation.csv", "evaluation.json", "evaluation.html")
_FREE = ("on_existing", "overwrite", "config", "output_dir", "num_workers")  # change no metric
_SIDE = 480  # longer side of a picture on the page, pixels
_FULL = 0.5  # error that has full brightness
_MISSING, _EXCESS = (0.25, 0.55, 1.0), (1.0, 0.55, 0.1)  # blue, orange
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 24px; background: #181818; color: #e8e8e8 }
h1 { font-size: 22px } h2 { font-size: 16px; margin: 28px 0 6px; overflow-wrap: anywhere }
table { border-collapse: collapse } td, th { padding: 3px 14px 3px 0; text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.pictures { display: flex; gap: 8px } figure { margin: 0; flex: 0 1 auto }
figure img { display: block; max-width: 100% } figcaption, .quiet { color: #a8a8a8 }
.failed { color: #ff9d7a }
"""


@dataclass
class EvaluationReport:
    """The results of an evaluation."""

    unknown: str  # description of the unknown region
    sequences: bool = False  # whether folders are clips
    settings: dict[str, Any] = field(default_factory=dict)  # of the run, as plain values
    measurements: list[Measurement] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # images that were not measured, and why
    notes: list[str] = field(default_factory=list)  # warnings for the user

    def describe(self) -> str:
        """Formats the means over the images, with the scale of each metric."""
        means = average(self.measurements)
        head = f"{'':18}" + "".join(f"{title:>16}" for title in REGIONS.values())
        lines = [f"{head}  scale"]
        for name in means["frame"]:
            values = "".join(f"{_format(means[region][name]):>16}" for region in REGIONS)
            lines.append(f"{METRICS[name].label:18}{values}  {METRICS[name].scale}")
        lines.append(f"means over {len(self.measurements)} images; unknown region: {self.unknown}")
        return "\n".join(lines)

    def to_csv(self) -> bytes:
        """Makes a table with one row per image, in order; undefined values are empty."""
        names = list(average(self.measurements)["frame"])
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [f"{name}{suffix}" for suffix in ("", "_unknown") for name in names]
        writer.writerow(["image", "width", "height", "unknown_pixels", *columns])
        for image in self.measurements:
            values = [image.values[region].get(name) for region in REGIONS for name in names]
            row = [_cell(image.name), image.width, image.height, image.unknown]
            writer.writerow([*row, *("" if value is None else f"{value:.9g}" for value in values)])
        return text.getvalue().encode()

    def to_json(self) -> bytes:
        """Makes a summary: means, their scales, clips, failures, settings and every image."""
        means = average(self.measurements)
        clips: dict[str, list[Measurement]] = {}
        for image in self.measurements:
            clips.setdefault(str(PurePosixPath(image.name).parent), []).append(image)
        averages = {name: average(frames) for name, frames in clips.items()}
        content = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "counts": {"evaluated": len(self.measurements), "failed": len(self.failed)},
            "means": means,
            "scales": {name: METRICS[name].scale for name in means["frame"]},
            "unknown_region": self.unknown,
            "clips": averages if self.sequences else None,
            "failed": self.failed,
            "notes": self.notes,
            "settings": self.settings,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "images": [asdict(image) for image in self.measurements],
        }
        return to_json(hide_folders(content, self.settings))

    def to_html(self, comparisons: list[Comparison], metric: str, shown: int, title: str) -> bytes:
        """Makes a self-contained HTML page.

        Args:
            comparisons: the images' files, which are read again.
            metric: a key of `METRICS`; the images with the largest error come first.
            shown: number of images with pictures, 0 or more.
            title: heading.

        Raises:
            ValueError: when a file can no longer be read.
        """
        files = {comparison.name: comparison for comparison in comparisons}
        worst = sort_worst_first(self.measurements, metric)[:shown]
        images = "".join(_draw_image(image, files[image.name]) for image in worst)
        failed = "".join(
            f"<tr><td>{_show(name)}</td><td>{_show(reason)}</td></tr>"
            for name, reason in self.failed.items()
        )
        if failed:
            failed = f"<h2 class=failed>Not evaluated</h2><table>{failed}</table>"
        notes = "".join(f"<p>{_show(note)}</p>" for note in self.notes)
        legend = (
            f"{len(worst)} of {len(self.measurements)} images, the worst {METRICS[metric].label} "
            "first; the numbers of all are in evaluation.csv. Error: "
            "<span style='color:#ff8c1a'>orange</span> where the prediction is too large, "
            f"<span style='color:#408cff'>blue</span> where too small, full colour from {_FULL} on."
        )
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{_show(title)}</title>"
            f"<style>{_STYLE}</style><h1>{_show(title)}</h1>{self._draw_table()}{failed}"
            f"{notes}<p class=quiet>{legend if worst else ''}</p>{images}</html>\n"
        )
        return page.encode()

    def _draw_table(self) -> str:
        means = average(self.measurements)
        titles = "".join(f"<th class=number>{title}</th>" for title in REGIONS.values())
        rows = ""
        for name in means["frame"]:
            values = (f"<td class=number>{_format(means[region][name])}</td>" for region in REGIONS)
            label, scale = METRICS[name].label, METRICS[name].scale
            rows += f"<tr><td>{label}</td>{''.join(values)}<td class=quiet>{scale}</td></tr>"
        return (
            f"<table><tr><th></th>{titles}<th>scale</th></tr>{rows}</table>"
            f"<p class=quiet>Means over {len(self.measurements)} images. "
            f"Unknown region: {_show(self.unknown)}.</p>"
        )


def sort_worst_first(measurements: list[Measurement], metric: str) -> list[Measurement]:
    """Sorts by a metric over the frame, largest error first; images without a value come last."""

    def key(measurement: Measurement) -> float:
        value = measurement.values["frame"].get(metric)
        return 1.0 if value is None else -value

    return sorted(measurements, key=key)


def plan_outputs(folder: Path, on_existing: OnExisting) -> list[Path]:
    """Chooses the output files to write, without writing.

    Raises:
        ValueError: when one exists and `on_existing` is `error`, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output folder {folder} is a file; name another with --output-dir")
    paths = [folder / name for name in FILES]
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and on_existing == "error":
        raise ValueError(
            f"{len(existing)} of the outputs already exist: {', '.join(map(str, existing))}. Use "
            "--on-existing skip to make only what is missing, or overwrite (-y) to replace them"
        )
    kept = [path for path in existing if path.is_file() and path.stat().st_size]
    return [path for path in paths if path not in kept or on_existing == "overwrite"]


def note_kept(folder: Path, outputs: list[Path], settings: dict[str, Any]) -> list[str]:
    """Describes the different settings of existing outputs that are kept."""
    kept = [name for name in FILES if folder / name not in outputs]
    if not kept:
        return []
    try:
        before = json.loads((folder / FILES[1]).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, TypeError, KeyError):
        return [f"kept, but no {FILES[1]} records their settings: {', '.join(kept)}"]
    changes = list_changes(before, hide_folders(settings, settings))
    named = [
        f"{key} was {was}, now {now}" for key, (was, now) in changes.items() if key not in _FREE
    ]
    return [f"kept, but made with other settings: {', '.join(kept)}: {'; '.join(named)}"] * bool(
        named
    )


def colour_error(pred_pha: np.ndarray, true_pha: np.ndarray) -> np.ndarray:
    """Colours the error of an alpha, (H, W) float in [0, 1], as (H, W, 3) float32 RGB in [0, 1].

    Black means no error, orange a larger prediction, blue a smaller one; colours are full from a
    difference of 0.5 on.
    """
    error = (pred_pha - true_pha)[..., None] / _FULL
    colours = np.where(error > 0, np.array(_EXCESS), np.array(_MISSING))
    return (np.abs(error).clip(0, 1) * colours).astype(np.float32)


def _draw_image(image: Measurement, files: Comparison) -> str:
    try:
        pictures = {"frame": read_colours(files.src)} if files.src else {}
        true_pha, pred_pha = read_alpha(files.true_pha), read_alpha(files.pred_pha)
    except PictureError as error:
        raise ValueError(f"{files.name} can't be read for the page: {error}") from error
    pictures |= {"true alpha": true_pha, "predicted alpha": pred_pha}
    pictures["error"] = colour_error(pred_pha, true_pha)
    figures = "".join(
        f"<figure><img alt='{label}' src='{_embed(picture)}'><figcaption>{label}</figcaption>"
        "</figure>"
        for label, picture in pictures.items()
    )
    numbers = ", ".join(
        f"{METRICS[name].label} {_format(value)}"
        for name, value in image.values["frame"].items()
        if value is not None
    )
    return (
        f"<h2>{_show(image.name)}</h2><p class=quiet>{image.width} x {image.height} pixels; "
        f"{numbers}</p><div class=pictures>{figures}</div>"
    )


def _embed(picture: np.ndarray) -> str:
    """Makes a data URL of a picture in [0, 1], (H, W) or (H, W, 3) RGB, reduced if it is large."""
    size = reduced_size(picture.shape, _SIDE)
    small = picture
    if size != picture.shape[:2]:
        small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    pixels = (small.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    swapped = np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels
    _, data = cv2.imencode(".jpg", swapped, (cv2.IMWRITE_JPEG_QUALITY, 88))
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _format(value: float | None) -> str:
    """Formats a metric with five digits, or a dash if it is None."""
    return "-" if value is None else f"{value:.5g}"


def _show(text: str) -> str:
    return escape(visible(text))


def _cell(text: str) -> str:
    """Escapes text so that spreadsheets do not read it as a formula."""
    shown = visible(text)
    return f"'{shown}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else shown

"""The page: numbers, and pictures of the worst images, in one file that needs nothing else."""

import base64
from html import escape

import cv2
import numpy as np

from media.pictures import PictureError

from .jobs import Job
from .measure import REGIONS, Result, average
from .metrics import METRICS
from .reading import read_alpha, read_colours
from .report import Report, format_number

_SIDE = 480  # longer side of a picture, pixels
_FULL = 0.5  # error that is shown at full brightness
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


def draw_page(
    report: Report, jobs: list[Job], worst: list[Result], metric: str, title: str
) -> bytes:
    """Draws the page.

    Args:
        report: with all numbers.
        jobs: of the images, to read their files again.
        worst: the results to show with pictures, in this order.
        metric: name of the metric that gave the order.
        title: heading.

    Returns:
        HTML with everything inside it.

    Raises:
        ValueError: when a file can't be read any more.
    """
    by_name = {job.name: job for job in jobs}
    shown = "".join(_draw_image(result, by_name[result.name]) for result in worst)
    failed = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(reason)}</td></tr>"
        for name, reason in report.failed.items()
    )
    not_evaluated = f"<h2 class=failed>Not evaluated</h2><table>{failed}</table>" if failed else ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    legend = (
        f"{len(worst)} of {len(report.results)} images, the worst {METRICS[metric].label} first; "
        "the numbers of all are in evaluation.csv. Error: "
        "<span style='color:#ff8c1a'>orange</span> where the prediction is too large, "
        f"<span style='color:#408cff'>blue</span> where too small, full colour from {_FULL} on."
    )
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{_draw_table(report)}{not_evaluated}"
        f"{notes}<p class=quiet>{legend if worst else ''}</p>{shown}</html>\n"
    )
    return page.encode(errors="backslashreplace")


def colour_error(pred_pha: np.ndarray, true_pha: np.ndarray) -> np.ndarray:
    """Colours the error of an alpha.

    Args:
        pred_pha: (H, W) float in [0, 1].
        true_pha: (H, W) float in [0, 1].

    Returns:
        (H, W, 3) float32, RGB in [0, 1]: black where the two agree, orange where the prediction is
        larger, blue where it is smaller, full colour from a difference of 0.5 on.
    """
    error = (pred_pha - true_pha)[..., None] / _FULL
    colours = np.where(error > 0, np.array(_EXCESS), np.array(_MISSING))
    return (np.abs(error).clip(0, 1) * colours).astype(np.float32)


def _draw_table(report: Report) -> str:
    means = average(report.results)
    titles = "".join(f"<th class=number>{title}</th>" for title in REGIONS.values())
    rows = ""
    for name in means["frame"]:
        values = (
            f"<td class=number>{format_number(means[region][name])}</td>" for region in REGIONS
        )
        label, scale = METRICS[name].label, METRICS[name].scale
        rows += f"<tr><td>{label}</td>{''.join(values)}<td class=quiet>{scale}</td></tr>"
    return (
        f"<table><tr><th></th>{titles}<th>scale</th></tr>{rows}</table>"
        f"<p class=quiet>Means over {len(report.results)} images. "
        f"Unknown region: {escape(report.unknown)}.</p>"
    )


def _draw_image(result: Result, job: Job) -> str:
    try:
        true_pha, pred_pha = read_alpha(job.true_pha), read_alpha(job.pred_pha)
        src = read_colours(job.src) if job.src else None
    except PictureError as error:
        raise ValueError(f"{job.name} can't be read for the page: {error}") from error
    pictures = {
        "true alpha": true_pha,
        "predicted alpha": pred_pha,
        "error": colour_error(pred_pha, true_pha),
    }
    if src is not None:
        pictures = {"frame": src, **pictures}
    figures = "".join(
        f"<figure><img alt='{label}' src='{_embed(picture)}'><figcaption>{label}</figcaption>"
        "</figure>"
        for label, picture in pictures.items()
    )
    numbers = ", ".join(
        f"{METRICS[name].label} {format_number(value)}"
        for name, value in result.values["frame"].items()
        if value is not None
    )
    return (
        f"<h2>{escape(result.name)}</h2><p class=quiet>{result.width} x {result.height} pixels; "
        f"{numbers}</p><div class=pictures>{figures}</div>"
    )


def _embed(picture: np.ndarray) -> str:
    """A data URL of a picture in [0, 1], (H, W) or (H, W, 3) RGB, made smaller if it is large."""
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    pixels = (small.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    swapped = np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels
    _, data = cv2.imencode(".jpg", swapped, (cv2.IMWRITE_JPEG_QUALITY, 88))
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

"""Settings of the evaluation: what is compared, and what is shown of it."""

from pathlib import Path
from typing import Literal

from runtime.settings import REQUIRED, settings_group

MetricName = Literal["mad", "mse", "sad", "grad", "conn", "fgr_mse", "dtssd"]


@settings_group("")
class InputSettings:
    """What to compare: folders of any program's results and of the truth.

    Files belong together by relative path and stem; 8 or 16 bits, any format.

    Attributes:
        pred_pha: Predicted alphas: a folder or one file; grey, or RGBA, whose alpha channel counts.
        true_pha: True alphas.
        pred_fgr: Predicted foregrounds, not premultiplied, for the foreground's MSE.
        true_fgr: True foregrounds, not premultiplied.
        trimap: Trimaps (about 128 of 255 is unknown); the unknown region is taken from the true
            alpha when not given, see --unknown-radius.
        src: Frames, for the pictures of the page.
    """

    pred_pha: Path = REQUIRED
    true_pha: Path = REQUIRED
    pred_fgr: Path | None = None
    true_fgr: Path | None = None
    trimap: Path | None = None
    src: Path | None = None

    def __post_init__(self) -> None:
        if (self.pred_fgr is None) != (self.true_fgr is None):
            given, missing = "--pred-fgr", "--true-fgr"
            if self.pred_fgr is None:
                given, missing = missing, given
            raise ValueError(
                f"{given} was given without {missing}; the foreground's MSE needs both"
            )


@settings_group("")
class PageSettings:
    """What the page shows.

    Attributes:
        sort_by: Metric by which images are sorted, the worst first (its value over the frame).
        page_images: Images shown with pictures, the worst ones; 0 shows none. The numbers of all
            are in the CSV.
    """

    sort_by: MetricName = "mad"
    page_images: int = 50

    def __post_init__(self) -> None:
        if self.page_images < 0:
            raise ValueError(f"page_images must be 0 or more, got {self.page_images}")

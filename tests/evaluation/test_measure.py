"""One image from files to numbers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.comparisons import Comparison
from evaluation.measure import Measurement, average, measure_image


def save(path: Path, alpha: np.ndarray) -> Path:
    Image.fromarray(alpha).save(path)
    return path


def test_a_broken_frame_before_costs_only_the_change(tmp_path: Path) -> None:
    alpha = np.zeros((8, 9), np.uint8)
    alpha[:, 4:] = 255
    good, broken = save(tmp_path / "good.png", alpha), tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    job = Comparison("a", save(tmp_path / "pred.png", alpha), good, before=(broken, good))
    values = measure_image(job, 1).values["frame"]
    assert (values["mad"], "dtssd" in values) == (0, False)
    with pytest.raises(ValueError, match="broken.png: not a picture"):
        measure_image(Comparison("a", broken, good), 1)


def test_means_leave_out_what_has_no_value() -> None:
    def result(mad: float | None) -> Measurement:
        return Measurement("a", 1, 1, 0, {"frame": {"mad": 1.0}, "unknown": {"mad": mad}})

    assert average([result(0.5), result(None), result(0.25)])["unknown"] == {"mad": 0.375}
    assert average([result(None)]) == {"frame": {"mad": 1.0}, "unknown": {"mad": None}}
    assert average([]) == {"frame": {}, "unknown": {}}

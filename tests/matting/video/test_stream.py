"""Frames in order through threads, and the library's mattes of a clip beside the script's."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from matting.pictures.compose import quantise
from matting.pipeline import map_ahead, run_ahead
from matting.plate.prepare import Preprocess
from matting.predictor import Predictor
from matting.quality import Budget, resolve_budget
from matting.video.smoothing import AlphaSmoother
from matting.video.stream import matte_frames
from model.weights import load_network


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_is_kept(workers: int) -> None:
    def wait(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return -number

    threads = torch.get_num_threads()
    assert list(map_ahead(wait, range(12), workers, 2)) == [-number for number in range(12)]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_what_came_before_an_error_is_handed_over(workers: int) -> None:
    def fail_at_five(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    def stop_at_five() -> Iterator[int]:
        yield from range(5)
        raise ValueError("five")

    for found in (
        map_ahead(fail_at_five, range(9), workers, 2),
        map_ahead(abs, stop_at_five(), workers, 2),
        map_ahead(abs, run_ahead(stop_at_five(), min(workers, 1)), workers),
    ):
        seen = []
        with pytest.raises(ValueError, match="five"):  # noqa: PT012 - of the loop
            for number in found:
                seen.append(number)
        assert seen == list(range(5))


def test_no_more_is_taken_than_may_wait() -> None:
    taken = []
    found = map_ahead(abs, (taken.append(n) or n for n in range(100)), 1, 2)
    assert next(found) == 0
    time.sleep(0.05)
    assert len(taken) == 3
    found.close()
    assert threading.active_count() < 20


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """Of the weights that the script takes."""
    from matting.settings import DEFAULT_CHECKPOINT

    return Predictor(load_network(DEFAULT_CHECKPOINT), torch.device("cpu"), lanes=2)


def test_library_and_script_give_the_same_bits(
    tmp_path: Path, clips, photographs, run_video, predictor: Predictor
) -> None:
    """A plate that lies 12 pixels aside, smoothed; the clip as arrays and as files."""
    frames = clips.moving(6, 144, 192)
    for number, picture in enumerate(frames):
        photographs.save(tmp_path / "src" / f"{number}.png", picture)
    plate = np.roll(photographs.plate(144, 192), 12, axis=1)
    path = photographs.save(tmp_path / "plate.png", plate)
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", tmp_path / "src", "--video-bgr", path, "--output-dir", out),
        *("--temporal-smoothing", 0.5, "--output-format", "image_sequences"),
    )
    run.check(0, r"note: the camera moved by up to 12\.0 pixels", r"alignment: .* ms per frame in")
    entry = json.loads((out / "summary.json").read_text("utf-8"))["images"][0]
    assert "the plate is aligned" in entry["notes"][0]
    assert entry["details"]["capture"]["problems"] == {"camera moved": 1}
    preprocess = Preprocess("auto")

    def budget(height: int, width: int) -> Budget:
        return resolve_budget(height, width, "auto")

    for source, work in ((frames, budget), (tmp_path / "src", budget(144, 192))):
        matted = list(matte_frames(source, plate, predictor, work, preprocess, 0.5))
        assert "the plate is aligned" in matted[0].preparation.notes[0]
        for number, one in enumerate(matted):
            np.testing.assert_array_equal(one.src, frames[number])
            assert one.preparation.bgr.shape == one.src.shape
            pha = np.asarray(Image.open(out / "pha" / f"{number}.png"))
            np.testing.assert_array_equal(quantise(one.prediction.pha, 8), pha)
    one_by_one = AlphaSmoother(0.5)
    alone = [
        one_by_one.smooth(
            one.src,
            predictor.predict(one.src, one.preparation.bgr, resolve_budget(144, 192, "auto")).pha,
        )
        for one in matted
    ]
    for pha, one in zip(alone, matted, strict=True):
        # Another number of threads adds in another order.
        np.testing.assert_allclose(pha, one.prediction.pha, atol=1e-5)


def test_preprocess_none_uses_the_plate_as_it_is(photographs, clips, predictor: Predictor) -> None:
    plate = np.roll(photographs.plate(144, 192), 12, axis=1)
    frames, work = clips.moving(2, 144, 192), resolve_budget(144, 192, "auto")
    for one in matte_frames(iter(frames), plate, predictor, work, Preprocess("none")):
        assert one.preparation.bgr is plate
        assert one.preparation.notes == ()
        assert one.prediction.pha.mean() > 0.5, "what the check is for"

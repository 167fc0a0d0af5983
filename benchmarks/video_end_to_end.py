"""Frames per second of a video run, and of its parts alone: decoding, network, encoding.

Example: python -m benchmarks.video_end_to_end CLIP --frames 200

A part that is timed alone can use the whole machine; in a run all parts share it. The network alone
is timed as the program runs it, two frames at a time on a CPU, and one frame at a time with all
threads; the faster of the two is used. With fewer cores than the parts use, overlapping is bound by
the processor time of all parts divided by the cores. An H.264 encoder holds back about 40 frames,
so use a clip of several times that length; else encoding overlaps with nothing.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import get_args

import cv2
import torch

from benchmarks.timing import count_cores
from matting.loading import load_predictor
from matting.pipeline import map_ahead
from matting.plate.prepare import Preprocess, fit_plate
from matting.prediction import Prediction
from matting.predictor import Predictor
from matting.quality import Quality
from matting.settings import ComputeSettings, ModelSettings
from matting.video.open import open_source
from matting.video.outputs import VideoOutputs, plan_paths
from matting.video.plate import open_plate
from matting.video.run import VideoRun
from matting.video.settings import EncodingSettings, VideoOutputSettings, VideoSettings
from matting.video.stream import FrameMatter
from matting.video.target import TargetFeed, TargetSettings
from media.frames import Frame, VideoInfo, VideoSource

NEW_BACKGROUND = "green"
# Mattes that are kept for encoding, played forwards and backwards: 400 MB at 768 x 576 pixels.
_HELD = 40


class FirstFrames:
    """The first frames of a source, as a source."""

    def __init__(self, source: VideoSource, count: int) -> None:
        self.info: VideoInfo = source.info
        self._source, self._left = source, count

    @property
    def notes(self) -> tuple[str, ...]:
        """See `VideoSource`."""
        return self._source.notes

    def read(self) -> Frame | None:
        """See `VideoSource`."""
        self._left -= 1
        return self._source.read() if self._left >= 0 else None

    def take_audio(self) -> tuple:
        """See `VideoSource`."""
        return self._source.take_audio()

    def close(self) -> None:
        """See `VideoSource`."""
        self._source.close()


class Parts:
    """The parts of a run over the first frames of a clip, and the whole run.

    Args:
        clip: a video by a fixed camera.
        bgr: its plate: a picture, or `median`.
        count: number of frames.
        predictor: computes the mattes.
        model: its settings.
        quality: the work per frame.
    """

    def __init__(
        self,
        clip: Path,
        bgr: str,
        count: int,
        predictor: Predictor,
        model: ModelSettings,
        quality: Quality = "auto",
    ) -> None:
        self._settings = VideoSettings(clip, bgr)
        self._count, self._predictor = count, predictor
        with closing(self._open()) as source:
            self._info = source.info
            self._frames: list[Frame] = []
            while (frame := source.read()) is not None:
                self._frames.append(frame)
        reopen = partial(open_source, self._settings)
        self._plate_at, _ = open_plate(bgr, None, 60, reopen, self._info)
        self._budget = predictor.choose_budget(
            self._info.height, self._info.width, quality, **model.work
        )
        self._bgr = fit_plate(src=self._frames[0].pixels, bgr=self._plate_at(Fraction(0)))[0]
        self._mattes = [
            predictor.predict(frame.pixels, self._bgr, self._budget)
            for frame in self._frames[:_HELD]
        ]

    def _open(self) -> FirstFrames:
        return FirstFrames(open_source(self._settings), self._count)

    def _open_outputs(self, folder: str) -> VideoOutputs:
        settings, encoding = VideoOutputSettings(Path(folder)), EncodingSettings()
        return VideoOutputs(plan_paths(settings, encoding), self._info, settings, encoding, False)

    def decode(self) -> None:
        """Reads the frames."""
        with closing(self._open()) as source:
            while source.read() is not None:
                pass

    def network(self) -> None:
        """Mattes the frames, as many at a time as the program."""
        self._matte_all(1, self._predictor.lanes)

    def one_at_a_time(self) -> None:
        """Mattes one frame at a time."""
        self._matte_all(0, 1)

    def _matte_all(self, workers: int, lanes: int) -> None:
        plate = self._predictor.prepare(self._bgr)

        def compute(frame: Frame) -> Prediction:
            return self._predictor.predict(frame.pixels, plate, self._budget)

        for _ in map_ahead(compute, self._frames, lanes if workers else 0):
            pass

    def encode(self) -> None:
        """Writes com and pha of all frames with the mattes that were kept, and checks them."""
        target = TargetFeed(NEW_BACKGROUND, TargetSettings()).at(Fraction(0), self._bgr)
        with tempfile.TemporaryDirectory() as folder:
            outputs = self._open_outputs(folder)
            there_and_back = cycle([*self._mattes, *self._mattes[-2:0:-1]])
            for frame, matte in zip(self._frames, there_and_back, strict=False):
                outputs.write(frame, matte, target)
            outputs.finish(())

    def together(self) -> None:
        """The whole run, overlapped as in the program."""
        with tempfile.TemporaryDirectory() as folder, closing(self._open()) as source:
            outputs = self._open_outputs(folder)
            targets = TargetFeed(NEW_BACKGROUND, TargetSettings())
            matter = FrameMatter(self._predictor, self._budget, Preprocess())
            run = VideoRun(source, self._plate_at, targets, matter, outputs)
            run.run(lambda: None, print, lambda: False, 1)
            if run.progress.error is not None:
                raise run.progress.error
            outputs.finish(source.take_audio())


def measure(
    parts: dict[str, Callable[[], None]], frames: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Times the parts one after the other, in several rounds.

    Returns:
        For each part and round: frames per second, and processor seconds per frame over all
        threads.
    """
    rates: dict[str, list[float]] = {name: [] for name in parts}
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, run in parts.items():
            start, processor = perf_counter(), process_time()
            run()
            rates[name].append(frames / (perf_counter() - start))
            spent[name].append((process_time() - processor) / frames)
    return rates, spent


def compare(rates: dict[str, list[float]]) -> tuple[list[float], list[float]]:
    """Compares the whole run with the parts of the same round, because the machine's speed drifts.

    Args:
        rates: see `measure`.

    Returns:
        For every round: the rate of the whole run as a fraction of the slowest part's, and as a
        multiple of the rate of one part after the other.
    """
    shares, gains = [], []
    for together, decode, *network, encode in zip(
        *(rates[name] for name in ("together", "decode", "network", "one_at_a_time", "encode")),
        strict=True,
    ):
        alone = decode, max(network), encode
        shares.append(together / min(alone))
        gains.append(together * sum(1 / rate for rate in alone))
    return shares, gains


def main() -> None:
    """Reads the command line and prints the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--bgr", default="median", help="the plate: a picture, or median")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--backend", default="pytorch")
    parser.add_argument("--precision", help="default: by quality")
    parser.add_argument(
        "--qualities",
        nargs="+",
        default=["auto"],
        choices=get_args(Quality),
        help="of all but the first only the whole run is timed",
    )
    parser.add_argument("--backbone-scale", type=float, help="default: by size")
    parser.add_argument("--refine-sample-pixels", type=int, help="default: by size")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    model = ModelSettings(
        backbone_scale=args.backbone_scale, refine_sample_pixels=args.refine_sample_pixels
    )
    compute = ComputeSettings(device=args.device, precision=args.precision, backend=args.backend)
    predictor = load_predictor(model, compute)
    parts, *others = (
        Parts(args.clip, args.bgr, args.frames, predictor, model, quality)
        for quality in args.qualities
    )
    names = ("decode", "network", "one_at_a_time", "encode", "together")
    runs = {name: getattr(parts, name) for name in names}
    runs |= {q: other.together for q, other in zip(args.qualities[1:], others, strict=True)}
    rates, spent = measure(runs, args.frames, args.rounds)
    shares, gains = compare(rates)
    alone = {name: median(values) for name, values in rates.items()}
    together, one_at_a_time = alone.pop("together"), alone.pop("one_at_a_time")
    whole = {quality: alone.pop(quality) for quality in args.qualities[1:]}
    print(f"{torch.get_num_threads()} threads, {args.frames} frames, medians of {args.rounds} runs")
    print(", ".join(f"{name} alone {rate:.2f}" for name, rate in alone.items()) + " frames/s")
    print(f"network alone, one frame at a time {one_at_a_time:.2f} frames/s")
    print(
        f"together {together:.2f} frames/s: {median(shares):.2f} of the slowest part of its round "
        f"({min(shares):.2f} to {max(shares):.2f}), {median(gains):.2f} times one after the other"
    )
    for quality, rate in whole.items():
        pairs = zip(rates[quality], rates["together"], strict=True)
        gain = median(one / other for one, other in pairs)
        print(f"together with quality {quality} {rate:.2f} frames/s, {gain:.2f} times that")
    told = ", ".join(f"{name} {1000 * median(values):.1f}" for name, values in spent.items())
    print(f"processor time per frame, ms: {told}; {count_cores()} cores")


if __name__ == "__main__":
    main()

"""Speed from input files to output files, and of each part alone, which bounds it."""

from functools import lru_cache, partial
from itertools import cycle, islice
from tempfile import gettempdir
from threading import BoundedSemaphore, Lock
from time import perf_counter, process_time
from typing import Any

from benchmarks.speed.frames import NO_TARGET
from benchmarks.timing import count_cores
from matting import Matte, Matting
from matting.images.frame import LoadedFrame, load_frame, matte_frame, write_outputs
from matting.images.plan import Job
from matting.pipeline import map_ahead
from matting.plate.prepare import Preprocess
from matting.predictor import Predictor
from matting.settings import ModelSettings
from media.pictures import read_picture
from runtime.progress import show_progress
from storage.files import remove

# Mattes kept with their frames, as input of parts that are timed alone: 0.9 GB at 4K.
_HELD = 4
_NAMES = {
    "frames_per_second": "frames/s from files to files",
    "decode": "decoding alone",
    "compute": "the network alone",
    "encode": "encoding alone",
    "decode_encode": "decoding and encoding",
}


def measure_end_to_end(
    jobs: list[Job],
    predictor: Predictor,
    model: ModelSettings,
    preprocess: Preprocess,
    workers: int,
    frames: int,
) -> dict[str, Any]:
    """Times decoding, computing and encoding, overlapped and each alone.

    Args:
        jobs: frames. Their outputs are removed as soon as they are written.
        predictor: computes the mattes.
        model: scale and pixels; values that are not given are those of the quality `auto`.
        preprocess: preparation of the plates; its time counts as decoding.
        workers: number of decoding threads, and of encoding threads.
        frames: minimum number of frames; every job is used at least once.

    Returns:
        Rates in frames per second: `frames_per_second` of everything; `decode`, `compute` (a frame
        at a time or one per lane, whichever is faster), `encode` and `decode_encode` alone;
        `in_turn`, compute and decode_encode one after the other; `most`, if the
        `processor_seconds` of a frame, over all threads, filled all `cores`. And
        `share_of_bound`, everything divided by the slower of compute and decode_encode;
        `gain_over_in_turn`, everything divided by `in_turn`.

    Raises:
        ValueError: when a picture can't be read or does not fit its plate.
        OSError: when an output can't be written.
    """
    parts = _Parts(jobs, predictor, model, preprocess)
    passing = list(islice(cycle(jobs), max(frames, len(jobs))))
    rate = partial(parts.measure, passing, predictor.lanes)
    decode, _ = rate(workers, parts.load, _nothing, _nothing)
    # The faster of one frame and several frames at a time.
    ways = (0, workers) if predictor.lanes > 1 else (0,)
    compute, computing = max(rate(way, _nothing, parts.compute_held, _nothing) for way in ways)
    encode, _ = rate(workers, _nothing, parts.take_held, parts.store)
    both, passing_through = rate(workers, parts.load, parts.take_held, parts.store)
    everything, _ = rate(workers, parts.load, parts.compute, parts.store)
    in_turn = 1 / (1 / compute + 1 / both)
    cores = count_cores()
    return {
        "frames": len(passing),
        "num_workers": workers,
        "folder": gettempdir(),
        "frames_per_second": everything,
        "decode": decode,
        "compute": compute,
        "encode": encode,
        "decode_encode": both,
        "share_of_bound": everything / min(compute, both),
        "in_turn": in_turn,
        "gain_over_in_turn": everything / in_turn,
        "processor_seconds": {"compute": computing, "decode_encode": passing_through},
        "cores": cores,
        "most": cores / (computing + passing_through),
    }


def format_rates(rates: dict[str, Any]) -> str:
    """Formats the figures of `measure_end_to_end`, one per line."""
    lines = [f"{text:<30}{rates[name]:.2f}" for name, text in _NAMES.items()]
    bound = "the slower of the network alone and decoding and encoding"
    gain = f"{rates['gain_over_in_turn']:.2f} times the rate of the two one after the other"
    compute, others = rates["processor_seconds"].values()
    most = (
        f"{compute:.3f} and {others:.3f} processor seconds per frame would fill {rates['cores']} "
        f"cores at {rates['most']:.2f} frames/s"
    )
    return "\n".join([*lines, f"{rates['share_of_bound']:.1%} of {bound}", gain, most])


# A frame, its matte, and the seconds that computing it took.
MattedFrame = tuple[LoadedFrame, Matte, float]


class _Parts:
    """The parts of a run. Mattes made beforehand are the input of parts that are timed alone."""

    def __init__(
        self, jobs: list[Job], predictor: Predictor, model: ModelSettings, preprocess: Preprocess
    ) -> None:
        self._matting, self._preprocess = Matting(predictor, model, "auto"), preprocess
        # A plate that serves many frames is decoded once, as in inference_images.py.
        self.read_plate = lru_cache(maxsize=4)(read_picture)
        chosen = jobs[:: -(-len(jobs) // _HELD)]
        self._held = cycle([self.compute(job, self.load(job)) for job in chosen])  # also warms up
        self._lock = Lock()

    def measure(
        self, passing: list[Job], lanes: int, workers: int, load: Any, process: Any, save: Any
    ) -> tuple[float, float]:
        """Frames per second through the given parts, and processor seconds per frame."""
        self.read_plate.cache_clear()
        start, spent = perf_counter(), process_time()
        turn = BoundedSemaphore(lanes)

        def take(job: Job) -> None:
            loaded = load(job)
            with turn:
                result = process(job, loaded)
            save(job, result)

        threads = 2 * workers + lanes if workers else 0  # as in inference_images.py
        ways = map_ahead(take, passing, threads, lanes=lanes)
        for _ in show_progress(ways, "passing frames", len(passing), "frame"):
            pass
        seconds, spent = perf_counter() - start, process_time() - spent
        return len(passing) / seconds, spent / len(passing)

    def load(self, job: Job) -> LoadedFrame:
        return load_frame(job, NO_TARGET, self._preprocess, self.read_plate)

    def compute(self, job: Job, loaded: LoadedFrame) -> MattedFrame:
        return loaded, *matte_frame(loaded, self._matting)

    def store(self, job: Job, matted: MattedFrame) -> None:
        for _ in write_outputs(job, *matted, 8):
            pass
        for path in job.outputs.values():
            remove(path)  # so that the disk does not fill

    def take_held(self, *passed: object) -> MattedFrame:
        with self._lock:
            return next(self._held)

    def compute_held(self, job: Job, loaded: object) -> MattedFrame:
        return self.compute(job, self.take_held()[0])


def _nothing(*passed: object) -> None:
    """Replaces a part that is left out."""

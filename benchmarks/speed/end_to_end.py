"""Speed from files to files, and of each share of the way alone, so that the bound is seen."""

from collections.abc import Callable
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from tempfile import gettempdir
from threading import Lock
from time import perf_counter, process_time
from typing import Any

from benchmarks.speed.settings import PictureSettings
from benchmarks.speed.timing import count_cores
from matting import Matting
from matting.images.frame import LoadedFrame, MattedFrame, load_frame, matte_frame, write_outputs
from matting.images.plan import Job, plan_jobs
from matting.pictures.target import Target
from matting.pipeline import overlap
from matting.plate.prepare import Preprocess
from matting.predictor import Predictor
from matting.settings import ModelSettings
from media.pictures import read_picture

_NO_TARGET = Target("none")
# Frames and mattes that are kept for the shares that need them made: 0.9 GB at 4K.
_HELD = 4


def plan_pictures(image: PictureSettings, output_dir: Path) -> list[Job]:
    """Finds frames and plates as `inference_images.py` does.

    Args:
        image: frames and plates.
        output_dir: where the outputs com and pha would go; nothing may be there yet.

    Returns:
        One job for each frame.

    Raises:
        ValueError: when a path holds no picture or a frame has no plate.
    """
    if image.src is None or image.bgr is None:
        raise ValueError("pictures are needed; name them with --image-src and --image-bgr")
    plan = plan_jobs(image.src, image.bgr, _NO_TARGET, output_dir, ("com", "pha"), "error")
    if plan.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in plan.failed.items())
        raise ValueError(f"every frame of --image-src needs a plate in --image-bgr; {reasons}")
    return plan.jobs


def load_pictures(job: Job, preprocess: Preprocess) -> LoadedFrame:
    """Reads a frame and its plate, and makes them fit; see `load_frame`."""
    return load_frame(job, _NO_TARGET, preprocess, read_picture)


def measure_end_to_end(
    jobs: list[Job],
    predictor: Predictor,
    model: ModelSettings,
    preprocess: Preprocess,
    workers: int,
    frames: int,
) -> dict[str, Any]:
    """Times decoding, computing and encoding: all at the same time, and each alone.

    Args:
        jobs: frames. Their outputs are removed as soon as they are written.
        predictor: computes the mattes.
        model: scale and pixels, where they are given; else those of the quality `auto`.
        preprocess: what is to be done to the plates, which counts as decoding.
        workers: threads that decode and as many that encode.
        frames: to pass at least; every job passes once at least, in turns.

    Returns:
        `frames_per_second` of everything, `decode`, `compute`, `encode` and `decode_encode` (the
        two together, without the network) in frames a second; compute is the faster of a frame at
        a time and as many as the predictor has lanes. `share_of_bound`: the rate of everything as a
        share of the slower of compute and decode_encode; `in_turn`: the rate of compute and
        decode_encode one after the other; `gain_over_in_turn`: the rate of everything divided by
        it. `processor_seconds`: time that all threads together spend on a frame, computing and
        decoding and encoding, each alone; `most`: the rate at which that fills all `cores`, on a
        CPU, where nothing waits.

    Raises:
        ValueError: when a picture can't be read or does not fit its plate.
        OSError: when an output can't be written.
    """
    matting = Matting(predictor, model, "auto")
    passing = list(islice(cycle(jobs), max(frames, len(jobs))))

    def compute(job: Job, loaded: LoadedFrame) -> MattedFrame:
        return matte_frame(loaded, matting)

    def store(job: Job, matted: MattedFrame) -> None:
        write_outputs(job, matted, 8)
        for path in job.outputs.values():
            path.unlink(missing_ok=True)  # the disk does not fill

    # Stand for all frames where something else is measured; this warms the network up, too.
    step = -(-len(jobs) // _HELD)
    turns = cycle([compute(job, load_pictures(job, preprocess)) for job in jobs[::step]])
    lock = Lock()

    def loader() -> Callable[[Job], LoadedFrame]:
        # A plate that serves many frames is decoded once, as in inference_images.py.
        read_background = lru_cache(maxsize=4)(read_picture)
        return lambda job: load_frame(job, _NO_TARGET, preprocess, read_background)

    def rate(
        load: Callable[[Job], Any],
        process: Callable[[Job, Any], Any],
        save: Callable[[Job, Any], None],
        threads: int = workers,
    ) -> tuple[float, float]:
        start, spent = perf_counter(), process_time()
        for done in overlap(passing, load, process, save, threads, lanes=predictor.lanes):
            _raise(*done)
        seconds, spent = perf_counter() - start, process_time() - spent
        return len(passing) / seconds, spent / len(passing)

    def compute_again(job: Job, loaded: object) -> MattedFrame:
        with lock:
            matted = next(turns)
        return compute(job, matted.frame)

    def take(job: Job, loaded: object) -> MattedFrame:
        with lock:
            return next(turns)

    decode, _ = rate(loader(), _nothing, _nothing)
    # The faster of a frame at a time and of several.
    ways = (0, workers) if predictor.lanes > 1 else (0,)
    alone, computing = max(rate(_nothing, compute_again, _nothing, count) for count in ways)
    encode, _ = rate(_nothing, take, store)
    both, passing_through = rate(loader(), take, store)
    everything, _ = rate(loader(), compute, store)
    in_turn = 1 / (1 / alone + 1 / both)
    cores = count_cores()
    return {
        **{"frames": len(passing), "num_workers": workers, "folder": gettempdir()},
        **{"frames_per_second": everything, "decode": decode, "compute": alone},
        **{"encode": encode, "decode_encode": both},
        "share_of_bound": everything / min(alone, both),
        **{"in_turn": in_turn, "gain_over_in_turn": everything / in_turn},
        "processor_seconds": {"compute": computing, "decode_encode": passing_through},
        **{"cores": cores, "most": cores / (computing + passing_through)},
    }


def format_rates(rates: dict[str, Any]) -> str:
    """Writes the figures of `measure_end_to_end` for a reader, one a line."""
    names = {
        "frames_per_second": "frames/s from files to files",
        "decode": "decoding alone",
        "compute": "the network alone",
        "encode": "encoding alone",
        "decode_encode": "decoding and encoding",
    }
    lines = [f"{text:<30}{rates[name]:.2f}" for name, text in names.items()]
    bound = "the slower of the network alone and decoding and encoding"
    gain = f"{rates['gain_over_in_turn']:.2f} times the rate of the two in turn"
    compute, others = rates["processor_seconds"].values()
    most = (
        f"{compute:.3f} and {others:.3f} processor seconds a frame would fill {rates['cores']} "
        f"cores at {rates['most']:.2f} frames/s"
    )
    return "\n".join([*lines, f"{rates['share_of_bound']:.1%} of {bound}", gain, most])


def _nothing(*passed: object) -> None:
    """A share of the way that is left out."""


def _raise(job: Job, computed: object, error: Exception | None) -> None:
    if error is not None:
        raise error

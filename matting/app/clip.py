"""A visitor's clip: the program's video run, with a preview that every browser plays."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import Packet

from media.frames import Frame
from media.pictures import read_picture

from ..pictures.target import Target
from ..plate.prepare import Preprocess
from ..prediction import Prediction
from ..predictor import Predictor
from ..quality import resolve_budget
from ..video.open import open_video
from ..video.outputs import VideoOutputs, plan_paths
from ..video.plate import MEDIAN, open_plate
from ..video.run import VideoRun
from ..video.settings import Codec, EncodingSettings, VideoOutputSettings
from ..video.stream import FrameMatter
from ..video.target import TargetFeed, TargetSettings
from ..webcam.controls import checkerboard
from .limits import Limits, ShortSource, check_container, check_picture

# Of files with alpha, by the page's names.
CODECS: dict[str, Codec] = {"WebM (VP9)": "vp9", "MOV (ProRes 4444)": "prores"}
_MEDIAN_FRAMES = 60  # as the script's default


@dataclass(frozen=True)
class ClipJob:
    """What a visitor asked for."""

    src: Path
    median: bool  # whether the plate is the clip's median,
    number: int | None  # or else a frame of it,
    picture: Path | None  # or else this picture
    target: Target
    codec: Codec  # of a transparent result


@dataclass(frozen=True)
class ClipResult:
    """A file to keep, one to look at, and what to say."""

    file: Path
    preview: Path
    notes: tuple[str, ...]


class _Previewed:
    """Writes what has alpha, and the same over a checkerboard; see `VideoOutputs`."""

    def __init__(self, file: VideoOutputs, preview: VideoOutputs) -> None:
        self._file, self._preview = file, preview
        self.writers = file.writers

    def write(self, frame: Frame, matte: Prediction, target: np.ndarray | None) -> None:
        self._file.write(frame, matte, target)
        self._preview.write(frame, matte, checkerboard(*matte.pha.shape))

    def finish(self, audio: tuple[Packet, ...]) -> None:
        self._file.finish(audio)
        self._preview.finish(audio)

    def abandon(self) -> None:
        self._file.abandon()
        self._preview.abandon()


def matte_clip(
    job: ClipJob,
    predictor: Predictor,
    limits: Limits,
    new_file: Callable[[str], Path],
    tell: Callable[[int, int | None], object],
) -> ClipResult:
    """Mattes a clip as `inference_video.py` does.

    Args:
        job: what to do.
        predictor: the network.
        limits: of the page.
        new_file: makes a path in a folder of its own, of a name.
        tell: called with the frames that are done, and how many there are as far as known.

    Returns:
        The result.

    Raises:
        ValueError: for what can't be read or is too large; OSError when a file can't be written.
    """
    check_container(job.src)

    def reopen() -> ShortSource:
        return ShortSource(open_video(job.src, "--video-src", audio=True), limits)

    with closing(reopen()) as source:
        info = source.info
        bgr, frame_number = _name_plate(job, limits)
        plate_at, notes = open_plate(bgr, frame_number, _MEDIAN_FRAMES, reopen, info)
        targets = _open_target(job.target, limits, info.pixel_aspect)
        encoding = EncodingSettings(codec=job.codec if targets.transparent else "h264")
        folder = new_file("com").parent
        settings = VideoOutputSettings(dir=folder, types=("com",))
        paths = plan_paths(settings, encoding)
        outputs = VideoOutputs(paths, info, settings, encoding, targets.transparent)
        preview = paths["com"]
        both: VideoOutputs | _Previewed = outputs
        if targets.transparent:
            preview = new_file("preview.mp4")
            plain = EncodingSettings()
            shown = VideoOutputs({"com": preview}, info, settings, plain, transparent=False)
            both = _Previewed(outputs, shown)
        budget = resolve_budget(info.height, info.width, quality="auto")
        matter = FrameMatter(predictor, budget, Preprocess())
        run = VideoRun(source, plate_at, targets, matter, both)  # type: ignore[arg-type]
        _make(run, tell)
        notes += [*info.notes, *source.notes, *run.progress.notes]
        file = paths["com"].rename(paths["com"].with_stem(f"{job.src.stem}_matted"))
        preview = file if preview == paths["com"] else preview
        return ClipResult(file, preview, tuple(notes))


def _name_plate(job: ClipJob, limits: Limits) -> tuple[str | None, int | None]:
    """The plate as `open_plate` takes it: a name or the number of a frame."""
    if job.median:
        return MEDIAN, None
    if job.number is not None:
        return None, job.number
    if job.picture is None:
        raise ValueError(
            "a plate is needed, a picture of the scene without the subject: drop one, or choose a "
            "frame of the clip or its median"
        )
    check_picture(job.picture, limits.megapixels, "the plate")
    read_picture(job.picture)  # what is no picture would be tried as a video
    return str(job.picture), None


def _open_target(target: Target, limits: Limits, aspect: Fraction) -> TargetFeed:
    settings = TargetSettings()
    if target.kind == "colour" and target.colour is not None:
        return TargetFeed("#{:02x}{:02x}{:02x}".format(*target.colour), settings)
    if target.path is not None:
        check_picture(target.path, limits.megapixels, "the new background")
        read_picture(target.path)
        return TargetFeed(str(target.path), settings, aspect=aspect)
    return TargetFeed("blur" if target.kind == "blur" else None, settings)


def _make(run: VideoRun, tell: Callable[[int, int | None], object]) -> None:
    """Mattes all frames and ends the outputs; raises what ended it before."""
    claimed = run.source.info.duration
    total = round(claimed * run.source.info.rate) if claimed else None
    try:
        run.run(lambda: tell(run.progress.done, total), lambda note: None, lambda: False, workers=1)
        if run.progress.error is not None:
            raise run.progress.error
        run.outputs.finish(run.source.take_audio())
    finally:
        run.outputs.abandon()

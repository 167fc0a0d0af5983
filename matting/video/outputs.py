"""All outputs of a video: planned, opened, written frame by frame, finished or abandoned."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import Packet

from media.aspect import to_aspect
from media.colour import ColourTags
from media.frames import Frame, VideoError, VideoInfo
from media.pictures import PictureError, read_picture, write_jpeg, write_png
from runtime.files import remove_leftovers
from runtime.wording import listed

from ..pictures.compose import AlphaMode, BitDepth, render
from ..prediction import Prediction
from .settings import RECIPES, EncodingSettings, VideoOutputSettings, VideoOutputType
from .writer import Layout, VideoWriter

_COLOURS: tuple[VideoOutputType, ...] = ("com", "fgr")  # the first one written gets the sound

Paths = Mapping[VideoOutputType, Path]


def plan_paths(settings: VideoOutputSettings, encoding: EncodingSettings) -> Paths:
    """Names each output: a video file, or the folder of a picture sequence."""
    extension = RECIPES[encoding.codec].extension if settings.format == "video" else ""
    return {kind: settings.dir / f"{kind}{extension}" for kind in dict.fromkeys(settings.types)}


def refuse_inputs(paths: Paths, inputs: Sequence[Path]) -> None:
    """Raises ValueError for an output that would replace an input."""
    read = {os.path.realpath(path) for path in inputs}
    for path in paths.values():
        if os.path.realpath(path) in read:
            raise ValueError(
                f"output {path} would replace an input of the same name; use another --output-dir"
            )


def refuse_existing(paths: Paths, resume: bool, overwrite: bool) -> None:
    """Raises ValueError for an existing output without `resume` or `overwrite`."""
    if overwrite:
        return
    there = [
        path
        for path in paths.values()
        if path.is_file() or (path.is_dir() and not resume and any(path.iterdir()))
    ]
    if there:
        raise ValueError(
            f"{len(there)} of the outputs already exist: {listed(there)}. Use -y to replace them, "
            "another --output-dir, or --resume to continue picture sequences"
        )


class SequenceWriter:
    """Writes a folder of pictures, each renamed when complete; see `VideoWriter`.

    Pictures older than `since` (nanoseconds, by the clock of the disk) are from other runs.
    Non-square pixels are made square. Other runs write to a `shared` folder too.
    """

    def __init__(
        self,
        folder: Path,
        jpeg: bool,
        since: int = 0,
        aspect: Fraction = Fraction(1),
        shared: bool = False,
    ) -> None:
        self.path, self._shared = folder, shared
        self._since = since
        self.notes: list[str] = []
        self._aspect = aspect
        remove_leftovers(folder)
        self._jpeg = jpeg
        self._files: list[Path] = []

    def file(self, frame: Frame) -> Path:
        """Returns the file of a frame."""
        return self.path / f"{frame.name}{'.jpg' if self._jpeg else '.png'}"

    def has(self, frame: Frame) -> bool:
        """Whether this run, or the run that it continues, has written the picture of a frame."""
        path = self.file(frame)
        if not path.is_file() or path.stat().st_mtime_ns < self._since:
            return False
        try:
            read_picture(path)
        except PictureError:
            return False
        return True

    def write(self, pixels: np.ndarray, frame: Frame) -> None:
        """Writes (H, W), (H, W, 3) or (H, W, 4) of a frame; OSError if this fails."""
        square = to_aspect(pixels, self._aspect)
        (write_jpeg if self._jpeg else write_png)(self.file(frame), square)
        self.keep(frame)

    def keep(self, frame: Frame) -> None:
        """Counts a picture that exists already."""
        self._files.append(self.file(frame))

    def finish(self, audio: Sequence[Packet] = ()) -> None:
        """Checks that all pictures exist (VideoError if not); ignores sound."""
        verify_pictures(self._files)
        if self._shared:
            return
        if strange := set(self.path.iterdir()) - set(self._files):
            self.notes.append(
                f"{self.path} has {len(strange)} files that are not from this run, such as "
                f"{min(strange).name}"
            )

    def abandon(self) -> Path | None:
        """Returns the folder if it has a picture; `--resume` continues it."""
        return self.path if self._files else None


def verify_pictures(paths: list[Path]) -> None:
    """Raises VideoError unless all pictures exist, and the first and last can be decoded."""
    for path in paths:
        if not path.is_file() or path.stat().st_size == 0:
            raise VideoError(f"{path} was not written")
    for path in {*paths[:1], *paths[-1:]}:
        try:
            read_picture(path)
        except PictureError as error:
            raise VideoError(f"{path} can't be read back: {error}") from error


class VideoOutputs:
    """Writes a frame to all outputs (`plan_paths`) in parallel, each in its own thread.

    `com` has alpha if `transparent`; for `since` and `shared` see `SequenceWriter`. Raises
    VideoError if one can't be opened.
    """

    def __init__(
        self,
        paths: Paths,
        info: VideoInfo,
        settings: VideoOutputSettings,
        encoding: EncodingSettings,
        transparent: bool,
        since: int = 0,
        shared: bool = False,
    ) -> None:
        self.writers: dict[VideoOutputType, VideoWriter | SequenceWriter] = {}
        # Finished outputs, and after `abandon` also unfinished ones.
        self.files: dict[VideoOutputType, Path] = {}
        self._alpha: AlphaMode = encoding.alpha
        deep = _is_deep(info, settings, encoding)
        self._depth: BitDepth = 16 if deep else 8
        self._pool = ThreadPoolExecutor(len(paths))
        sounded = next((kind for kind in _COLOURS if kind in paths), None)
        try:
            for kind, path in paths.items():
                if settings.format == "image_sequences":
                    jpeg = kind in _COLOURS and settings.picture_format == "jpeg"
                    pixel = info.pixel_aspect
                    self.writers[kind] = SequenceWriter(path, jpeg, since, pixel, shared)
                else:
                    shown = info if kind in _COLOURS else _as_data(info)
                    layout = Layout.of(shown, transparent and kind == "com", deep)
                    audio = info.audio if kind == sounded else ()
                    self.writers[kind] = VideoWriter(path, layout, encoding, audio)
            first = next(iter(self.writers.values()))
            if isinstance(first, SequenceWriter) and info.pixel_aspect != 1:
                aspect = f"{info.pixel_aspect.numerator}:{info.pixel_aspect.denominator}"
                first.notes.append(
                    f"the source's pixels are {aspect}; pictures are enlarged to square pixels"
                )
        except BaseException:
            self.abandon()
            raise

    def has(self, frame: Frame) -> bool:
        """Whether every output has a frame already; for picture sequences only."""
        return all(
            isinstance(writer, SequenceWriter) and writer.has(frame)
            for writer in self.writers.values()
        )

    def keep(self, frame: Frame) -> None:
        """Counts a frame that every output has already."""
        for writer in self.writers.values():
            assert isinstance(writer, SequenceWriter)  # noqa: S101 - see `has`
            writer.keep(frame)

    def write(self, frame: Frame, matte: Prediction, target: np.ndarray | None) -> None:
        """Renders (see `render`) and writes the pictures of a frame; VideoError or OSError."""

        def write(kind: VideoOutputType, writer: VideoWriter | SequenceWriter) -> None:
            writer.write(render(kind, matte, target, self._depth, self._alpha), frame)

        jobs = [self._pool.submit(write, *item) for item in self.writers.items()]
        errors = [error for job in jobs if (error := job.exception()) is not None]
        if errors:
            raise errors[0]

    def finish(self, audio: Sequence[Packet]) -> None:
        """Ends and checks every output (VideoError); correct ones get their final names."""
        self._pool.shutdown()
        for kind, writer in self.writers.items():
            writer.finish(audio)  # the packets after the last frame
            self.files[kind] = writer.path

    def abandon(self) -> None:
        """Ends unfinished outputs and keeps what is written. Does not raise."""
        self._pool.shutdown()
        for kind, writer in self.writers.items():
            if kind not in self.files and (left := writer.abandon()) is not None:
                self.files[kind] = left


def _as_data(info: VideoInfo) -> VideoInfo:
    """Returns the tags for alpha and similar outputs, which are never HDR."""
    plain = ColourTags(matrix=1, primaries=1, transfer=1)  # BT.709
    return replace(info, colour=plain) if info.colour.hdr else info


def _is_deep(info: VideoInfo, settings: VideoOutputSettings, encoding: EncodingSettings) -> bool:
    """Whether to write more than 8 bits."""
    if settings.format == "video" and encoding.codec in ("prores", "vp9"):
        return encoding.codec == "prores"
    if settings.bit_depth is not None:
        return settings.bit_depth > 8
    png = settings.format == "image_sequences" and settings.picture_format == "png"
    return info.bits > 8 and (png or (settings.format == "video" and encoding.codec == "hevc"))

"""All outputs of a video together: planned, opened, written in step, finished or abandoned."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from av import Packet

from media.frames import Frame, VideoInfo
from runtime.wording import listed

from ..pictures.compose import AlphaMode, BitDepth, render
from ..predictor import Matte
from .encoding import RECIPES
from .sequence import SequenceWriter
from .settings import EncodingSettings, VideoOutputSettings, VideoOutputType
from .writer import Layout, VideoWriter, partial_path

_SOUNDED: tuple[VideoOutputType, ...] = ("com", "fgr")  # the first of these gets the sound

Paths = Mapping[VideoOutputType, Path]


class Writer(Protocol):
    """Writes one output."""

    path: Path
    notes: list[str]
    frames: int

    def write(self, pixels: np.ndarray, frame: Frame) -> None:
        """Writes a picture; see `VideoWriter`."""

    def finish(self, audio: Sequence[Packet] = ()) -> None:
        """Ends and checks the output; see `VideoWriter`."""

    def abandon(self) -> Path | None:
        """Ends the output as far as it came; see `VideoWriter`."""


def plan_paths(settings: VideoOutputSettings, encoding: EncodingSettings) -> Paths:
    """Names the outputs.

    Args:
        settings: where, which and in which format.
        encoding: the codec, whose container the extension tells.

    Returns:
        By type, a video file or the folder of a picture sequence.
    """
    extension = RECIPES[encoding.codec].extension if settings.format == "video" else ""
    return {kind: settings.dir / f"{kind}{extension}" for kind in dict.fromkeys(settings.types)}


def refuse_inputs(paths: Paths, inputs: Sequence[Path]) -> None:
    """Refuses outputs that would replace an input or lie among its pictures.

    Args:
        paths: of the outputs.
        inputs: that exist.

    Raises:
        ValueError: when an output, or its partial name, is one of them.
    """
    read = {path.resolve() for path in inputs}
    for path in paths.values():
        if read & {path.resolve(), partial_path(path).resolve()}:
            raise ValueError(
                f"output {path} would replace an input of the same name; use another --output-dir"
            )


def refuse_existing(paths: Paths, resume: bool, overwrite: bool) -> None:
    """Refuses to replace what is there without being told to.

    Args:
        paths: of the outputs.
        resume: whether picture sequences are continued.
        overwrite: whether files are replaced.

    Raises:
        ValueError: when something is there and neither holds.
    """
    if overwrite:
        return
    there = [
        path
        for path in paths.values()
        if path.is_file() or (path.is_dir() and not resume and any(path.iterdir()))
    ]
    if there:
        raise ValueError(
            f"{len(there)} of the outputs exist already: {listed(there)}. Use -y to replace them, "
            "another --output-dir, or --resume to continue picture sequences"
        )


class Outputs:
    """Writes the same frame of every output at the same time, each in its thread.

    Args:
        paths: see `plan_paths`.
        info: of the frames.
        settings: what to write.
        encoding: how.
        transparent: whether `com` has alpha.

    Attributes:
        writers: by type.
        files: finished outputs, and after `abandon` what is left of the others, by type.

    Raises:
        VideoError: when one can't be opened.
    """

    def __init__(
        self,
        paths: Paths,
        info: VideoInfo,
        settings: VideoOutputSettings,
        encoding: EncodingSettings,
        transparent: bool,
    ) -> None:
        self.writers: dict[VideoOutputType, Writer] = {}
        self.files: dict[VideoOutputType, Path] = {}
        self._alpha: AlphaMode = encoding.alpha
        deep = _is_deep(info, settings, encoding)
        self._depth: BitDepth = 16 if deep else 8
        self._pool = ThreadPoolExecutor(len(paths))
        sounded = next((kind for kind in _SOUNDED if kind in paths), None)
        try:
            for kind, path in paths.items():
                if settings.format == "image_sequences":
                    lossy = kind in ("com", "fgr") and settings.picture_format == "jpeg"
                    self.writers[kind] = SequenceWriter(path, "jpeg" if lossy else "png")
                else:
                    layout = Layout.of(info, transparent and kind == "com", deep)
                    audio = info.audio if kind == sounded else ()
                    self.writers[kind] = VideoWriter(path, layout, encoding, audio)
        except BaseException:
            self.abandon()
            raise

    def has(self, frame: Frame) -> bool:
        """Whether every output has a frame already; of picture sequences alone."""
        return all(
            isinstance(writer, SequenceWriter) and writer.file(frame.name).exists()
            for writer in self.writers.values()
        )

    def keep(self, frame: Frame) -> None:
        """Counts a frame that every output has already."""
        for writer in self.writers.values():
            assert isinstance(writer, SequenceWriter)  # noqa: S101 - see `has`
            writer.keep(frame)

    def write(self, frame: Frame, matte: Matte, target: np.ndarray | None) -> None:
        """Makes and writes the pictures of a frame.

        Args:
            frame: whose time and sound they get.
            matte: the prediction.
            target: see `render`.

        Raises:
            VideoError: when a video can't be written.
            OSError: when a picture can't be written.
        """

        def write(kind: VideoOutputType, writer: Writer) -> None:
            writer.write(render(kind, matte, target, self._depth, self._alpha), frame)

        jobs = [self._pool.submit(write, *item) for item in self.writers.items()]
        errors = [error for job in jobs if (error := job.exception()) is not None]
        if errors:
            raise errors[0]

    def finish(self, audio: Sequence[Packet]) -> None:
        """Ends every output and checks it.

        Args:
            audio: packets behind the last frame.

        Raises:
            VideoError: when one is not as it should be; those that are have their final names.
        """
        self._pool.shutdown()
        for kind, writer in self.writers.items():
            writer.finish(audio)
            self.files[kind] = writer.path

    def abandon(self) -> None:
        """Ends every output that is not finished as far as it came. Does not raise."""
        self._pool.shutdown()
        for kind, writer in self.writers.items():
            if kind not in self.files and (left := writer.abandon()) is not None:
                self.files[kind] = left


def _is_deep(info: VideoInfo, settings: VideoOutputSettings, encoding: EncodingSettings) -> bool:
    """Whether to write more than 8 bits."""
    if settings.format == "video" and encoding.codec in ("prores", "vp9"):
        return encoding.codec == "prores"
    if settings.bit_depth is not None:
        return settings.bit_depth > 8
    if settings.format == "video":
        return info.bits > 8 and encoding.codec == "hevc"
    return info.bits > 8 and settings.picture_format == "png"

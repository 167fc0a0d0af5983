"""Writes video files, which get their final name only when complete."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import AudioStream, Packet, VideoStream

from media.aspect import to_aspect
from media.colour import ColourTags, FromRgb
from media.containers import FFMPEG_ERRORS, file_url
from media.frames import Frame, VideoError, VideoInfo
from runtime.files import Partial, explain_failure, remove_leftovers

from .settings import RECIPES, EncodingSettings, Recipe, encoder_options
from .sound import SoundCopy, is_about_data

# Files are flushed every second, so all but the last second plays if the run is killed. MP4 and MOV
# have their index at the end. Fragments would solve this too, but FFmpeg 8 hides the last frame of
# a fragmented file if it is stored before others.
_CLUSTERS = {"flush_packets": "1", "cluster_time_limit": "1000"}


@dataclass(frozen=True)
class Layout:
    """Properties of a video file that are fixed before its first frame."""

    height: int  # of the pictures, pixels
    width: int
    time_base: Fraction  # unit of the frames' time stamps, seconds
    rate: Fraction  # average frames per second
    pixel_aspect: Fraction = Fraction(1)  # width of a pixel over its height
    colour: ColourTags = ColourTags()  # noqa: RUF009 - frozen; the matrix to use, and tags
    alpha: bool = False
    deep: bool = False  # more than 8 bits if the codec supports it

    @classmethod
    def of(cls, info: VideoInfo, alpha: bool = False, deep: bool = False) -> "Layout":
        """The layout for the frames of another video."""
        return cls(
            *(info.height, info.width, info.time_base, info.rate),
            *(info.pixel_aspect, info.colour, alpha, deep),
        )


class VideoWriter:
    """Encodes pictures under a partial name (`com.1f0c93aa.partial.mp4`), renamed when it is whole.

    Time stamps must increase. They are exact in .mp4 and .mov, and rounded to milliseconds in
    .webm, where pixels that are not square are enlarged to squares. Odd sizes are padded by
    repeating the last row or column if the codec needs even ones.
    Packets of `audio` come with the frames. One thread at a time may use it. All methods but
    `abandon` raise VideoError if the file can't be created, written (a full disk) or read back
    completely, or the encoder does not support the layout.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        settings: EncodingSettings,
        audio: Sequence[AudioStream] = (),
    ) -> None:
        self.path = path
        self.frames = 0
        self._notes: list[str] = []
        self._durations: dict[int, int] = {}
        self._muxed = False
        # FFmpeg writes an aspect into WebM only from where PyAV 18 can't set it.
        self._aspect = layout.pixel_aspect if path.suffix.lower() == ".webm" else Fraction(1)
        if self._aspect != 1:
            aspect = f"{self._aspect.numerator}:{self._aspect.denominator}"
            self._notes.append(
                f"the source's pixels are {aspect}; those of {path.name} are enlarged to squares"
            )
            square = to_aspect(np.zeros((layout.height, layout.width), np.uint8), self._aspect)
            height, width = square.shape
            layout = replace(layout, height=height, width=width, pixel_aspect=Fraction(1))
        self._layout = layout
        recipe = RECIPES[settings.codec]
        self._bottom = layout.height % 2 if recipe.even else 0
        self._right = layout.width % 2 if recipe.even else 0
        if self._bottom or self._right:
            self._notes.append(
                f"{path.name} has {layout.width + self._right} x {layout.height + self._bottom} "
                "pixels, as the codec needs even sizes: the last row or column is repeated"
            )
        pixel_format = recipe.format(layout.alpha, layout.deep)
        self._to_frame = FromRgb(pixel_format, layout.colour)
        remove_leftovers(path.parent, path)
        self._partial = Partial(path, shown=True)
        try:
            self._open(recipe, pixel_format, settings)
            self._sound = SoundCopy(self._container, path.suffix.lower(), audio)
            self._container.start_encoding()
        except (*FFMPEG_ERRORS, ValueError) as error:
            self.abandon()
            raise self._explained(error) from error

    @property
    def notes(self) -> list[str]:
        """Notes for the user."""
        return [*self._notes, *self._sound.notes]

    def write(self, pixels: np.ndarray, frame: Frame) -> None:
        """Encodes (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16, and a frame's sound."""
        pixels = to_aspect(pixels, self._aspect)
        if self._bottom or self._right:
            widths = ((0, self._bottom), (0, self._right), (0, 0))[: pixels.ndim]
            pixels = np.pad(pixels, widths, mode="edge")
        encoded = self._to_frame(pixels)
        encoded.pts, encoded.duration = frame.pts, frame.duration
        encoded.time_base = self._layout.time_base
        self._durations[frame.pts] = frame.duration
        try:
            self._sound.copy(frame.audio)
            self._mux(self._stream.encode(encoded))
        except (*FFMPEG_ERRORS, ValueError) as error:
            raise self._explained(error) from error
        self.frames += 1

    def finish(self, audio: Sequence[Packet] = ()) -> None:
        """Writes the packets after the last frame; ends, checks and renames the file."""
        try:
            self._sound.copy(audio)
            self._flush()
            self._container.close()
        except (*FFMPEG_ERRORS, ValueError) as error:
            raise self._explained(error) from error
        verify_video(self._partial.path, self.frames)
        self._partial.finish()

    def abandon(self) -> Path | None:
        """Ends an unfinished file; returns its path, or None if not playable. Never raises."""
        if (container := getattr(self, "_container", None)) is not None:
            for end in (self._flush, container.close):
                with suppress(*FFMPEG_ERRORS, ValueError):
                    end()
        if self.frames and _plays(self._partial.path):
            self._partial.close()
            return self._partial.path
        self._partial.remove()
        return None

    def _open(self, recipe: Recipe, pixel_format: str, settings: EncodingSettings) -> None:
        layout = self._layout
        # MP4 and MOV need a unit of 1/n seconds, which time stamps must use.
        scale = str(layout.time_base.denominator)
        isobmff = {"video_track_timescale": scale, "movie_timescale": scale}
        options = _CLUSTERS if self.path.suffix.lower() == ".webm" else isobmff
        self._container = av.open(file_url(self._partial.path), "w", container_options=options)
        # For the encoder's rate control. VP9 refuses frames shorter than the time unit.
        rate = min(layout.rate, 1 / layout.time_base).limit_denominator(100_000)
        height, width = layout.height + self._bottom, layout.width + self._right
        codec = encoder_options(settings, layout.alpha, width)
        stream = self._container.add_stream(recipe.encoder, rate, codec, width=width, height=height)
        assert isinstance(stream, VideoStream)  # noqa: S101 - for a video's encoder
        self._stream, context = stream, stream.codec_context
        context.pix_fmt = pixel_format
        context.time_base = stream.time_base = layout.time_base
        context.sample_aspect_ratio = layout.pixel_aspect
        context.colorspace = layout.colour.matrix
        context.color_primaries = layout.colour.primaries
        context.color_trc = layout.colour.transfer
        context.color_range = 1  # limited, as from `FromRgb`
        if recipe.tag is not None:
            context.codec_tag = recipe.tag

    def _flush(self) -> None:
        packets = self._stream.encode(None)
        if packets and not self._muxed:
            # For videos shorter than its delay, libx265 returns uninitialised decoding times. They
            # are replaced by the latest increasing ones that do not exceed the display times.
            latest = max(packet.pts or 0 for packet in packets) + 1
            for packet in reversed(packets):
                packet.dts = latest = min(latest - 1, packet.pts or 0)
        self._mux(packets)

    def _mux(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            # Encoders estimate durations from the rate, and MP4 hides a last frame of duration 0.
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            try:
                self._container.mux(packet)
            except (*FFMPEG_ERRORS, ValueError) as error:
                # The muxer buffers packets, so a packet of sound may fail when this one is written.
                if not (self._sound and is_about_data(error)):
                    raise
                self._sound.give_up()
            self._muxed = True

    def _explained(self, error: Exception) -> VideoError:
        return VideoError(f"{self._partial.path} can't be written: {explain_failure(error)}")


def _plays(path: Path) -> bool:
    """Whether the first frame of a video can be decoded."""
    try:
        with av.open(file_url(path)) as container:
            return next(container.decode(video=0), None) is not None
    except (*FFMPEG_ERRORS, IndexError, ValueError):
        return False


def verify_video(path: Path, frames: int) -> None:
    """Raises VideoError unless a video has all frames, and the first and last can be decoded."""
    try:
        with av.open(file_url(path)) as container:
            stream = container.streams.video[0]
            packets = [p.pts for p in container.demux(stream) if p.size and not p.is_corrupt]
            last = max(pts for pts in packets if pts is not None)
            container.seek(0)
            first = next(container.decode(stream), None)
            container.seek(last, stream=stream)
            *_, end = [None, *(frame.pts for frame in container.decode(stream))]
    except (*FFMPEG_ERRORS, IndexError, ValueError) as error:
        raise VideoError(f"{path} can't be read back: {explain_failure(error)}") from error
    decoded = first is not None and end == last
    if len(packets) != frames or not decoded:
        missing = f"{len(packets)} frames of {frames}" if decoded else "no last frame"
        raise VideoError(f"{path} was not written completely: it has {missing}")

"""Reads videos from first to last frame, from files and pipes."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from runtime.files import explain_failure

from .colour import ToRgb, count_bits, find_matrix_fault, is_on_its_side, read_tags
from .containers import FFMPEG_ERRORS, Stream, find_tracks, open_clip
from .damage import Damage
from .frames import Frame, VideoError, VideoInfo
from .joins import Joins

USUAL_RATE = Fraction(25)  # frames per second if the file states none

# Pixel aspects that cameras have are from 1/2 to 4. A damaged header can state 100.
_ASPECTS = (Fraction(1, 10), Fraction(10))
_RATES = (Fraction(1, 1000), Fraction(1000))  # smallest and largest plausible frames per second
# A file may be truncated if it ends this many seconds, and this fraction, before its stated end.
_MISSING_S, _MISSING_SHARE = 1.0, 0.05
_TAG = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")  # duration of a track in Matroska
_HOPELESS = 100  # consecutive demuxer errors before reading stops


class ClipReader:
    """Reads a video file or a pipe once, from the first frame to the last; see `VideoSource`.

    The stated number of frames is ignored. Time begins at 0 with the first frame, for sound too.
    A frame without a time stamp, or with one not above that of the frame before, follows it by one
    step of the frame rate; `notes` reports their number. Reading continues after damage inside the
    file, which `notes` reports too; a missing end raises an error there. Memory does not depend on
    the length. One thread at a time may use a reader.

    Args:
        file, name, raw: see `containers.open_clip`.
        audio: whether to return audio packets.

    Raises:
        VideoError: when it is not a readable video or has no frame.
    """

    def __init__(
        self,
        file: Path | Stream,
        name: str,
        raw: dict[str, str] | None = None,
        audio: bool = False,
    ) -> None:
        self._name = name
        self._container, self._stream = open_clip(file, name, raw)
        self._stream.thread_type = "AUTO"
        self._audio_streams = tuple(self._container.streams.audio) if audio else ()
        self._packets: list[av.Packet] = []
        self._to_rgb = ToRgb()
        self._number = 0
        self._last: int | None = None
        self._untimed = 0
        self._ended = False
        self._error: VideoError | None = None
        self._damage = Damage(self._stream.codec_context.codec.canonical_name)
        broadcast = self._container.format.name in ("mpegts", "mpeg")
        self._joins = Joins(self._stream.index, broadcast)
        frames = self._decode()
        try:
            first = next(frames, None)
            if first is None:
                raise VideoError(
                    f"{name}: holds no frame; it may be cut off, or was never finished"
                )
        except BaseException:
            self.close()
            raise
        self._origin = first.pts or 0
        self.info = self._describe(first)
        self._frames = chain((first,), frames)

    def read(self) -> Frame | None:
        """Reads the next frame; an error is raised again by every later call."""
        if self._error:
            raise self._error
        decoded = next(self._frames, None)
        if decoded is None:
            self._ended = True
            return None
        pixels = self._to_rgb(decoded)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise self._failed(f"{explain_size(pixels, self.info)}; cut the video there")
        step = self._step()
        last = self._last
        pts = None if decoded.pts is None else decoded.pts - self._origin
        if pts is None or (last is not None and pts <= last):
            pts = 0 if last is None else last + step
            self._untimed += 1
        self._last = pts
        number, self._number = self._number, self._number + 1
        duration = max(1, decoded.duration or step)
        return Frame(number, f"{number:06}", pixels, pts, duration, self.take_audio())

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings that were found while reading."""
        joins = self._joins.notes(self._origin * self.info.time_base)
        notes = [*self._damage.notes, *joins]
        if self._untimed:
            notes.append(
                f"{self._untimed} frames had no valid time stamp and were timed by the frame rate"
            )
        end = float(((self._last or 0) + self._step()) * self.info.time_base)
        # The stated duration may be that of the sound, which is longer.
        end = max(end, float(self._joins.end - self._origin * self.info.time_base))
        # After a jump, time stamps do not show the duration.
        claimed = None if joins else self.info.duration
        if self._ended and claimed and claimed - end > max(_MISSING_S, _MISSING_SHARE * claimed):
            found = f"its frames end at {end:.1f} s: it may be cut off"
            notes.append(f"the file states a duration of {claimed:.1f} s, but {found}")
        return tuple(notes)

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Returns the packets read since the last frame."""
        packets, self._packets = self._packets, []
        for packet in packets:
            origin = round(self._origin * self.info.time_base / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - origin
            packet.dts = None if packet.dts is None else packet.dts - origin
        return tuple(packets)

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        cut: av.Packet | None = None  # incomplete: the file's end, unless another follows
        broken = ""
        for packet in self._demux():
            if isinstance(packet, str):
                broken = packet
                continue
            for whole in (packet,) if cut is None else (cut, packet):
                if whole is packet and packet.is_corrupt:
                    cut = packet
                else:
                    cut = None
                    yield from self._give(whole)
            if broken:
                self._damage.fail(broken)
            broken = ""
        # The frames before it that the decoder still buffers.
        yield from self._give(None)
        self._damage.end()
        error = broken or self._damage.error or "the decoder skips it and what follows"
        reason = "is not whole" if cut else f"can't be decoded: {error}"
        if cut or broken or not self._damage.reaches_end:
            raise self._failed(f"{reason}; the file is cut off or damaged")

    def _demux(self) -> Iterator[av.Packet | str]:
        """Yields the video's packets, or the error of reading one; keeps those of the sound."""
        errors = 0
        packets = self._container.demux([self._stream, *self._audio_streams])
        while errors < _HOPELESS:
            try:
                packet = next(packets, None)
            except FFMPEG_ERRORS as error:
                packets = self._container.demux([self._stream, *self._audio_streams])
                errors += 1
                yield explain_failure(error)
                continue
            if packet is None:
                return
            if packet.size:  # the last ones and repeated frames of AVI are empty
                errors = 0
                self._joins.mend(packet)
                if packet.stream is self._stream:
                    yield packet
                else:
                    self._packets.append(packet)

    def _give(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        """Yields the decoder's frames for a packet, or for None at the end."""
        if packet is not None:
            self._damage.feed(packet)
        try:
            frames = self._stream.decode(packet)
        except FFMPEG_ERRORS as error:
            self._damage.fail(explain_failure(error))
            return
        for frame in frames:
            self._damage.see(frame)
            yield frame

    def _failed(self, reason: str) -> VideoError:
        self._error = VideoError(f"{self._name}: frame {self._number} {reason}")
        return self._error

    def _step(self) -> int:
        return max(1, round(1 / (self.info.rate * self.info.time_base)))

    def _describe(self, first: av.VideoFrame) -> VideoInfo:
        stream = self._stream
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((r for r in rates if r and _RATES[0] <= r <= _RATES[1]), USUAL_RATE)
        height, width = self._to_rgb(first).shape[:2]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        aspect = aspect if _ASPECTS[0] <= aspect <= _ASPECTS[1] else Fraction(1)
        return VideoInfo(
            height,
            width,
            stream.time_base or 1 / rate,
            rate,
            count_bits(first),
            read_tags(first),
            1 / aspect if is_on_its_side(first) else aspect,
            self._find_duration(),
            self._audio_streams,
            self._note(first),
        )

    def _find_duration(self) -> float | None:
        """The stated duration of the pictures in seconds, else of the whole file."""
        stream, unit = self._stream, self._stream.time_base or Fraction(0)
        if stream.duration and unit:
            return float(stream.duration * unit)
        whole = (self._container.duration or 0) / av.time_base
        start = max(0, self._container.start_time or 0) / av.time_base
        if tag := _TAG.match(stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = map(float, tag.groups())
            whole, start = (
                3600 * hours + 60 * minutes + seconds,
                float((stream.start_time or 0) * unit),
            )
        # Matroska may count it from 0, even if its frames begin later.
        return (whole - start if whole > start else whole) or None

    def _note(self, first: av.VideoFrame) -> tuple[str, ...]:
        """Warnings that are known before the first frame."""
        notes, stream = [], self._stream
        tracks = find_tracks(self._container)
        if len(tracks) > 1:
            size = f"{stream.width} x {stream.height}"
            number = tracks.index(stream) + 1
            notes.append(f"track {number} ({size} pixels) of {len(tracks)} with pictures is used")
        aspect = stream.sample_aspect_ratio
        if aspect and not _ASPECTS[0] <= aspect <= _ASPECTS[1]:
            stated = f"{aspect.numerator}:{aspect.denominator}"
            notes.append(f"impossible pixel aspect {stated} ignored; pixels are taken as square")
        if hdr := read_tags(first).hdr:
            notes.append(
                f"the source is HDR ({hdr}): its values are kept and tagged, but network and "
                "replacement background are for standard dynamic range"
            )
        if fault := find_matrix_fault(first):
            notes.append(fault)
        alpha = any(component.is_alpha for component in first.format.components)
        if alpha or stream.metadata.get("alpha_mode") == "1":  # in VP8 and VP9, a separate stream
            notes.append("alpha channel dropped")
        if first.interlaced_frame:
            notes.append("the source is interlaced; its frames are not deinterlaced")
        if self._container.streams.subtitles:
            notes.append("subtitles are not copied")
        return tuple(notes)


def explain_size(pixels: np.ndarray, before: VideoInfo) -> str:
    """Describes that a picture (H, W, 3) has another size than those before."""
    height, width = pixels.shape[:2]
    return f"has {width} x {height} pixels, those before {before.width} x {before.height}"

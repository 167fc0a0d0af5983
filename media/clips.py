"""Reads the frames of video clips by number, with exact seeking.

To seek, the reader goes to the keyframe before and decodes up to the frame's time stamp. It does
not trust the container's frame count or rate.
"""

import gc
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np

from .colour import ToRgb, to_alpha
from .containers import open_clip
from .frames import VideoError

CLIP_EXTENSIONS = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"))

_LONGEST_REORDERING = 16  # frames; H.264 and H.265
_ADVICE = "convert it, as with: ffmpeg -i CLIP -c:v libx264 -crf 12 NEW.mp4"

# Closing a decoder in a forked process waits for ever, because its threads exist only in the
# parent. So the child's garbage collector must not free the parent's objects, used or not.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)


@dataclass(frozen=True)
class ClipIndex:
    """Positions of the frames of a clip, in display order."""

    pts: np.ndarray  # (N,) int64, each frame's time stamp in the stream's unit
    seek: np.ndarray  # (N,) int64, time stamp of the keyframe to decode each frame from

    def __len__(self) -> int:
        return len(self.pts)


def index_clip(path: Path) -> ClipIndex:
    """Indexes the frames of a clip by reading its packets, without decoding.

    Frames that an edit list hides are left out.

    Raises:
        VideoError: when the file can't be read or is truncated, or its frames have no time stamps.
    """
    container, stream = open_clip(path, str(path))
    with container:
        try:
            # The last packet of a demuxer is an empty one.
            packets = [
                (packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)
                for packet in container.demux(stream)
                if packet.size
            ]
        except av.error.FFmpegError as error:
            raise VideoError(f"{path}: damaged or cut off: {error.strerror}") from error
        codec = stream.codec_context
        if container.format.name.startswith("mov"):
            _check_media_box(path)
        # AVI does not store the display order; MPEG-4's decoder finds it.
        unordered = container.format.name == "avi" and codec.has_b_frames and codec.name != "mpeg4"
    if any(corrupt for *_, corrupt in packets):
        raise VideoError(f"{path}: cut off or damaged; copy or download it again")
    shown = [pts for pts, _, hidden, _ in packets if not hidden]
    if not shown:
        raise VideoError(f"{path}: holds no frame")
    if unordered or None in shown or len(set(shown)) < len(shown):
        raise VideoError(f"{path}: its frames have no time stamps; {_ADVICE}")
    return _index([(pts, key, hide) for pts, key, hide, _ in packets if pts is not None])


def _index(packets: list[tuple[int, bool, bool]]) -> ClipIndex:
    """Sorts packets from decoding order to display order."""
    frames: list[tuple[int, int]] = []
    keyframes = [packets[0][0]]
    for pts, is_keyframe, hidden in packets:
        if is_keyframe:
            keyframes.append(pts)
        if not hidden:
            # Not a keyframe displayed later: the frame may need earlier pictures (open GOP).
            before = (keyframe for keyframe in reversed(keyframes) if keyframe <= pts)
            frames.append((pts, next(before, keyframes[0])))
    frames.sort()
    pts, seek = np.array(frames, np.int64).T
    return ClipIndex(np.ascontiguousarray(pts), np.ascontiguousarray(seek))


class IndexedClip:
    """An open clip whose frames are read by number; one thread at a time may use it.

    Takes the index of `index_clip`, and its name in errors if that is not its path; raises a
    VideoError when the file can't be read.
    """

    def __init__(self, path: Path, index: ClipIndex, name: str | None = None) -> None:
        self._path = path
        self._name = name or str(path)
        self._index = index
        self._last: int | None = None
        self._to_rgb = ToRgb(exact=False)
        self._open()

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def read_rgb(self, number: int) -> np.ndarray:
        """Reads a frame as colours: (H, W, 3) uint8 RGB, upright; see `read`."""
        return self._to_rgb(self.read(number))

    def read_alpha(self, number: int) -> np.ndarray:
        """Reads a frame as alpha: (H, W) uint8, upright; see `read` and `to_alpha`."""
        return to_alpha(self.read(number))

    def read(self, number: int) -> av.VideoFrame:
        """Decodes a frame: directly if it follows the last one, else from the keyframe before.

        Frames are counted from 0 in display order. A VideoError names a frame that can't be
        decoded.
        """
        try:
            frame = self._advance(number) if self._is_ahead(number) else None
            # If a container's keyframe table is wrong, from an earlier keyframe or the beginning.
            earlier = max(0, number - _LONGEST_REORDERING)
            for target in (self._index.seek[number], self._index.seek[earlier], None):
                if frame is None:
                    self._restart(target)
                    frame = self._advance(number)
        except av.error.FFmpegError as error:
            self._last = None
            reason = f"can't be decoded: {error.strerror}"
            raise VideoError(f"{self._name}: frame {number} {reason}") from error
        if frame is None or frame.is_corrupt:
            cause = "is damaged" if frame else "is not where its time stamp says"
            self._last = None
            raise VideoError(f"{self._name}: frame {number} {cause}; {_ADVICE}")
        self._last = number
        return frame

    def _is_ahead(self, number: int) -> bool:
        """Whether decoding forward is not slower than seeking: no keyframe lies between."""
        if self._last is None or number <= self._last:
            return False
        return number == self._last + 1 or self._index.seek[number] <= self._index.pts[self._last]

    def _advance(self, number: int) -> av.VideoFrame | None:
        self._wanted = int(self._index.pts[number])
        for frame in self._frames:
            if frame.pts is None or frame.pts > self._wanted:
                return None
            if frame.pts == self._wanted:
                return frame
        return None

    def _open(self) -> None:
        self._container, self._stream = open_clip(self._path, self._name)
        # One thread, because there are as many worker processes as cores.
        self._stream.codec_context.thread_count = 1
        self._last = None
        self._wanted = 0
        self._frames = self._decode()

    def _restart(self, target: int | None) -> None:
        self._frames.close()
        if target is None:
            self._container.close()
            self._open()
        else:
            self._container.seek(int(target), stream=self._stream)
            self._frames = self._decode()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        codec = self._stream.codec_context
        for packet in self._container.demux(self._stream):
            # On the way to a frame, skip those that no other frame refers to.
            passed = packet.pts is not None and packet.pts < self._wanted
            codec.skip_frame = "NONREF" if passed else "DEFAULT"
            yield from packet.decode()


def _check_media_box(path: Path) -> None:
    """Refuses an MP4 whose media data would continue after the end of the file.

    FFmpeg does not notice this if the index is at the front and the file is cut exactly between two
    frames. Source: ISO/IEC 14496-12, box header.
    """
    size, start = path.stat().st_size, 0
    kind = b""
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length == 0:  # up to the end of the file
                return
            start += max(length, 8)
    if kind == b"mdat" and start > size:
        found = f"its media data end at byte {start:,} and it has {size:,}"
        raise VideoError(f"{path}: cut off: {found}; copy or download it again")

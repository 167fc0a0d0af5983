"""Reading the frames of video clips by number, each exactly the one that was asked for.

A clip is opened once and read forward. For a jump, the reader seeks to the keyframe before and
decodes up to the frame's own time stamp; no count or frame rate of the container is trusted.
"""

import gc
import os
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Colorspace

from .decoding import DatasetError

CLIP_EXTENSIONS = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"))

_UNSPECIFIED_COLOURS = 2  # H.273, table 4
_HD_HEIGHT = 720
_LONGEST_REORDERING = 16  # frames; H.264 and H.265
_ADVICE = "convert it, as with: ffmpeg -i CLIP -c:v libx264 -crf 12 NEW.mp4"

# Ending a decoder in a forked process waits for ever: its threads are in the parent alone. So the
# child's collector leaves alone what the parent left, used or not.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)


@dataclass(frozen=True)
class ClipIndex:
    """Where the frames of a clip are.

    Attributes:
        pts: (N,) int64, each frame's time stamp in the stream's unit, in the order of showing.
        seek: (N,) int64, time stamp of the keyframe to decode each frame from.
    """

    pts: np.ndarray
    seek: np.ndarray

    def __len__(self) -> int:
        return len(self.pts)


def index_clip(path: Path) -> ClipIndex:
    """Finds the frames of a clip by reading its packets, without decoding.

    Args:
        path: a video file.

    Returns:
        The index. Frames that an edit list hides are left out.

    Raises:
        DatasetError: when the file can't be read, is cut off, or its frames have no time stamps.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        try:
            # The last packet of a demuxer is an empty one.
            packets = [
                (packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)
                for packet in container.demux(stream)
                if packet.size
            ]
        except av.error.FFmpegError as error:
            raise DatasetError(f"{path}: damaged or cut off: {error.strerror}") from error
        codec = stream.codec_context
        if container.format.name.startswith("mov"):
            _check_media_box(path)
        # AVI keeps no order of showing; MPEG-4's decoder finds it.
        unordered = container.format.name == "avi" and codec.has_b_frames and codec.name != "mpeg4"
    if any(corrupt for *_, corrupt in packets):
        raise DatasetError(f"{path}: cut off or damaged; copy or download it again")
    shown = [pts for pts, _, hidden, _ in packets if not hidden]
    if not shown:
        raise DatasetError(f"{path}: holds no frame")
    if unordered or None in shown or len(set(shown)) < len(shown):
        raise DatasetError(f"{path}: its frames have no time stamps of their own; {_ADVICE}")
    return _index([(pts, key, hide) for pts, key, hide, _ in packets if pts is not None])


def _index(packets: list[tuple[int, bool, bool]]) -> ClipIndex:
    """Sorts packets, which come in the order of decoding, into the order of showing."""
    frames: list[tuple[int, int]] = []
    keyframes = [packets[0][0]]
    for pts, is_keyframe, hidden in packets:
        if is_keyframe:
            keyframes.append(pts)
        if not hidden:
            # Not a keyframe shown later: the frame may need what was before that one (open GOP).
            before = (keyframe for keyframe in reversed(keyframes) if keyframe <= pts)
            frames.append((pts, next(before, keyframes[0])))
    frames.sort()
    pts, seek = np.array(frames, np.int64).T
    return ClipIndex(np.ascontiguousarray(pts), np.ascontiguousarray(seek))


class ClipReader:
    """An open clip; not for several threads at a time."""

    def __init__(self, path: Path, index: ClipIndex) -> None:
        """Opens the clip.

        Args:
            path: a video file.
            index: its index, from `index_clip`.

        Raises:
            DatasetError: when the file can't be read.
        """
        self._path = path
        self._index = index
        self._last: int | None = None
        self._open()

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def read(self, number: int) -> av.VideoFrame:
        """Decodes a frame: at once if it follows the last one, else from the keyframe before.

        Args:
            number: 0 to the clip's frames - 1, in the order of showing.

        Returns:
            The frame, for `frame_rgb` or `frame_alpha`.

        Raises:
            DatasetError: when the frame can't be decoded.
        """
        try:
            frame = self._advance(number) if self._is_ahead(number) else None
            # Where a container's table of keyframes is wrong, from further back or the beginning.
            earlier = max(0, number - _LONGEST_REORDERING)
            for target in (self._index.seek[number], self._index.seek[earlier], None):
                if frame is None:
                    self._restart(target)
                    frame = self._advance(number)
        except av.error.FFmpegError as error:
            self._last = None
            raise DatasetError(
                f"{self._path}: frame {number} can't be decoded: {error.strerror}"
            ) from error
        if frame is None or frame.is_corrupt:
            cause = "is damaged" if frame else "is not where its time stamp says"
            self._last = None
            raise DatasetError(f"{self._path}: frame {number} {cause}; {_ADVICE}")
        self._last = number
        return frame

    def _is_ahead(self, number: int) -> bool:
        """Whether decoding on is no longer than seeking: no keyframe lies between."""
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
        self._container = _opened(self._path)
        self._stream = self._container.streams.video[0]
        # Workers are as many as cores already.
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
            # On the way to a frame, those that no other frame refers to need no decoding.
            passed = packet.pts is not None and packet.pts < self._wanted
            codec.skip_frame = "NONREF" if passed else "DEFAULT"
            yield from packet.decode()


def frame_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Converts a frame to colours.

    Args:
        frame: of any pixel format. Colours of unspecified kind are taken as players do: BT.709
            from 720 lines on, BT.601 below.

    Returns:
        (H, W, 3) uint8 RGB, upright.
    """
    source = None
    if frame.colorspace == _UNSPECIFIED_COLOURS and frame.height >= _HD_HEIGHT:
        source = Colorspace.ITU709
    return _turn(frame.to_ndarray(format="rgb24", src_colorspace=source), frame)


def frame_alpha(frame: av.VideoFrame) -> np.ndarray:
    """Converts a frame to alpha: its luma, stretched to the full range where that is limited.

    Args:
        frame: of any pixel format.

    Returns:
        (H, W) uint8, upright. Limited range: 16 and less is 0, 235 and more is 255.
    """
    name, bits = frame.format.name, frame.format.components[0].bits
    first_plane_is_luma = name.startswith("gray") or (
        name.startswith("yuv") and frame.format.is_planar
    )
    if not first_plane_is_luma or name.endswith("be") or bits > 16:
        return _turn(cv2.cvtColor(frame.to_ndarray(format="rgb24"), cv2.COLOR_RGB2GRAY), frame)
    plane = frame.planes[0]
    depth = np.dtype(np.uint8 if bits == 8 else np.uint16)
    stored = np.frombuffer(memoryview(plane), depth)
    luma = stored.reshape(-1, plane.line_size // depth.itemsize)[: frame.height, : frame.width]
    full_range = frame.color_range == ColorRange.JPEG or name.startswith("yuvj")
    if name.startswith("gray") and frame.color_range == ColorRange.UNSPECIFIED:
        full_range = True  # as swscale has it
    return _turn(luma if bits == 8 and full_range else _levels(bits, full_range)[luma], frame)


@cache
def _levels(bits: int, full_range: bool) -> np.ndarray:
    """Alpha of each luma: ITU-R BT.709 and BT.2100 put black at 16 and white at 235 of 8 bits."""
    values = np.arange(2**bits)
    black, white = (0, 2**bits - 1) if full_range else (16 << (bits - 8), 235 << (bits - 8))
    return np.clip(np.rint((values - black) * 255 / (white - black)), 0, 255).astype(np.uint8)


def _turn(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _opened(path: Path) -> InputContainer:
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        cause = error.strerror or error
        raise DatasetError(f"{path}: not a video that can be read: {cause}") from error
    if not container.streams.video:
        container.close()
        raise DatasetError(f"{path}: holds no video")
    return container


def _check_media_box(path: Path) -> None:
    """Refuses an MP4 whose media data go on behind the end of the file.

    Cut exactly between two frames, it is whole to FFmpeg if its index stands in front.

    Source: ISO/IEC 14496-12, box header.
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
            if length == 0:  # to the end, wherever that is
                return
            start += max(length, 8)
    if kind == b"mdat" and start > size:
        raise DatasetError(
            f"{path}: cut off: its media data end at byte {start:,} and it has {size:,}; copy or "
            "download it again"
        )

"""Counts frames that a decoder could not decode completely, to report damage in a file."""

from sys import maxsize

import av

# Codecs in which each packet is one frame. (Others have packets that display nothing. In
# interlaced H.264 a field may be a packet, and in AVI packets have no time stamps.)
_FRAME_A_PACKET = frozenset(("h264", "hevc", "av1"))


class Damage:
    """Counts missing and damaged frames, from errors and flags of demuxer and decoder.

    Pictures that refer to frames before the first keyframe do not count as damage.
    """

    def __init__(self, codec: str) -> None:
        self.error = ""  # the decoder's last error
        self.frames = 0  # decoded so far
        self._first = self._gap = maxsize  # numbers of the first damaged and first missing frame
        self._whole: bool | None = None  # whether the clip begins with a keyframe
        self._paired = codec in _FRAME_A_PACKET
        self._silent = codec == "hevc"  # its decoder silently skips what it can't decode
        self._waiting: set[int] = set()  # time stamps of packets without a frame so far
        self._corrupt: set[int] = set()  # time stamps of incomplete packets
        self._missing = self._damaged = self._errors = self._early = 0
        self._behind = 0  # frames since the last error
        self._ended = False

    def feed(self, packet: av.Packet) -> None:
        """Call before giving a packet to the decoder."""
        self._whole = packet.is_keyframe if self._whole is None else self._whole
        if packet.pts is not None and self._paired and not packet.is_discard:
            self._waiting.add(packet.pts)
        if packet.is_corrupt and packet.pts is not None:
            self._corrupt.add(packet.pts)
        elif packet.is_corrupt:
            self.lose()

    def see(self, frame: av.VideoFrame) -> None:
        """Call for each frame from the decoder, in display order."""
        if self._paired and (frame.interlaced_frame or frame.pts not in self._waiting):
            self._paired = False
            self._waiting.clear()
            self._missing, self._gap = 0, maxsize
        if self._paired and frame.pts is not None:
            passed = {pts for pts in self._waiting if pts < frame.pts}
            self._waiting -= passed | {frame.pts}
            if passed and self.frames:
                self._gap = min(self._gap, self.frames)
                self._missing += len(passed)
        if frame.is_corrupt or frame.pts in self._corrupt:
            self._damaged += 1
            self._mark()
        self.frames += 1
        self._behind += 1

    def fail(self, error: str) -> None:
        """Call when decoder or demuxer gave an error instead of a frame."""
        self.error, self._behind = error, 0
        if self.frames or self._whole:
            self.lose()
        else:
            self._early += 1

    def end(self) -> None:
        """Call after the decoder's last frame."""
        self._ended = True

    def lose(self) -> None:
        """Call for a damaged frame without a known time stamp."""
        self._errors += 1
        self._mark()

    @property
    def reaches_end(self) -> bool:
        """Whether the decoder gave frames after the last error, and one for every packet."""
        if not self.error and not self._silent:
            return True
        return (self._behind > 0 or not self.error) and not self._waiting

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about missing and damaged frames."""
        notes = []
        # An error usually belongs to one of the missing frames.
        lost = max(self._missing + len(self._waiting) * self._ended, self._errors)
        count = self._damaged + lost
        if count:
            first = min(self._first, self._gap, self.frames)
            notes.append(
                f"the file is damaged inside; missing or damaged frames: {count}, the first is "
                f"frame {first}. Frames up to the next keyframe may show traces"
            )
        if self._early:
            notes.append("the clip begins between two keyframes; undecodable frames are left out")
        return tuple(notes)

    def _mark(self) -> None:
        self._first = min(self._first, self.frames)

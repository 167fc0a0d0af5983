"""Counting frames that a decoder could not decode completely, to report damage inside a file."""

from sys import maxsize

import av

# Codecs of which each packet is one frame. (Others have packets that show nothing. A field of
# interlaced H.264 may have a packet of its own, and in AVI packets have no times of their own.)
_FRAME_A_PACKET = frozenset(("h264", "hevc", "av1"))


class Damage:
    """Counts frames that are missing or damaged, by what demuxer and decoder say.

    Pictures that need what was before the first keyframe are no damage, wherever a clip begins.
    """

    def __init__(self, codec: str) -> None:
        self.error = ""  # the decoder's last
        self.frames = 0  # decoded so far
        self._first = self._gap = maxsize  # numbers of the first frame damaged, and missing
        self._whole: bool | None = None  # whether the clip begins with a keyframe
        self._paired = codec in _FRAME_A_PACKET
        self._silent = codec == "hevc"  # whose decoder skips what it can't decode without an error
        self._waiting: set[int] = set()  # time stamps of packets whose frames are to come
        self._corrupt: set[int] = set()  # time stamps of packets that are not whole
        self._missing = self._damaged = self._errors = self._early = 0
        self._behind = 0  # frames since the last error
        self._ended = False

    def feed(self, packet: av.Packet) -> None:
        """A packet goes to the decoder."""
        self._whole = packet.is_keyframe if self._whole is None else self._whole
        if packet.pts is not None and self._paired and not packet.is_discard:
            self._waiting.add(packet.pts)
        if packet.is_corrupt and packet.pts is not None:
            self._corrupt.add(packet.pts)
        elif packet.is_corrupt:
            self.lose()

    def see(self, frame: av.VideoFrame) -> None:
        """The decoder gave a frame; they come in the order of showing."""
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
        """The decoder, or what reads the file for it, gave an error instead of a frame."""
        self.error, self._behind = error, 0
        if self.frames or self._whole:
            self.lose()
        else:
            self._early += 1

    def end(self) -> None:
        """The decoder has given all that it can."""
        self._ended = True

    def lose(self) -> None:
        """A frame is not whole that can't be told by its time stamp."""
        self._errors += 1
        self._mark()

    @property
    def reaches_end(self) -> bool:
        """Whether frames have come behind the last error, of all that the decoder got."""
        if not self.error and not self._silent:
            return True
        return (self._behind > 0 or not self.error) and not self._waiting

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings as notes."""
        notes = []
        # An error has mostly cost one of the frames that are missing.
        lost = max(self._missing + len(self._waiting) * self._ended, self._errors)
        count = self._damaged + lost
        if count:
            first = min(self._first, self._gap, self.frames)
            notes.append(
                f"the file is damaged inside; missing or damaged frames: {count}, the first is "
                f"frame {first}. Traces may stay in those up to the next keyframe"
            )
        if self._early:
            notes.append("the clip begins between two keyframes, at the first that can be decoded")
        return tuple(notes)

    def _mark(self) -> None:
        self._first = min(self._first, self.frames)

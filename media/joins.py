"""One run of time for files whose time stamps jump, as those of joined recordings do."""

from fractions import Fraction

import av

_BACK_S = 0.5  # time in the order of decoding goes back by no more in one recording
_AHEAD_S = 10.0  # seconds; FFmpeg's own limit (dts_delta_threshold)


class Joins:
    """Moves packets behind a jump, so that they follow what was before.

    Sound follows the pictures, as long as that is nearer than half a second to following itself.

    Args:
        video: index of the video stream.
        jumps_ahead: whether a jump ahead is none in truth: in containers for broadcasting.
    """

    def __init__(self, video: int, jumps_ahead: bool) -> None:
        self._video = video
        self._jumps_ahead = jumps_ahead
        self._last: dict[int, Fraction] = {}  # as stored, by stream, seconds
        self._end: dict[int, Fraction] = {}  # of the last packet, as moved
        self._shift: dict[int, Fraction] = {}
        self._found: dict[int, list[Fraction]] = {}  # where jumps are, as moved, by stream

    def mend(self, packet: av.Packet) -> None:
        """Moves a packet, if it must be; packets come as the file has them."""
        ticks = packet.pts if packet.dts is None else packet.dts
        unit = packet.time_base
        if ticks is None or unit is None:
            return
        index, time = packet.stream.index, ticks * unit
        shift, last = self._shift.get(index, Fraction(0)), self._last.get(index, time)
        if time < last - _BACK_S or (self._jumps_ahead and time > last + _AHEAD_S):
            shift = self._end[index] - time
            self._found.setdefault(index, []).append(self._end[index])
        pictures = self._shift.get(self._video, Fraction(0))
        if shift != pictures and abs(shift - pictures) < _BACK_S:
            shift = pictures
        self._last[index], self._shift[index] = time, shift
        self._end[index] = time + shift + (packet.duration or 1) * unit
        if shift:
            moved = round(shift / unit)
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved

    @property
    def end(self) -> Fraction:
        """Where all that was read ends, as moved, seconds."""
        return max(self._end.values(), default=Fraction(0))

    def notes(self, origin: Fraction) -> tuple[str, ...]:
        """What was found, in words; `origin` is where time begins, seconds."""
        pictures = self._found.get(self._video)
        found = pictures or next(iter(self._found.values()), None)
        if not found:
            return ()
        whose = "its time stamps jump" if pictures else "the time stamps of its sound jump"
        first = float(found[0] - origin)
        return (f"{whose} at {first:.2f} s ({len(found)} in all): what follows is joined on",)

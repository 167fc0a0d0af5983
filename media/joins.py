"""Makes time stamps continuous in files where they jump, such as joined recordings."""

from fractions import Fraction

import av

_BACK_S = 0.5  # within one recording, time in decoding order goes back by at most this
_AHEAD_S = 10.0  # seconds; FFmpeg's own limit (dts_delta_threshold)


class Joins:
    """Moves packets after a jump in time so that they follow the packets before.

    Sound moves by the shift of the pictures if this differs by less than 0.5 s from its own.

    Args:
        video: index of the video stream.
        jumps_ahead: whether to remove jumps forward too, as for broadcast containers.
    """

    def __init__(self, video: int, jumps_ahead: bool) -> None:
        self._video = video
        self._jumps_ahead = jumps_ahead
        self._last: dict[int, Fraction] = {}  # stored time by stream, in seconds
        self._end: dict[int, Fraction] = {}  # moved time after the last packet, by stream
        self._shift: dict[int, Fraction] = {}
        self._found: dict[int, list[Fraction]] = {}  # moved times of jumps, by stream

    def mend(self, packet: av.Packet) -> None:
        """Moves a packet if needed; call for every packet in the file's order."""
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
        """Moved time after all packets so far, in seconds."""
        return max(self._end.values(), default=Fraction(0))

    def notes(self, origin: Fraction) -> tuple[str, ...]:
        """Notes about jumps; `origin` is the time of the beginning, in seconds."""
        pictures = self._found.get(self._video)
        found = pictures or next(iter(self._found.values()), None)
        if not found:
            return ()
        whose = "its time stamps jump" if pictures else "the time stamps of its sound jump"
        first = float(found[0] - origin)
        return (f"{whose} at {first:.2f} s ({len(found)} in total); the parts are joined",)

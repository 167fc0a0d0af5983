"""Copies sound; corrects packets that do not fit, or leaves them out with a note."""

import ctypes
import io
from collections.abc import Sequence
from fractions import Fraction

import av
from av import AudioLayout, AudioStream, Packet
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer

from media.containers import FFMPEG_ERRORS

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}
_KEPT = ("language", "title")  # of a track's metadata
# QuickTime's own codes of languages (FFmpeg's mov_mdhd_language_map) that differ from those in use;
# FFmpeg writes no others into .mov.
_QUICKTIME = {
    **{"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi"},
    **{"fre": "fra", "swe": "sve", "rum": "ron", "cze": "ces", "slo": "slk"},
    **{"sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "bod": "tib"},
    **{"mya": "bur", "msa": "may", "cym": "wel", "eus": "baq", "gle": "iri"},
}
# Decoders need some sound before the first audible one; in .mp4 and .mov an edit list hides it.
_BEFORE_S = Fraction(1, 10)
_PRIMES_S = Fraction(1, 40)  # and this much before, the first packet, which Vorbis does not play
_GAP = 3600  # seconds; MP4 has 32 bits for the duration before a gap
# Layout by number of channels, if a file has none, as in WAV.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_FAILURES = (*FFMPEG_ERRORS, ValueError)


class SoundCopy:
    """Copies packets of sound into a container before it is written.

    Time stamps increase: a packet that does not follow the one before is moved after it. Sound
    before the first picture, which is at time 0, is left out. `notes` reports changes.

    Args:
        container: gets the tracks that its format supports.
        suffix: suffix of its file.
        streams: the tracks of the source, with their languages, titles and default flags.
    """

    def __init__(
        self, container: OutputContainer, suffix: str, streams: Sequence[AudioStream]
    ) -> None:
        self._lost: list[str] = []  # notes on what was left out
        self._container, self._suffix = container, suffix
        self._tracks: dict[AudioStream, AudioStream] = {}
        self._last: dict[AudioStream, int] = {}  # time stamp of the last packet
        self._end: dict[AudioStream, int] = {}  # and its end
        self._primes: dict[AudioStream, int] = {}  # time stamp of the first packet, if it was moved
        self._pushed: dict[AudioStream, int | None] = {}  # stored time stamp, if it was moved
        self._filters: dict[AudioStream, BitStreamFilterContext] = {}
        self._moved = self._broken = 0
        self._cut = Fraction(0)  # seconds before the first picture
        for stream in streams:
            if _fits(stream, suffix):
                self._tracks[stream] = _add(container, stream)
            else:
                name = stream.codec_context.name if stream.codec_context else "an unknown kind"
                self._lost.append(
                    f"sound of codec {name} can't be stored in {suffix} and was left out"
                )

    def __bool__(self) -> bool:
        """Whether there is a track to copy."""
        return bool(self._tracks)

    def copy(self, packets: Sequence[Packet]) -> None:
        """Copies packets, timed as the pictures. OSError for errors other than of the sound."""
        for packet in packets:
            stream = packet.stream
            if stream not in self._tracks or not self._mend(packet):
                continue
            try:
                for plain in self._take_heads_off(stream, packet):
                    plain.stream = self._tracks[stream]
                    self._container.mux(plain)
            except _FAILURES as error:
                if not is_about_data(error):
                    raise
                self.give_up(stream)

    def _take_heads_off(self, stream: AudioStream, packet: Packet) -> list[Packet]:
        """Converts AAC with a header in each packet, as in broadcasts, to one header, as in MP4."""
        if stream.codec_context.name != "aac" or stream.codec_context.extradata:
            return [packet]
        if stream not in self._filters:
            self._filters[stream] = BitStreamFilterContext("aac_adtstoasc", stream)
        try:
            return self._filters[stream].filter(packet)
        except av.error.InvalidDataError:
            self._broken += 1
            return []

    def give_up(self, stream: AudioStream | None = None) -> None:
        """Leaves out the rest of a track that can't be written, or of all tracks for None."""
        for lost in list(self._tracks) if stream is None else [stream]:
            del self._tracks[lost]
            codec = lost.codec_context.name
            at = float(self._end.get(lost, 0) * (lost.time_base or 0))
            self._lost.append(
                f"sound of codec {codec} is damaged for {self._suffix} and was left out "
                f"from {at:.1f} s on"
            )

    @property
    def notes(self) -> list[str]:
        """Notes on what was left out or corrected."""
        notes = list(dict.fromkeys(self._lost))
        if self._moved:
            notes.append(
                "packets of sound with a missing or impossible time stamp: "
                f"{self._moved}; they were moved after the packets before, or left out"
            )
        if self._broken:
            notes.append(f"damaged packets of sound, left out: {self._broken}")
        if self._cut:
            notes.append(
                f"the sound begins {float(self._cut):.2f} s before the first picture; that part "
                "was left out"
            )
        return notes

    def _mend(self, packet: Packet) -> bool:
        """Sets the times of a packet; returns whether to copy it."""
        stream, unit = packet.stream, packet.time_base
        time = packet.pts if packet.dts is None else packet.dts
        stored, end = time, self._end.get(stream, 0)
        first, last = stream not in self._last, self._last.get(stream, 0)
        if time is None or (not first and time <= last) or (time - end) * unit > _GAP:
            self._moved += last != self._primes.get(stream)
            before = self._pushed.get(stream)
            if stored is not None and before is not None and before < stored:
                return False  # later packets catch up with the time
            self._pushed[stream], time = stored, end
        else:
            self._pushed.pop(stream, None)
        preroll = _preroll(stream, self._suffix)
        if first and -time * unit > preroll + _PRIMES_S * (not self._cut):
            self._cut = max(self._cut, -time * unit)
            return False
        if first and -time * unit > preroll:
            self._primes[stream] = time = -int(preroll / unit)
        # Sound has the same display and decoding order.
        packet.pts = packet.dts = time
        self._last[stream] = time
        self._end[stream] = time + max(1, packet.duration or 0)
        return True


def is_about_data(error: Exception) -> bool:
    """Whether FFmpeg refuses the data to write, in contrast to a full disk."""
    return not isinstance(error, OSError)


def _preroll(stream: AudioStream, suffix: str) -> Fraction:
    """Seconds of a track before 0 that a file can store without moving the other tracks."""
    if suffix != ".webm":
        return _BEFORE_S
    head = stream.codec_context.extradata or b""
    # RFC 7845, 5.1: samples that its decoder skips; WebM has a field for them.
    samples = int.from_bytes(head[10:12], "little") if head.startswith(b"OpusHead") else 0
    return Fraction(samples, 48_000)


def _fits(stream: AudioStream, suffix: str) -> bool:
    """Whether a container supports a track; some refuse it only when writing the header."""
    try:
        trial = av.open(io.BytesIO(), "w", format=_FORMATS[suffix])
        added = _add(trial, stream)
        trial.start_encoding()
        if stream.codec_context.name.startswith("pcm"):
            silence = Packet(bytes(64 * _layout(stream).nb_channels))
            silence.stream, silence.pts, silence.dts = added, 0, 0
            trial.mux(silence)
        trial.close()
    except _FAILURES:
        return False
    return True


def _add(container: OutputContainer, stream: AudioStream) -> AudioStream:
    added = container.add_stream_from_template(stream)
    added.metadata.update({k: v for k, v in stream.metadata.items() if k in _KEPT})
    if container.format.name == "mov" and "language" in added.metadata:
        language = added.metadata["language"]
        added.metadata["language"] = _QUICKTIME.get(language, language)
    added.disposition = stream.disposition
    layout = _layout(stream)
    if layout.name == f"{layout.nb_channels} channels" and layout.nb_channels in _LAYOUTS:
        added.codec_context.layout = _LAYOUTS[layout.nb_channels]
    return added


def _layout(stream: AudioStream) -> AudioLayout:
    """The channel layout of a track, which owns it.

    PyAV 18 frees it with every object that it returns (its #2284), so the object is kept.
    """
    layout = stream.codec_context.layout
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout

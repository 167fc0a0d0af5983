"""Sound never ends a run: time stamps of any kind, tracks of any codec."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from matting.video.settings import EncodingSettings
from matting.video.writer import Layout, VideoWriter
from media.reader import ClipReader


def shift(ticks: int) -> Callable[[int, av.Packet], int | None]:
    return lambda number, packet: packet.pts + ticks


def write(source: Path, path: Path, time: Callable[[int, av.Packet], int | None]) -> list[str]:
    """Copies a clip with its sound at other times; returns the notes."""
    reader, number = ClipReader(source, "a", audio=True), 0

    def change(packets: tuple[av.Packet, ...]) -> tuple[av.Packet, ...]:
        nonlocal number
        for packet in packets:
            packet.pts = packet.dts = time(number, packet)
            number += 1
        return packets

    codec = "vp9" if path.suffix == ".webm" else "h264"
    settings = EncodingSettings(codec, preset="ultrafast")
    writer = VideoWriter(path, Layout.of(reader.info), settings, reader.info.audio)
    while (frame := reader.read()) is not None:
        writer.write(frame.pixels, replace(frame, audio=change(frame.audio)))
    writer.finish(change(reader.take_audio()))
    reader.close()
    return writer.notes


@pytest.mark.parametrize(
    ("time", "kept"),
    [
        (lambda n, p: p.pts - (p.duration if n % 2 else 0), 1.0),
        (lambda n, p: 0, 1.0),
        (lambda n, p: None, 1.0),
        (lambda n, p: p.pts if n != 20 else -(10**9), 1.0),
        (lambda n, p: p.pts if n != 20 else 10**12, 1.0),
        (lambda n, p: p.pts - (200 if n > 20 else 0), 0.7),  # what is there twice is left out
    ],
    ids=["repeated", "all 0", "none", "one far back", "one far ahead", "backward"],
)
def test_time_stamps_of_sound_are_mended(tmp_path: Path, clips, time, kept: float) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.moving(25), sound="aac")
    notes = write(source, tmp_path / "com.mp4", time)
    assert "packets of sound with a missing or impossible time stamp" in notes[0]
    found = [moment for moment, _ in clips.sound(tmp_path / "com.mp4")]
    assert found == sorted(set(found))
    assert kept * len(clips.sound(source)) <= len(found) + 1
    # As long as it was, but for what begins before the pictures.
    assert float(found[-1]) == pytest.approx(kept + 0.2 * (kept < 1) - 0.02, abs=0.15)
    assert len(clips.read(tmp_path / "com.mp4")) == 25


def test_whole_sound_has_no_note(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.moving(25), sound="aac")
    assert write(source, tmp_path / "com.mp4", shift(0)) == []


def test_a_first_packet_that_begins_just_before_the_pictures_is_kept(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.moving(25), sound="libopus")
    path = tmp_path / "com.webm"
    # As Vorbis has it, whose first packet is not heard, and the second at 0.
    assert write(source, path, lambda n, p: p.pts - 4 if n else -14) == []
    assert len(clips.sound(path)) == len(clips.sound(source))
    assert clips.times(path)[0] == 0


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_before_the_first_picture_is_cut(tmp_path: Path, clips, suffix: str) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.moving(25), sound="libopus")
    path = tmp_path / f"com{suffix}"
    (note,) = write(source, path, shift(-500))
    assert note.startswith("the sound begins 0.5")
    assert clips.times(path)[0] == 0  # the pictures are not moved for it
    first = float(clips.sound(path)[0][0])
    assert -0.1 <= first <= 0.02


@pytest.mark.parametrize(("language", "stored"), [("deu", "ger"), ("fre", "fra"), ("eng", "eng")])
def test_quicktime_names_languages_its_own_way(
    tmp_path: Path, clips, language: str, stored: str
) -> None:
    plain = clips.write(tmp_path / "plain.mkv", clips.moving(5), sound="aac")
    source = tmp_path / "a.mp4"
    with av.open(str(plain)) as inner, av.open(str(source), "w") as container:
        streams = {s: container.add_stream_from_template(s) for s in inner.streams}
        streams[inner.streams.audio[0]].metadata["language"] = language
        for packet in [packet for packet in inner.demux() if packet.size]:
            packet.stream = streams[packet.stream]
            container.mux(packet)
    assert write(source, tmp_path / "com.mov", shift(0)) == []
    with av.open(str(tmp_path / "com.mov")) as container:
        assert container.streams.audio[0].language == stored


def test_languages_titles_and_the_default_stay(tmp_path: Path, clips) -> None:
    plain = clips.write(tmp_path / "plain.mkv", clips.moving(5), sound="aac")
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as inner, av.open(str(source), "w") as container:
        picture, sound = inner.streams.video[0], inner.streams.audio[0]
        streams = [container.add_stream_from_template(s) for s in (picture, sound, sound)]
        for stream, language, default in zip(streams[1:], ("ger", "fre"), (0, 1), strict=True):
            stream.metadata.update({"language": language, "title": f"In {language}"})
            stream.disposition = default
        packets = [
            (stream, packet.pts, packet.dts, bytes(packet), packet.duration, packet.is_keyframe)
            for packet in inner.demux()
            if packet.size
            for stream in (streams[:1] if packet.stream is picture else streams[1:])
        ]
        for stream, pts, dts, content, duration, key in packets:
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts = stream, pts, dts
            packet.time_base, packet.duration, packet.is_keyframe = Fraction(1, 1000), duration, key
            container.mux(packet)
    assert write(source, tmp_path / "com.mp4", shift(0)) == []
    with av.open(str(tmp_path / "com.mp4")) as container:
        found = [(s.language, int(s.disposition) & 1) for s in container.streams.audio]
        assert found == [("ger", 0), ("fre", 1)]
        assert container.streams.audio[1].metadata["name"] == "In fre"


def test_aac_of_broadcasts_is_copied(tmp_path: Path, clips) -> None:
    """In MPEG-TS each packet has a head of its own."""
    source = clips.write(tmp_path / "a.ts", clips.moving(25), sound="aac")
    assert write(source, tmp_path / "com.mp4", shift(0)) == []
    with av.open(str(tmp_path / "com.mp4")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples == pytest.approx(48000, abs=2048)


def test_sound_that_only_a_strict_muxer_refuses_is_left_out(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.moving(5), sound="flac")
    reader = ClipReader(source, "a", audio=True)
    settings = EncodingSettings("prores")
    writer = VideoWriter(tmp_path / "com.mov", Layout.of(reader.info), settings, reader.info.audio)
    assert writer.notes == ["sound of codec flac can't be stored in .mov and was left out"]
    while (frame := reader.read()) is not None:
        writer.write(frame.pixels, frame)
    writer.finish()
    assert len(clips.read(tmp_path / "com.mov")) == 5

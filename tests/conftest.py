"""Small photographs made of numbers, and the script called on them as a user calls it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from tests.storage.server import Store

REPOSITORY = Path(__file__).resolve().parents[1]
IMAGES, VIDEO, WEBCAM = "inference_images.py", "inference_video.py", "inference_webcam.py"

# The CPU, where results are repeatable. One thread: on a machine that does other things too,
# threads that wait for each other make small pictures ten times as slow.
ENVIRONMENT = os.environ | {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "PYTHONIOENCODING": "utf-8",
    "COLUMNS": "999",  # messages in boxes are not broken in the middle of a path
}

# The same for the tests themselves, which import torch after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Runs the script's file as __main__ after some code of the test.
PATCHED = """
import os, runpy, sys
sys.path.insert(0, os.getcwd())
script, before = sys.argv.pop(1), sys.argv.pop(1)
exec(before)
sys.argv[0] = script
runpy.run_path(script, run_name="__main__")
"""

# Imports what the script imports, then does that for every line that it reads, each in a process of
# its own. They end without tearing down the libraries, which takes longer than the script.
FORKS = f"""
import gc, json, os, signal, sys, traceback
sys.path.insert(0, os.getcwd())
script = sys.argv[1]
__import__(script.removesuffix(".py"))
gc.collect()
gc.freeze()  # otherwise collecting garbage copies all of these objects
while line := sys.stdin.readline():
    call = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    signal.alarm(call["timeout"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate((call["stdin"], call["out"], call["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if number else 0)), number)
    sys.argv = ["-c", script, call["before"], *call["args"]]
    code = 0
    try:
        exec({PATCHED!r})
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
"""


@dataclass(frozen=True)
class Run:
    """What a call left behind: exit code (negative: the signal that ended it), stdout, stderr."""

    code: int
    out: str
    err: str

    def check(self, code: int, *patterns: str) -> "Run":
        """Compares the exit code, and searches the messages, boxes and line ends taken out.

        Args:
            code: the exit code wanted.
            patterns: regular expressions; what is wrong must be told on stderr.
        """
        shown = f"exit code {self.code}\n{self.out}\n{self.err}"
        assert self.code == code, shown
        assert "Traceback" not in self.err, shown
        said = self.err if code else self.out
        said = re.sub(r"[\s│╭╮╰╯─]+", " ", said)
        missing = [pattern for pattern in patterns if not re.search(pattern, said)]
        assert missing == [], shown
        return self


RunScript = Callable[..., Run]


class Photographs:
    """Makes plates, and frames on which the default network finds the subject."""

    COLOUR = (205, 60, 40)

    @staticmethod
    def plate(height: int = 128, width: int = 192, seed: int = 0) -> np.ndarray:
        """(height, width, 3) uint8, RGB: noise at three scales, in no way like the subject."""
        generator = np.random.default_rng(seed)
        texture = np.zeros((height, width, 3))
        for radius in (2, 8, 24):
            noise = generator.integers(0, 256, texture.shape, np.uint8)
            smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(radius)))
            texture += (smooth - smooth.mean()) / smooth.std()
        return np.clip(120 + 45 * texture / texture.std(), 0, 255).astype(np.uint8)

    @staticmethod
    def disc(height: int = 128, width: int = 192) -> np.ndarray:
        """(height, width) bool, where the subject is."""
        y, x = np.mgrid[:height, :width] + 0.5
        return (x - width / 2) ** 2 + (y - height / 2) ** 2 < (0.32 * height) ** 2

    @classmethod
    def frame(cls, plate: np.ndarray) -> np.ndarray:
        """The plate with a disc of one colour in front of its middle."""
        return np.where(cls.disc(*plate.shape[:2])[..., None], cls.COLOUR, plate).astype(np.uint8)

    @staticmethod
    def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
        """Writes a picture, and the folders that it needs; returns the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    @classmethod
    def pair(
        cls, folder: Path, *names: str, height: int = 64, width: int = 96
    ) -> tuple[Path, Path]:
        """Writes folder/src/NAME... and folder/bgr.png; returns the two paths."""
        plate = cls.plate(height, width)
        for name in names:
            cls.save(folder / "src" / name, cls.frame(plate))
        return folder / "src", cls.save(folder / "bgr.png", plate)


class Clips:
    """Makes small video files with PyAV alone, and reads them, independently of the program."""

    @staticmethod
    def moving(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
        """(height, width, 3) uint8 pictures: a plate with a disc that moves to the right."""
        plate = Photographs.plate(height, width)
        y, x = np.mgrid[:height, :width] + 0.5
        pictures = []
        for index in range(count):
            centre = width * (0.25 + 0.5 * index / max(1, count - 1))
            disc = (x - centre) ** 2 + (y - height / 2) ** 2 < (0.3 * height) ** 2
            pictures.append(np.where(disc[..., None], Photographs.COLOUR, plate).astype(np.uint8))
        return pictures

    @staticmethod
    def write(
        path: Path,
        pictures: list[np.ndarray],
        pts: list[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        rotation: tuple[float, bool, bool] | None = None,
        sound: str | None = None,
        tags: dict[str, int] | None = None,
        matrix: int | None = None,
        **options: str,
    ) -> Path:
        """Writes a clip; its sound, of a codec's name, is a tone as long as the pictures.

        Colours are converted by `matrix`, or by the one that `tags` name.
        """
        pts = list(range(len(pictures))) if pts is None else pts
        path.parent.mkdir(parents=True, exist_ok=True)
        scale = {"video_track_timescale": str(time_base.denominator)}
        with av.open(f"file:{path}", "w", container_options=scale) as container:
            height, width = pictures[0].shape[:2] if pictures else (48, 64)
            rate = min(Fraction(25), 1 / time_base)
            stream = container.add_stream(codec, rate, options, width=width, height=height)
            stream.pix_fmt = pixel_format
            stream.codec_context.time_base = time_base
            for name, value in (tags or {}).items():
                setattr(stream.codec_context, name, value)
            if rotation is not None:
                stream.set_display_rotation(*rotation)
            audio = container.add_stream(sound, 48000) if sound else None
            container.start_encoding()
            colours = {
                "dst_colorspace": matrix or (tags or {}).get("colorspace"),
                "dst_color_range": (tags or {}).get("color_range"),
            }
            for picture, time in zip(pictures, pts, strict=True):
                kind = "rgb48le" if picture.dtype == np.uint16 else "rgb24"
                frame = av.VideoFrame.from_ndarray(picture, kind)
                frame = frame.reformat(format=pixel_format, **colours)
                frame.pts, frame.time_base, frame.duration = time, time_base, 1
                for packet in stream.encode(frame):
                    packet.duration = packet.duration or 1
                    container.mux(packet)
            container.mux(stream.encode(None))
            if audio is not None:
                seconds = float((pts[-1] + 1) * time_base)
                for packet in Clips._tone(audio, seconds):
                    container.mux(packet)
        return path

    @staticmethod
    def _tone(stream: av.AudioStream, seconds: float) -> Iterator[av.Packet]:
        samples = np.sin(np.arange(int(48000 * seconds)) / 20).astype(np.float32)
        for start in range(0, len(samples), 1024):
            part = np.ascontiguousarray(np.tile(samples[start : start + 1024], (2, 1)))
            frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            yield from stream.encode(frame)
        yield from stream.encode(None)

    @staticmethod
    def read(path: Path, kind: str = "rgb24", decoder: str | None = None) -> list[np.ndarray]:
        """The frames of a clip; `decoder` is needed for the alpha of VP9."""
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            if decoder is None:
                return [frame.to_ndarray(format=kind) for frame in container.decode(stream)]
            context = av.CodecContext.create(decoder, "r")
            packets = container.demux(stream)
            frames = [f for p in packets for f in context.decode(p if p.size else None)]
            return [frame.to_ndarray(format=kind) for frame in frames]

    @staticmethod
    def times(path: Path) -> list[Fraction]:
        """When each frame is shown, seconds."""
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            return [frame.pts * stream.time_base for frame in container.decode(stream)]

    @staticmethod
    def sound(path: Path) -> list[tuple[Fraction, bytes]]:
        """Time and content of each packet of sound."""
        with av.open(f"file:{path}") as container:
            packets = container.demux(audio=0)
            return [(p.pts * p.time_base, bytes(p)) for p in packets if p.size]


@pytest.fixture(scope="session")
def clips() -> type[Clips]:
    """See `Clips`."""
    return Clips


@pytest.fixture(scope="session")
def photographs() -> type[Photographs]:
    """See `Photographs`."""
    return Photographs


@pytest.fixture(scope="session")
def start_script() -> Callable[..., subprocess.Popen]:
    """Starts the script in the repository's root, and lets it run."""

    def start(*args: object, command: tuple[str, ...] = ()) -> subprocess.Popen:
        """Starts `command`, by default inference_images.py, with `args` behind."""
        return subprocess.Popen(
            [*(command or (sys.executable, IMAGES)), *map(str, args)],
            cwd=REPOSITORY,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    return start


@pytest.fixture(scope="session")
def run_script(start_script: Callable[..., subprocess.Popen]) -> RunScript:
    """Runs the script in the repository's root, as a user does, and captures its output."""

    def run(*args: object, command: tuple[str, ...] = (), timeout: int = 120) -> Run:
        """Runs `command`, by default inference_images.py, with `args` behind."""
        with start_script(*args, command=command) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Run(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def run_forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """inference_images.py, see `fork_script`."""
    yield from fork_script(IMAGES, tmp_path_factory.mktemp("forked"))


@pytest.fixture(scope="session")
def run_video(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """inference_video.py, see `fork_script`."""
    yield from fork_script(VIDEO, tmp_path_factory.mktemp("forked_video"))


@pytest.fixture(scope="session")
def run_webcam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """inference_webcam.py, see `fork_script`."""
    yield from fork_script(WEBCAM, tmp_path_factory.mktemp("forked_webcam"))


def fork_script(script: str, folder: Path) -> Iterator[RunScript]:
    """Runs a script in a process forked from one that has only imported what it imports.

    The imports take seconds, and with this every case does not wait for them. Elsewhere than on
    Linux the script is started afresh: Windows can't fork, and macOS's libraries do not survive it.
    """
    if sys.platform != "linux":

        def run_patched(
            *args: object, before: str = "", timeout: int = 120, stdin: Path | str = os.devnull
        ) -> Run:
            command = [sys.executable, "-c", PATCHED, script, before, *map(str, args)]
            done = subprocess.run(
                command,
                cwd=REPOSITORY,
                env=ENVIRONMENT,
                stdin=(source := os.open(stdin, os.O_RDWR)),
                capture_output=True,
                encoding="utf-8",
                timeout=timeout,
            )
            os.close(source)
            return Run(done.returncode, done.stdout, done.stderr)

        yield run_patched
        return
    out, err = folder / "out.txt", folder / "err.txt"
    server = subprocess.Popen(
        [sys.executable, "-c", FORKS, script],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )

    def run(
        *args: object, before: str = "", timeout: int = 120, stdin: Path | str = os.devnull
    ) -> Run:
        """Runs the script with `args`, after the code `before`, which may patch something."""
        call = {"args": [*map(str, args)], "before": before, "timeout": timeout}
        call |= {"stdin": str(stdin), "out": str(out), "err": str(err)}
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return Run(code, out.read_text("utf-8"), err.read_text("utf-8"))

    with server:
        yield run
    assert server.returncode == 0


@pytest.fixture(scope="session")
def s3_server() -> Iterator["Store"]:
    """See `tests.storage.server.Store`; moto takes two seconds to import."""
    from tests.storage.server import serve

    with serve() as store:
        yield store


@pytest.fixture
def s3(s3_server: "Store", monkeypatch: pytest.MonkeyPatch) -> "Store":
    """An S3 server with an empty bucket and no faults, which this process's environment names.

    Scripts that a test starts need `s3.environment`.
    """
    s3_server.new_bucket()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server

"""Settings of a live camera: how it is opened, how its plate is taken, what comes out."""

from pathlib import Path
from typing import Literal

from runtime.settings import settings_group

from ..video.settings import Codec, EncodingSettings

Pace = Literal["live", "each"]
Mirror = Literal["none", "preview", "all"]
Preview = Literal["auto", "yes", "no"]

_CODECS: dict[str, Codec] = {".mp4": "h264", ".mov": "prores", ".webm": "vp9"}
_LETTERS = 4


@settings_group("camera")
class CameraSettings:
    """How to open the camera.

    Attributes:
        size: Width and height to ask the driver for, pixels; it may give others.
        rate: Frames a second to ask for.
        format: Four letters of the camera's own coding, as MJPG, which many need for HD at 30
            frames a second; the driver's choice when not given.
        lock: Lock focus, exposure and white balance when the plate is taken, where the driver can.
        pace: Of a clip that stands in for a camera: live plays it at its own rate and drops what is
            late; each takes one frame after the other, as fast as they are matted.
    """

    size: tuple[int, int] = (1280, 720)
    rate: float = 30.0
    format: str | None = None
    lock: bool = True
    pace: Pace = "live"

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ValueError(f"size must be a width and a height of 1 or more, got {self.size}")
        if not 0 < self.rate <= 1000:
            raise ValueError(f"rate must be above 0 and at most 1000, got {self.rate}")
        if self.format is not None and len(self.format) != _LETTERS:
            raise ValueError(f"format must have four letters, as MJPG, got {self.format!r}")


@settings_group("plate")
class PlateSettings:
    """How to take the plate with the camera.

    Attributes:
        countdown: Seconds to step out of the picture.
        frames: Frames that are averaged, against noise.
        save: Keep every plate that is taken, as OUTPUT_DIR/plate-TIME.png.
    """

    countdown: float = 5.0
    frames: int = 20
    save: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.countdown <= 600:
            raise ValueError(f"countdown must lie in [0, 600] seconds, got {self.countdown}")
        if not 1 <= self.frames <= 1000:
            raise ValueError(f"frames must lie in [1, 1000], got {self.frames}")


@settings_group("record")
class RecordSettings:
    """How to record; the name's extension chooses the codec.

    Attributes:
        crf: Quality, less is better; 18 (.mp4) or 24 (.webm) when not given.
        bit_rate: Million bits a second, instead of a quality; not for .mov.
        preset: Speed of .mp4, from ultrafast to veryslow; a live encoder has to keep up.
    """

    crf: int | None = None
    bit_rate: float | None = None
    preset: str = "veryfast"

    def encoding(self, path: Path) -> EncodingSettings:
        """Chooses the codec of a file.

        Args:
            path: .mp4 (H.264), .mov (ProRes) or .webm (VP9).

        Returns:
            The settings of its writer.

        Raises:
            ValueError: for another extension, or settings that its codec does not have.
        """
        codec = _CODECS.get(path.suffix.lower())
        if codec is None:
            raise ValueError(
                f"--record {path}: the extension must be one of {', '.join(_CODECS)}, got "
                f"{path.suffix or 'none'}"
            )
        return EncodingSettings(codec, self.crf, self.bit_rate, self.preset)

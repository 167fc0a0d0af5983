"""The card beside an exported network: what it takes, what it gives, and how exact it is."""

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from runtime.device import Precision
from runtime.wording import to_json

from ..quality import Budget, resolve_budget

Format = Literal[
    "onnx",
    "openvino",
    "torch-export",
    "torchscript",
    "aotinductor",
    "executorch",
    "ncnn",
    "coreml",
    "tensorrt",
]

# Half of height plus width at HD, in pixels: of a frame with more, a coarse input that follows the
# frame's size has half of this; of others, half of the frame's. Source: see `exports.network`.
HD_AROUND = (1920 + 1080) // 2

_MAX_BYTES = 1_000_000
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_Side = Annotated[int, Field(ge=4, le=65_536, multiple_of=4)]


@dataclass(frozen=True, config=_STRICT)
class Difference:
    """Absolute differences from PyTorch, of values in [0, 1].

    Attributes:
        largest: of all.
        most: 99% of the values differ by this at most.
        mean: of all.
    """

    largest: float
    most: float
    mean: float


@dataclass(frozen=True, config=_STRICT)
class FrameParity:
    """How far the results for one frame are from PyTorch's.

    Attributes:
        name: of the frame in demo/.
        size: height and width in pixels.
        pha: of alpha.
        fgr: of the foreground.
    """

    name: str
    size: tuple[int, int]
    pha: Difference
    fgr: Difference


@dataclass(frozen=True, config=_STRICT)
class Parity:
    """Agreement with PyTorch.

    Attributes:
        runtime: what computed it, with its version; None if it was not run, with the reason.
        bound: how much alpha and foreground may differ: in float32 all of their values, in lower
            precision 99% of them.
        frames: one entry for each frame that was compared.
        reason: what was not run, and why.
    """

    runtime: str | None
    bound: float
    frames: tuple[FrameParity, ...] = ()
    reason: str | None = None

    @property
    def largest(self) -> float:
        """The largest difference of all frames, of which there must be one."""
        return max(part.largest for frame in self.frames for part in (frame.pha, frame.fgr))

    @property
    def most(self) -> float:
        """99% of the values of each frame differ by this at most."""
        return max(part.most for frame in self.frames for part in (frame.pha, frame.fgr))


@dataclass(frozen=True, config=_STRICT)
class Card:
    """Describes an exported network; stored as JSON beside it.

    Attributes:
        format: of the file.
        file: its name; with OpenVINO and ncnn the weights are in the `.bin` of the same stem.
        sha256: see `hash_export`.
        program: version of this program.
        weights_sha256: of the weights file.
        network: type, backbone and kernel size.
        mode: `blocks`, `full` or `coarse`.
        precision: of the convolutions.
        size: height and width of frames in pixels; None means any multiple of 4 from `least` on.
        least: smallest side in pixels.
        backbone_scale: size of the coarse input as a fraction of the frame's; None, as the next,
            means that it follows the frame's size, nearly as with quality `auto`.
        refine_sample_pixels: budget of the refiner; mode `blocks` refines one block of 16 x 16
            pixels for every 160 of it.
        corrects_alpha: whether alpha is corrected by the compositing equation.
        inputs: shape, type, layout and range of each input.
        outputs: the same of each output.
        operators: how often each kind of operator occurs.
        parity: agreement with PyTorch.
    """

    format: Format
    file: str
    sha256: str
    program: str
    weights_sha256: str
    network: str
    mode: Literal["blocks", "full", "coarse"]
    precision: Precision
    size: tuple[_Side, _Side] | None
    least: Annotated[int, Field(ge=4, le=1024, multiple_of=4)]
    backbone_scale: Annotated[float, Field(gt=0, le=0.5)] | None
    refine_sample_pixels: Annotated[int, Field(ge=0, le=2**32)] | None
    corrects_alpha: bool
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]
    parity: Parity

    def budget(self, height: int, width: int) -> Budget:
        """The work for a frame of this size in pixels."""
        scale, pixels = self.backbone_scale, self.refine_sample_pixels
        if scale is None:
            scale = min(HD_AROUND / (height + width), 1) / 2
        return resolve_budget(height, width, "auto", scale, pixels, self.corrects_alpha)

    def to_json(self) -> bytes:
        """The card as a JSON file."""
        return to_json(asdict(self))


def card_path(exported: Path) -> Path:
    """The file of an export's card."""
    return exported.with_name(exported.name + ".json")


def list_files(exported: Path) -> list[Path]:
    """The files of an export: of a folder all in it, of a `.xml` or `.param` its weights too."""
    if exported.is_dir():
        return sorted(file for file in exported.rglob("*") if file.is_file())
    weights = exported.suffix.lower() in (".xml", ".param")
    return [exported, exported.with_suffix(".bin")] if weights else [exported]


def hash_export(exported: Path) -> str:
    """SHA-256 of an export's files, one after the other."""
    found = sha256()
    for file in list_files(exported):
        found.update(file.read_bytes())
    return found.hexdigest()


def read_card(exported: Path) -> Card:
    """Reads the card of an export.

    Raises:
        ValueError: when it is missing, too large or not a card.
    """
    path = card_path(exported)
    missing = [file for file in list_files(exported) if not file.exists()]
    if missing:
        raise ValueError(f"{missing[0]} is not there")
    if not path.is_file():
        raise ValueError(
            f"{exported} has no card {path.name} beside it; export it again with export.py, or "
            "copy the card with it"
        )
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{path} is larger than {_MAX_BYTES:,} bytes, so it is not a card")
    try:
        return TypeAdapter(Card).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path} is not the card of an export: {where}: {first['msg']}") from error

"""Writes one format: the file, the comparison with PyTorch, and the card."""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from matting.exported.card import Card, Format, FrameParity, Parity, card_path, hash_export
from matting.exported.runtimes import check_packages
from model import MattingRefine
from model.weights import identify, load_network
from runtime.device import Precision
from runtime.files import temporary_folder
from runtime.version import VERSION

from .formats import FORMATS, Operators
from .network import DYNAMIC_MIN, ExportedNetwork, Graph, Mode
from .parity import Expected, compare, predict_demo
from .settings import SIZES, NetworkSettings


@dataclass(frozen=True)
class Order:
    """What to export; formats share what they start from.

    Attributes:
        network: the weights and the work per frame.
        size: height and width of frames in pixels; None for dynamic ones.
        mode: see `ExportedNetwork`.
        precision: of the network.
    """

    network: NetworkSettings
    size: tuple[int, int] | None
    mode: Mode
    precision: Precision

    def name(self, format: Format) -> str:
        """The name of the file."""
        named = {size: name for name, size in SIZES.items()}
        size = named.get(self.size) or "{1}x{0}".format(*(self.size or ()))
        return f"{size}-{self.mode}-{self.precision}{FORMATS[format].suffix}"

    def check(self, format: Format) -> None:
        """Checks that a format can be written.

        Raises:
            ValueError: when it lacks the precision or dynamic sizes, a package is missing, or one
                of scale and pixels alone is given for dynamic sizes.
        """
        writer = FORMATS[format]
        if self.precision not in writer.bounds:
            raise ValueError(
                f"--format {format} is written in {' or '.join(writer.bounds)}, got "
                f"--precision {self.precision}"
            )
        if self.size is None and not writer.dynamic:
            raise ValueError(f"--format {format} has a fixed size; give --size HD, 4K or 1280x720")
        if self.mode not in writer.modes:
            raise ValueError(
                f"--format {format} is written in mode {' or '.join(writer.modes)}, got "
                f"--mode {self.mode}"
            )
        scale, pixels = self.network.backbone_scale, self.network.refine_sample_pixels
        if self.size is None and scale is None and pixels is not None:
            raise ValueError("--size dynamic with fixed pixels: give --model-backbone-scale too")
        if self.size is None and pixels is None and scale is not None and self.mode == "blocks":
            raise ValueError(
                "--size dynamic with a fixed scale: give --model-refine-sample-pixels too"
            )
        corrects = self.network.choose_budget(self.size).corrects_alpha
        if corrects and not writer.corrects_alpha:
            raise ValueError(
                f"--format {format} lacks the operators that correct alpha; give "
                "--model-corrects-alpha False"
            )
        check_packages(writer.packages, f"--format {format}")

    @cached_property
    def plain(self) -> Graph:
        """The network in float32."""
        return self._build("float32")

    @cached_property
    def expected(self) -> list[Expected]:
        """What PyTorch predicts, in float32."""
        return predict_demo(self.plain.module, self.size)

    @cached_property
    def reduced(self) -> Graph:
        """The network in float16."""
        return self._build("float16")

    def graph(self, format: Format) -> Graph:
        """What a format starts from. OpenVINO lowers float32 to bfloat16 itself, when it runs."""
        return self.reduced if self.precision == "float16" else self.plain

    @property
    def sized(self) -> bool:
        """Whether scale and pixels follow the size of the frame."""
        asked = self.network.backbone_scale, self.network.refine_sample_pixels
        return self.size is None and asked == (None, None)

    def _build(self, precision: Precision) -> Graph:
        budget = self.network.choose_budget(self.size)
        network = load_network(self.network.checkpoint)
        module = ExportedNetwork(network, self.mode, budget, precision, self.sized)
        return Graph(module, self.size, budget)


def write_export(order: Order, format: Format, folder: Path) -> Card:
    """Writes a format and its card into a folder; existing files are replaced.

    Nothing gets its name before the comparison with PyTorch has passed.

    Returns:
        The card.

    Raises:
        ValueError: when the difference from PyTorch exceeds the bound.
        OSError: when a file can't be written.
    """
    writer, name = FORMATS[format], order.name(format)
    with temporary_folder(".export-", folder) as place:
        path = place / name
        operators = writer.write(order.graph(format), path)
        parity = _compare(order, format, path)
        card = _describe(order, format, path, operators, parity)
        card_path(path).write_bytes(card.to_json())
        made = [file for file in place.iterdir() if not file.name.startswith(".")]
        for file in sorted(made, key=lambda file: file == card_path(path)):  # the card comes last
            wanted = folder / file.name
            if wanted.is_dir():  # no folder takes the place of another; it goes with `place`
                wanted.replace(place / f"{file.name}.old")
            file.replace(wanted)
    return card


def _compare(order: Order, format: Format, path: Path) -> Parity:
    writer = FORMATS[format]
    bound = writer.bounds[order.precision]
    if writer.open is None:
        return Parity(None, bound, reason=writer.not_run)
    frames = compare(writer.open(path, order.precision), order.expected)
    parity = Parity(_name_runtime(format), bound, frames, writer.not_run)
    worst, difference = find_worst(parity, order.precision)
    if difference > bound:
        raise ValueError(
            f"differs from PyTorch by {difference:.2g} at {worst.name}.jpg of demo/ "
            f"({worst.size[1]} x {worst.size[0]}), more than {bound:g}; nothing was written"
        )
    return parity


def find_worst(parity: Parity, precision: Precision) -> tuple[FrameParity, float]:
    """Finds the frame that differs most from PyTorch, and by how much.

    In float32 that is the largest difference. In lower precision 1% of the values is left out:
    rounding changes which blocks are the last within the budget, in PyTorch too.
    """

    def measure(frame: FrameParity) -> float:
        parts = frame.pha, frame.fgr
        return max(x.largest if precision == "float32" else x.most for x in parts)

    worst = max(parity.frames, key=measure)
    return worst, measure(worst)


def _describe(
    order: Order, format: Format, path: Path, operators: Operators, parity: Parity
) -> Card:
    graph = order.graph(format)
    height, width = order.size or ("H", "W")
    picture = f"float32 (1, 3, {height}, {width}), RGB in [0, 1], channels first"
    budget = graph.budget
    return Card(
        format=format,
        file=path.name,
        sha256=hash_export(path),
        program=VERSION,
        weights_sha256=hash_export(order.network.checkpoint),
        network=str(identify(graph.module.network.state_dict())),
        mode=order.mode,
        precision=order.precision,
        size=order.size,
        least=DYNAMIC_MIN,
        backbone_scale=None if order.sized else budget.backbone_scale,
        refine_sample_pixels=None if order.sized else budget.refine_sample_pixels,
        corrects_alpha=budget.corrects_alpha and isinstance(graph.module.network, MattingRefine),
        inputs={"src": f"{picture}, the frame", "bgr": f"{picture}, the plate"},
        outputs={
            "pha": f"float32 (1, 1, {height}, {width}), alpha in [0, 1]",
            "fgr": f"{picture}, the foreground, straight",
        },
        operators=operators,
        parity=parity,
    )


def _name_runtime(format: Format) -> str:
    package = next(iter(FORMATS[format].packages[::-1]), "torch")
    return f"{package} {version(package)}"

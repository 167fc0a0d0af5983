"""ncnn: for phones, by its converter pnnx."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from matting.exported.runtimes import Run
from runtime.device import Precision

from .network import Graph
from .writer import Operators, count, trace


def write_ncnn(graph: Graph, path: Path) -> Operators:
    """Writes a graph as layers (`.param`) and weights (`.bin`).

    Raises:
        ValueError: when the converter fails, or leaves operators that ncnn has no layer for.
    """
    import ncnn
    import pnnx

    with TemporaryDirectory() as place:
        traced, layers, weights = (
            Path(place, name) for name in ("net.pt", "net.ncnn.param", "net.ncnn.bin")
        )
        trace(graph).save(traced)
        shape = "[{}]f32".format(",".join(map(str, graph.example[0].shape)))
        command = [pnnx.EXEC_PATH, traced.name, f"inputshape={shape},{shape}", "fp16=0"]
        done = subprocess.run(  # noqa: S603 - the program of the package
            command, cwd=place, capture_output=True, text=True, errors="replace"
        )
        if done.returncode or not (layers.is_file() and weights.is_file()):
            raise ValueError(f"pnnx failed: {(done.stderr + done.stdout)[-2000:]}")
        # Two lines of numbers, then a layer in each.
        kinds = [line.split()[0] for line in layers.read_text().splitlines()[2:]]
        unknown = sorted({kind for kind in kinds if ncnn.layer_to_index(kind) < 0})
        if unknown:
            raise ValueError(f"ncnn has no layers for {', '.join(unknown)}")
        path.write_bytes(layers.read_bytes())
        _weights_of(path).write_bytes(weights.read_bytes())
    return count(kinds)


def open_ncnn(path: Path, precision: Precision) -> Run:
    """Opens layers and weights, to compute in float32."""
    import ncnn

    network = ncnn.Net()
    options = network.opt
    options.num_threads = torch.get_num_threads()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(options, name, False)
    if network.load_param(str(path)) or network.load_model(str(_weights_of(path))):
        raise ValueError(f"ncnn can't open {path}")

    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        extractor = network.create_extractor()
        for name, picture in (("in0", src), ("in1", bgr)):
            extractor.input(name, ncnn.Mat(picture[0]))
        pha, fgr = (np.array(extractor.extract(name)[1])[None] for name in ("out0", "out1"))
        return pha, fgr

    return run


def _weights_of(path: Path) -> Path:
    return path.with_suffix(".bin")

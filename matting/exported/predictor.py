"""The predictor of an exported network."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.fast import Memory
from runtime.device import resolve_device

from ..prediction import Prediction
from ..predictor import Predictor, Prepared, explain_non_finite
from ..quality import Budget, Quality
from ..settings import ComputeSettings, ModelSettings
from .card import hash_export, read_card
from .runtimes import open_onnx, open_openvino

# The package that runs a format, named as its backend is, and how.
_RUNTIMES = {"onnx": ("onnxruntime", open_onnx), "openvino": ("openvino", open_openvino)}


class ExportedPredictor(Predictor):
    """Runs an exported network on pictures of its size; calls of several threads take turns.

    Args:
        path: the ONNX or OpenVINO file, with its card beside it.

    Attributes:
        runtime: the package that runs the file, named as its backend is.

    Raises:
        ValueError: when card or file can't be used, do not belong together, or the runtime is not
            installed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.card = path, read_card(path)
        if self.card.format not in _RUNTIMES:
            raise ValueError(
                f"{path} is of format {self.card.format}, which is for other programs; use one of "
                f"{', '.join(_RUNTIMES)}"
            )
        if hash_export(path) != self.card.sha256:
            raise ValueError(f"{path} is not the file that its card describes; export it again")
        self.runtime, start = _RUNTIMES[self.card.format]
        self._run = start(path, self.card.precision)
        self.device, self.precision, self.parity = torch.device("cpu"), self.card.precision, None
        self._set_lanes(1, Memory())

    @property
    def kind(self) -> str:
        """What computes, in words."""
        return f"{self.card.network}, exported to {self.card.format} in mode {self.card.mode}"

    def choose_budget(self, height: int, width: int, quality: Quality, **asked: Any) -> Budget:
        """Returns the export's own scale and pixels; ValueError where others are asked for."""
        self._refuse({name: value for name, value in asked.items() if value is not None})
        return self.card.budget(height, width)

    def check_settings(self, model: ModelSettings, compute: ComputeSettings) -> None:
        """Checks that settings ask for nothing that an export can't give.

        Raises:
            ValueError: for a property of the network, or another device, precision or backend.
        """
        plain = ModelSettings()
        names = [name for name in vars(plain) if name != "checkpoint"]
        values = {name: getattr(model, name) for name in names}
        self._refuse({k: value for k, value in values.items() if value != getattr(plain, k)})
        if compute.device not in ("auto", "cpu"):
            resolve_device(compute.device)
            raise ValueError(f"{self.path} runs on the CPU, got --device {compute.device}")
        if compute.precision is not None or compute.backend != "pytorch":
            raise ValueError(
                f"{self.path} determines precision and backend; leave out --precision and --backend"
            )

    def predict(self, src: np.ndarray, bgr: np.ndarray | Prepared, budget: Budget) -> Prediction:
        """Predicts as `Predictor.predict`, but with the export's own budget, and no error map.

        Raises:
            ValueError: when frame and plate differ in size, or have another size than the export;
                when the runtime fails, or its results have another shape or are not finite.
        """
        if src.shape != bgr.shape:
            raise ValueError(f"frame and plate must agree in size, got {src.shape}, {bgr.shape}")
        height, width = src.shape[:2]
        pair = [
            (picture if isinstance(picture, Prepared) else self.prepare(picture)).tensor
            for picture in (src, bgr)
        ]
        wanted = self.card.size
        rows, columns = pair[0].shape[2:]
        if wanted is not None and wanted != (rows, columns):
            raise ValueError(
                f"{self.path} takes frames of {wanted[1]} x {wanted[0]} pixels, got {width} x "
                f"{height}; resize them, or export with --size {columns}x{rows} or dynamic"
            )
        with self._free_lanes:
            pha, fgr = self._run(*(picture.numpy() for picture in pair))
        if (pha.shape, fgr.shape) != ((1, 1, rows, columns), (1, 3, rows, columns)):
            raise ValueError(
                f"{self.path} must give 1 and 3 channels of {rows} rows and {columns} columns, "
                f"got {pha.shape} and {fgr.shape}; export it again"
            )
        if not (np.isfinite(pha).all() and np.isfinite(fgr).all()):
            raise ValueError(explain_non_finite("alpha or foreground", "float32"))
        matte, colours = (
            self._to_picture(torch.from_numpy(output), height, width).numpy()
            for output in (pha, fgr)
        )
        return Prediction(matte[..., 0], colours)

    def _refuse(self, asked: dict[str, Any]) -> None:
        if asked:
            raise ValueError(
                f"{self.path} is exported, which fixed {', '.join(sorted(asked))}; leave out these "
                "arguments, or export again with others"
            )

    @property
    def _least(self) -> int:
        return self.card.least

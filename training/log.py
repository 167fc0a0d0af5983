"""The log of a run: TensorBoard and a progress bar, written by the first process only."""

import math
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid
from tqdm import tqdm

from dataset.synthesis import Sample
from model import RefineOutput
from runtime.wording import visible

from .metrics import Output
from .processes import Processes

# Number of pictures of a batch that are logged, and their longest side in pixels.
_SHOWN, _SIDE = 4, 512
# Seconds between printed lines without a terminal, which shows no bar.
_SILENCE = 60


class Log:
    """Writes scalars and pictures of a run to a TensorBoard folder, or nothing if that is None.

    TensorBoard hides what an earlier run wrote from `step` on. If writing fails, for example on a
    full disk, a warning is printed once and the run continues without the log. A context manager.
    """

    def __init__(self, folder: Path | None, step: int, total: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=step) if folder else None
        self._speaks = folder is not None
        threading.excepthook = _tell_of_thread
        self._step, self._printed = step, monotonic()
        self._sums: dict[str, float] = defaultdict(float)  # over the steps since the last scalars
        self._bar = tqdm(total=total, initial=step, unit="step", disable=None if folder else True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._write("close")

    def add_step(
        self, losses: Mapping[str, float], samples: int, waited: float, busy: float
    ) -> None:
        """Adds a step: losses, number of samples, seconds of waiting for data and of computing."""
        counts = {"steps": 1, "samples": samples, "waited": waited, "seconds": waited + busy}
        for name, value in {**counts, **losses}.items():
            self._sums[name] += value
        self._step += 1
        self._bar.update()

    def write_steps(self, rates: Mapping[str, float], processes: Processes) -> None:
        """Writes means over the steps counted since the last call, learning rates and speed."""
        sums, self._sums = self._sums, defaultdict(float)
        steps, samples, waited, seconds = map(sums.pop, ("steps", "samples", "waited", "seconds"))
        losses = {name: value / steps for name, value in sums.items()}
        rate = samples * processes.world_size / seconds
        speed = {
            "samples_per_second": rate,
            "data_wait_share": waited / seconds,
            "peak_memory_gib": peak_memory(processes.device),
        }
        self.scalars("loss", losses, self._step)
        self.scalars("learning_rate", rates, self._step)
        self.scalars("speed", speed, self._step)
        # On the progress bar, or from time to time in a line.
        text = f"loss {losses['total']:.4f}, {rate:.1f} samples/s"
        self._bar.set_postfix_str(text)
        if self._speaks and self._bar.disable and monotonic() - self._printed > _SILENCE:
            self._printed = monotonic()
            self.print(f"step {self._step} of {self._bar.total}: {text}")

    def print(self, text: str) -> None:
        """Prints a line above the progress bar."""
        if self._speaks:
            self._bar.write(visible(text))
            sys.stdout.flush()

    def _write(self, method: str, *values: object, **options: object) -> None:
        """Writes to TensorBoard until it fails; its thread reports a failure at a later write."""
        if self._writer is None:
            return
        try:
            getattr(self._writer, method)(*values, **options)
        except OSError as error:
            self._writer = None
            self.print(f"warning: the log can't be written; the run continues without it: {error}")

    def text(self, name: str, text: str) -> None:
        """Stores a text without changes."""
        self._write("add_text", name, f"```\n{text}\n```")

    def result(self, hyperparameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Stores the last metrics with the settings of the run."""
        if self._speaks:
            plain = (float, int, str, bool)
            known = {k: v if isinstance(v, plain) else str(v) for k, v in hyperparameters.items()}
            named = {f"final/{name}": value for name, value in metrics.items()}
            self._write("add_hparams", known, named, run_name="hparams")

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Writes numbers under group/name."""
        for name, value in values.items():
            self._write("add_scalar", f"{group}/{name}", value, step)

    def pictures(self, group: str, sample: Sample, output: Output, step: int) -> None:
        """Writes pictures of a batch under group/name."""
        if self._writer:
            for name, pictures in preview(sample, output).items():
                self._write("add_image", f"{group}/{name}", pictures, step)


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Reports an exception in a thread, except TensorBoard's, which is raised at the next write."""
    if "tensorboard" not in type(failed.thread).__module__:
        threading.__excepthook__(failed)


def preview(sample: Sample, output: Output) -> dict[str, Tensor]:
    """Makes a row of pictures, (3, H, W) float in [0, 1], for each input and output of a batch."""
    green = sample.src.new_tensor((0.47, 1.0, 0.6)).view(1, 3, 1, 1)
    shown = {
        "src": sample.src,
        "bgr": sample.bgr,
        "true_pha": sample.pha,
        "pred_pha": output.pha,
        "true_fgr": sample.fgr * (sample.pha > 0),
        "pred_fgr": output.fgr * (output.pha > 0),
        "composite": output.pha * output.fgr + (1 - output.pha) * green,
        "true_err": (output.pha - sample.pha).abs(),
    }
    if isinstance(output, RefineOutput):
        shown |= {"pred_pha_sm": output.pha_sm, "pred_err": output.err_sm, "refined": output.ref_sm}
    else:
        shown |= {"pred_err": output.err}
    return {name: _grid(pictures) for name, pictures in shown.items()}


def _grid(pictures: Tensor) -> Tensor:
    pictures = pictures[:_SHOWN].detach().float()
    scale = _SIDE / max(pictures.shape[2:])
    if scale < 1:
        pictures = F.interpolate(pictures, scale_factor=scale, mode="area")
    return make_grid(pictures.clamp(0, 1).cpu(), nrow=_SHOWN)


def peak_memory(device: torch.device) -> float:
    """Peak memory of the run in GiB; nan if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource
    except ImportError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30

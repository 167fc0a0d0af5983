"""Two gloo processes on the CPU against one; batch norm is synchronised on CUDA only."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from model import MattingBase
from tests.training.conftest import make_settings
from training.processes import Processes
from training.run import synchronise

ROOT = Path(__file__).resolve().parents[2]

# Started by torchrun or alone: gradients of one batch, written to a file by the first process.
GRADIENTS = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {root!r})
from tests.training.conftest import CPU, make_settings
from model import MattingBase, MattingRefine
from torch.nn.parallel import DistributedDataParallel
from training.data import open_data
from training.metrics import base_loss, evaluate, refine_loss
from training.processes import start_processes
from training.statistics import freeze_statistics
from dataset.synthesis import synthesise

out, refine = Path(sys.argv[1]), sys.argv[2] == "refine"

def measure(processes):
    world = processes.world_size
    settings = make_settings(out.parent, refine, batch_size=4 // world)
    data = open_data(settings, processes)
    torch.manual_seed(0)
    if refine:
        network = MattingRefine("mobilenetv2", refine_sample_pixels=320).double().train()
    else:
        network = MattingBase("mobilenetv2").double().train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # every process drops others
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    # Two processes on a CPU normalise over their own samples, one over all: by statistics that both
    # have, gradients must be the same. They are those of a first batch, because with the ones of a
    # new network no error is predicted and all cells are equal.
    network(*torch.rand(2, 4, 3, 96, 96).double())
    freeze_statistics(network)
    loss = refine_loss if refine else base_loss
    wrapped = network
    if world > 1:
        wrapped = DistributedDataParallel(network)
    batch = next(iter(data.loader))
    # In float64: the batch norms of a random network enlarge rounding a thousandfold.
    sample = type(sample := synthesise(batch, CPU))(*(x.double() for x in sample))
    terms = loss(wrapped(sample.src, sample.bgr), sample.pha, sample.fgr)
    torch.stack(list(terms.values())).sum().backward()
    gradients = {{name: p.grad for name, p in network.named_parameters()}}
    buffers = {{name: b.double() for name, b in network.named_buffers()}}
    names = [n for share in processes.gather(batch["name"]) for n in share]
    network.float()
    metrics, _ = evaluate(network, loss, data.validation, "float32", processes)
    if processes.is_first:
        torch.save([gradients, buffers, names, metrics], out)


# In a function, so that network and graph are gone before the group is that they hold: with both
# left to the interpreter's end, a process aborts there now and then.
with start_processes(CPU) as processes:
    measure(processes)
"""


def run_python(*args: str, processes: int = 1) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *(launcher if processes > 1 else []), *args]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[:6000]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["base", "refine"])
def test_two_processes_have_the_gradients_of_one_by_kept_statistics(
    tmp_path: Path, stage: str
) -> None:
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS.format(root=str(ROOT)))
    run_python(str(script), str(tmp_path / "one.pt"), stage)
    run_python(str(script), str(tmp_path / "two.pt"), stage, processes=2)
    one, two = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "two"))
    assert one[2] == two[2], "the processes took other samples"
    for name, gradient in one[0].items():
        scale = max(1.0, gradient.abs().max().item())
        assert (gradient - two[0][name]).abs().max().item() <= 1e-5 * scale, name
    for name, buffer in one[1].items():
        assert torch.allclose(buffer, two[1][name], rtol=1e-4, atol=1e-6), name
    # Three fixed samples: two for one process, one for the other. 1e-4 for other rounding in other
    # batches, of which a sample's cells of largest error may change.
    assert one[3] == pytest.approx(two[3], rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "asked", "synchronised"),
    [("cuda", True, True), ("cuda", False, False), ("cpu", True, False), ("cpu", False, False)],
)
def test_batch_norms_are_synchronised_on_cuda_unless_switched_off(
    tmp_path: Path, kind: str, asked: bool, synchronised: bool
) -> None:
    settings = make_settings(tmp_path)
    settings = replace(settings, run=replace(settings.run, sync_batch_norm=asked))
    network = MattingBase("mobilenetv2")
    notes = synchronise(network, settings.run, Processes(0, 2, torch.device(kind)))
    kinds = {type(module) for module in network.modules() if isinstance(module, _BatchNorm)}
    assert kinds == {nn.SyncBatchNorm if synchronised else nn.BatchNorm2d}
    assert len(notes) == (asked and not synchronised)
    assert all("each process normalises over its own samples" in note for note in notes)

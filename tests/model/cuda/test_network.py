"""The static path for GPUs against the plain one; without graphs it runs on any device."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from model import MattingRefine
from model.cuda import CudaMatting
from model.fast import accelerate

from ..fast.test_network import build
from ..test_equality import largest_differences, random_pair

MODES = ["sampling", "blocks"]
# Blocks divide the first; the others have partial blocks to the right, below, and both.
SIZES = [(96, 128), (64, 84), (36, 128), (100, 148)]


def build_in(mode: str, kernel_size: int = 3, dtype: torch.dtype = torch.float64) -> MattingRefine:
    network = build(kernel_size=kernel_size, dtype=dtype)
    network.refiner.mode = mode
    return network


@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 1])
@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_equals_plain_path_over_sizes_and_batches(
    mode: str, kernel_size: int, corrects: bool
) -> None:
    network = build_in(mode, kernel_size)
    static = CudaMatting(network)
    for size, batch, scale in zip(SIZES, (1, 2, 1, 2), (0.25, 0.37, 0.5, 0.125), strict=True):
        pair = random_pair(batch, size).double()
        work = scale, size[0] * size[1] // 4, corrects
        plain, fast = network(*pair, *work), static(*pair, *work)
        assert plain.pha.std() > 0.01
        assert 0 < plain.ref_sm.mean() < 1
        # In float64 nothing but a different computation is left of a difference.
        assert max(largest_differences(fast, plain).values()) < 1e-9, (size, scale)


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("pixels", [0, 16, 10**9])
@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_equals_plain_path_from_no_cell_to_all(mode: str, pixels: int, everywhere: bool) -> None:
    network = build_in(mode)
    network.refiner.prevent_oversampling = not everywhere
    pair = random_pair(1, (100, 148)).double()
    plain, fast = (f(*pair, None, pixels, True) for f in (network, CudaMatting(network)))
    assert max(largest_differences(fast, plain).values()) < 1e-9


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50"])
@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_equals_plain_path_in_float32(mode: str, backbone: str) -> None:
    network = build(backbone, dtype=torch.float32)
    network.refiner.mode = mode
    pair = random_pair(1, (96, 128))
    plain, fast = (f(*pair, 0.5, 3200) for f in (network, CudaMatting(network)))
    assert [x.dtype for x in fast] == [torch.float32] * 6
    # Folded batch norms round differently: some 1e-6 of values near 1.
    assert max(largest_differences(fast, plain).values()) < 1e-5


@torch.no_grad()
def test_computes_in_the_type_of_autocast() -> None:
    network = build_in("blocks", dtype=torch.float32)
    pair, static = random_pair(1, (96, 128)), CudaMatting(network)
    exact = static(*pair, 0.5, 3200)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = static(*pair, 0.5, 3200)
    again = static(*pair, 0.5, 3200)
    assert [x.dtype for x in rounded] == [torch.float32] * 6
    # bfloat16 has 8 bits; what is chosen may differ, so the mean is compared.
    assert 1e-5 < (rounded.pha - exact.pha).abs().mean() < 0.02
    assert torch.equal(again.pha, exact.pha)


@pytest.mark.parametrize("mode", ["full", "thresholding"])
@torch.no_grad()
def test_other_modes_are_computed_by_the_network(mode: str) -> None:
    network = build_in(mode)
    pair = random_pair(1, (64, 84)).double()
    plain, fast = network(*pair), CudaMatting(network)(*pair)
    assert all(torch.equal(a, b) for a, b in zip(plain, fast, strict=True))


@torch.no_grad()
def test_settings_are_read_at_each_call_and_weights_once() -> None:
    network = build_in("sampling")
    pair = random_pair(1, (64, 84)).double()
    static = CudaMatting(network)
    before = static(*pair)
    network.refiner.mode, network.refiner.sample_pixels, network.corrects_alpha = (
        "blocks",
        640,
        True,
    )
    assert max(largest_differences(static(*pair), network(*pair)).values()) < 1e-9
    network.refiner.conv4.bias.data.fill_(9)
    network.refiner.mode, network.refiner.sample_pixels = "sampling", 80_000
    assert torch.equal(static(*pair, corrects_alpha=False).pha, before.pha)


def test_refuses_what_the_network_refuses() -> None:
    network = build_in("blocks")
    static = CudaMatting(network)
    with pytest.raises(ValueError, match="divisible by 4"):
        static(*random_pair(1, (62, 84)).double())
    with pytest.raises(ValueError, match="must be 0 or more, got -1"):
        static(*random_pair(1, (64, 84)).double(), refine_sample_pixels=-1)
    with pytest.raises(ValueError, match="at most 0.5, got 0.7"):
        static(*random_pair(1, (64, 84)).double(), 0.7)
    with pytest.raises(ValueError, match="evaluation mode"):
        CudaMatting(network.train())


@torch.no_grad()
def test_what_is_not_a_number_gets_out() -> None:
    network = build_in("sampling")
    network.decoder.conv4.weight[:4] = torch.nan
    output = CudaMatting(network)(*random_pair(1, (64, 84)).double())
    assert output.pha.isnan().any()
    assert output.fgr.isnan().any()


class Devices(TorchDispatchMode):
    """Notes operators that read a tensor of another device, which waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.mixed = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        tensors = torch.utils._pytree.tree_leaves((args, kwargs))
        if any(isinstance(x, torch.Tensor) and x.device.type == "cpu" for x in tensors):
            self.mixed.append(str(function))
        return function(*args, **(kwargs or {}))


def pretend_cuda(module: nn.Module) -> None:
    """Replaces weights by tensors without values on a GPU that need not exist."""
    for part in module.modules():
        for values in (part._parameters, part._buffers, part.__dict__):
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    fake = torch.empty_like(value, device="cuda")
                    as_weight = isinstance(value, nn.Parameter)
                    values[name] = nn.Parameter(fake, requires_grad=False) if as_weight else fake


@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_graph_can_hold_every_operator(mode: str, corrects: bool) -> None:
    network = build_in(mode, dtype=torch.float32)
    static = CudaMatting(network)
    coarse, refiner = static._parts_for(torch.float32)
    # What depends on a value of these tensors raises.
    with FakeTensorMode(allow_non_fake_inputs=True):
        for part in (coarse, refiner.conv1, refiner.conv2, refiner.conv3, refiner.conv4):
            pretend_cuda(part)
        src = torch.rand(1, 3, 256, 384, device="cuda")
        with Devices() as noted:
            output = static(src, src, 0.25, 6400, corrects)
    assert output.pha.device.type == "cuda"
    assert noted.calls > 100
    assert noted.mixed == []


@torch.no_grad()
def test_the_test_for_graphs_sees_what_waits() -> None:
    with FakeTensorMode():
        src = torch.rand(1, 3, 64, 96, device="cuda")
        with pytest.raises(DynamicOutputShapeException, match="nonzero"):
            src.nonzero()
        with Devices() as noted:
            src.new_tensor([1.0, 2.0])
    assert noted.mixed


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # on copying it
def test_accelerate_takes_it_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    network = build()
    assert not isinstance(accelerate(network), CudaMatting)
    with FakeTensorMode(allow_non_fake_inputs=True):
        pretend_cuda(network)
        assert isinstance(accelerate(network), CudaMatting)


@pytest.mark.gpu
@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_graphs_on_a_gpu_give_the_plain_path_of_the_cpu(mode: str, corrects: bool) -> None:
    network = build_in(mode, dtype=torch.float32)
    pairs = [random_pair(batch, (100, 148)) for batch in (1, 1, 1, 2)]
    pairs[1] = pairs[1].flip(0)
    wanted = [network(*pair, 0.25, 3200, corrects) for pair in pairs]
    network.to("cuda")
    fast = accelerate(network)
    # As it is, then captured, then replayed; results of earlier calls stay as they were.
    outputs = [fast(*pair.cuda(), 0.25, 3200, corrects) for pair in (*pairs[:3], pairs[3])]
    for got, exact in zip(outputs, wanted, strict=True):
        # Cells of almost the same error may be chosen differently; TF32 has 10 bits.
        assert (got.pha.cpu() - exact.pha).abs().mean() < 1e-3
        assert (got.fgr.cpu() - exact.fgr).abs().mean() < 1e-3

"""Triton's kernels against plain operators, in Triton's interpreter; and compiled for GPUs."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from model.cuda import CudaMatting, windows
from model.cuda.refiner import choose
from model.fixed_blocks import FixedBlocks
from model.refiner import Refiner

from ..fast.test_network import build
from ..test_equality import largest_differences, random_pair

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Triton has packages for Linux only; `windows` is used instead"
)
NAME = "model.cuda.kernels"
# The interpreter takes 20 ms a program, so pictures are tiny; rows and columns of blocks are cut.
HEIGHT, WIDTH, H, W = 20, 36, 5, 9
CASES = [("blocks", 3), ("blocks", 1), ("sampling", 3), ("sampling", 1)]

Load = Callable[[bool], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports the kernels, to be interpreted or compiled."""

    def run(interpreted: bool) -> ModuleType:
        monkeypatch.setenv("TRITON_INTERPRET", str(int(interpreted)))
        monkeypatch.delitem(sys.modules, NAME, raising=False)
        kernels = importlib.import_module(NAME)
        monkeypatch.delitem(sys.modules, NAME)
        return kernels

    return run


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    """Between -0.5 and 1.5, channels-last."""
    values = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 0.5
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    src, bgr = noise(4, 3, HEIGHT, WIDTH).clamp(0, 1).contiguous().split(2)
    return src, bgr


def some_blocks(mode: str) -> tuple[FixedBlocks, int]:
    """Three blocks of each picture, at least one of which is not written."""
    err = torch.zeros(2, 1, H, W)
    err[0, 0, 0, 0] = err[0, 0, 4, 8] = err[1, 0, 4, 3] = 1
    refiner = Refiner(mode)
    blocks, size = choose(refiner, err, 3 * (160 if mode == "blocks" else 16))
    assert blocks.place.shape == (2, 3)
    assert blocks.written.sum() == 3
    return blocks, size


# Float32: sums in another order. Half precision: both interpolate in float32 and round once, so
# they may differ by one step of the type, 5e-4 of values below 1.5.
TOLERANCES = [(torch.float32, 1e-6), (torch.float16, 1e-3)]


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize(("mode", "kernel_size"), CASES)
def test_windows_equal_plain_ones(
    load: Load, mode: str, kernel_size: int, dtype: torch.dtype, tolerance: float
) -> None:
    kernels, (blocks, size) = load(True), some_blocks(mode)
    half_margin, full_margin = (3, 2) if kernel_size == 3 else (0, 0)
    coarse = noise(2, windows.COARSE, H, W, dtype=dtype)
    side = size // 2 + full_margin
    features = noise(6, windows.FEATURES, side, side, dtype=dtype)
    for name, args in {
        "gather_half": (*pictures(), coarse, blocks, size, half_margin),
        "gather_full": (features, *pictures(), blocks, size, full_margin),
    }.items():
        wanted, got = (getattr(module, name)(*args) for module in (windows, kernels))
        assert got.dtype == dtype
        assert got.stride() == wanted.stride()
        assert wanted.std() > 0.1
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("mode", ["blocks", "sampling"])
def test_outputs_equal_plain_ones(
    load: Load, mode: str, dtype: torch.dtype, tolerance: float
) -> None:
    kernels, (blocks, size) = load(True), some_blocks(mode)
    coarse = noise(2, windows.COARSE, H, W, dtype=dtype)
    patches = noise(6, windows.REFINED, size, size, dtype=dtype, seed=1)
    args = pictures()[0], coarse, patches, blocks, size
    wanted, got = windows.write_outputs(*args), kernels.write_outputs(*args)
    plain = windows.write_outputs(*args[:2], patches[:0], blocks, size)
    for a, b, unrefined in zip(got, wanted, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
        assert not torch.equal(b, unrefined)


def test_outputs_without_a_block_are_enlarged(load: Load) -> None:
    kernels = load(True)
    blocks, size = choose(Refiner("sampling"), torch.ones(2, 1, H, W), 0)
    coarse = noise(2, windows.COARSE, H, W)
    args = pictures()[0], coarse, torch.empty(0, windows.REFINED, size, size), blocks, size
    for a, b in zip(kernels.write_outputs(*args), windows.write_outputs(*args), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_what_is_not_a_number_gets_out(load: Load) -> None:
    kernels, (blocks, size) = load(True), some_blocks("blocks")
    coarse = torch.full((2, windows.COARSE, H, W), torch.nan)
    patches = torch.full((6, windows.REFINED, size, size), torch.nan)
    for output in kernels.write_outputs(pictures()[0], coarse, patches, blocks, size):
        assert output.isnan().all()


@pytest.mark.parametrize(("mode", "pixels"), [("blocks", 320), ("sampling", 48)])
@torch.no_grad()
def test_the_network_with_kernels_gives_the_plain_one(load: Load, mode: str, pixels: int) -> None:
    network = build(dtype=torch.float32)
    network.refiner.mode = mode
    static = CudaMatting(network)
    static._functions = load(True)
    pair = random_pair(1, (32, 48))
    wanted, got = (f(*pair, 0.25, pixels) for f in (network, static))
    assert wanted.ref_sm.sum() > 0
    # Folded batch norms round differently: some 1e-6 of values near 1.
    assert max(largest_differences(got, wanted).values()) < 1e-5


@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_kernels_compile_for_gpus(load: Load, dtype: str, capability: int) -> None:
    """Turing and Hopper. The interpreter accepts what the compiler does not."""
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernels = load(False)
    constants = {
        "_gather_half": {"size": 8, "margin": 3, "side": 14},
        "_gather_full": {"size": 16, "margin": 2, "side": 20},
        "_write_outputs": {"size": 16},
    }
    kinds = dict.fromkeys(("src", "bgr", "pha", "fgr"), "*fp32")
    kinds |= dict.fromkeys(("places", "ranks"), "*i64") | {"written": "*u8"}
    kinds |= dict.fromkeys(("coarse", "features", "patches", "out"), f"*{dtype}")
    kinds |= dict.fromkeys(("scale_y", "scale_x"), "fp32")
    for name, values in constants.items():
        kernel = getattr(kernels, name)
        signature = {
            arg: "constexpr" if arg in values else kinds.get(arg, "i32") for arg in kernel.arg_names
        }
        source = ASTSource(fn=kernel, signature=signature, constexprs=values)
        assert compile_kernel(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("mode", ["blocks", "sampling"])
def test_on_a_gpu_as_plain_operators(
    load: Load, mode: str, dtype: torch.dtype, tolerance: float
) -> None:
    kernels, (blocks, size) = load(False), some_blocks(mode)
    blocks = FixedBlocks(*(x.cuda() for x in blocks))
    src, bgr = (x.cuda() for x in pictures())
    coarse = noise(2, windows.COARSE, H, W, dtype=dtype).cuda()
    features = noise(6, windows.FEATURES, size // 2 + 2, size // 2 + 2, dtype=dtype).cuda()
    patches = noise(6, windows.REFINED, size, size, dtype=dtype, seed=1).cuda()
    for name, args in {
        "gather_half": (src, bgr, coarse, blocks, size, 3),
        "gather_full": (features, src, bgr, blocks, size, 2),
        "write_outputs": (src, coarse, patches, blocks, size),
    }.items():
        wanted, got = (getattr(module, name)(*args) for module in (windows, kernels))
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance)

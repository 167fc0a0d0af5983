"""The networks against the authors' own model files, which are an independent implementation."""

import itertools

import pytest
import torch
from torch import nn

from model import MattingBase, MattingRefine

reference = pytest.importorskip(
    "BackgroundMattingV2.model.model",
    reason="the authors' model files are not installed (the extra `dev`)",
)

BACKBONES = ["mobilenetv2", "resnet50", "resnet101"]
# ResNet-101 is ResNet-50 with more of the same blocks; the base's test compares it every time.
MOST = [*BACKBONES[:2], pytest.param("resnet101", marks=pytest.mark.slow)]
MODES = ["sampling", "thresholding", "full"]
# Height x width: landscape, portrait, small (its coarse input is 6 x 8).
SIZES = [(96, 128), (128, 64), (24, 32)]


@pytest.fixture(autouse=True)
def same_weights() -> None:
    """Without this, weights depend on the tests before, and some clamp every output."""
    torch.manual_seed(0)


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Random batch-norm statistics and last layer, so that outputs are not all clamped."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    output = model.decoder.conv4
    output.weight.data.copy_(0.05 * torch.randn(output.weight.shape, generator=generator))
    output.bias.data[0] = 0.5
    output.bias.data[4] = 0.1


def random_pair(batch: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.rand(2, batch, 3, *size, generator=torch.Generator().manual_seed(batch))


def exchange_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Loads ours into theirs and theirs into ours: the state dicts must be the same both ways."""
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def largest_differences(ours, theirs) -> dict[str, float]:
    return {
        name: float((a - b).abs().max())
        for name, a, b in zip(ours._fields, ours, theirs, strict=True)
    }


@pytest.mark.parametrize("backbone", MOST)
@torch.no_grad()
def test_refine_equals_reference_in_every_mode_kernel_batch_and_size(backbone: str) -> None:
    for kernel_size in (3, 1):
        ours = MattingRefine(backbone, 0.25, refine_kernel_size=kernel_size).eval()
        theirs = reference.MattingRefine(backbone, 0.25, refine_kernel_size=kernel_size).eval()
        randomise(ours)
        exchange_weights(ours, theirs)
        for mode, batch, size in itertools.product(MODES, (1, 2), SIZES):
            # A quarter of the cells, so that selecting them matters at every size.
            for refiner in (ours.refiner, theirs.refiner):
                refiner.mode, refiner.threshold = mode, 0.1
                refiner.sample_pixels = size[0] * size[1] // 4
            src, bgr = random_pair(batch, size)
            output = ours(src, bgr)
            differences = largest_differences(output, theirs(src, bgr))
            assert max(differences.values()) <= 1e-5, (kernel_size, mode, batch, size, differences)
            assert output.err_sm.std() > 1e-3, "the case would not tell one cell from another"
            if mode != "full":
                assert 0 < output.ref_sm.mean() < 1, "the case would not test the selection"


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_base_equals_reference(backbone: str) -> None:
    ours, theirs = MattingBase(backbone).eval(), reference.MattingBase(backbone).eval()
    randomise(ours)
    exchange_weights(ours, theirs)
    for batch, size in itertools.product((1, 2), [(64, 96), (96, 64), (30, 41)]):
        src, bgr = random_pair(batch, size)
        differences = largest_differences(ours(src, bgr), theirs(src, bgr))
        assert max(differences.values()) <= 1e-5, (batch, size, differences)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel_size", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("backbone", MOST)
def test_gradients_equal_reference(backbone: str, kernel_size: int, mode: str) -> None:
    settings = (backbone, 0.25, mode, 64 * 96 // 4, 0.1, kernel_size)
    ours, theirs = MattingRefine(*settings).train(), reference.MattingRefine(*settings).train()
    randomise(ours)
    exchange_weights(ours, theirs)
    # In float64: the batch norms of a random network enlarge the rounding of another order of sums.
    src, bgr = (picture.double() for picture in random_pair(2, (64, 96)))
    gradients = []
    for model in (ours.double(), theirs.double()):
        torch.manual_seed(0)  # the same dropout in ASPP
        pha, fgr, pha_sm, fgr_sm, err_sm, _ = model(src.clone(), bgr.clone())
        outputs = (pha, fgr, pha_sm, fgr_sm, err_sm)
        torch.stack([(output**2).mean() for output in outputs]).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, wanted in gradients[1].items():
        if wanted is None:
            assert gradients[0][name] is None, name
            continue
        # Relative to the tensor's largest gradient: single elements may be sums that cancel.
        # Biases before a batch norm have a gradient of zero but for rounding: the floor.
        scale = wanted.abs().max().clamp(min=1e-6)
        assert (gradients[0][name] - wanted).abs().max() / scale <= 1e-6, name
    assert any(name.startswith("refiner") for name in gradients[0])


@torch.no_grad()
def test_published_and_scripted_ways_to_change_a_built_model_agree() -> None:
    ours, theirs = (
        MattingRefine("mobilenetv2").eval(),
        reference.MattingRefine("mobilenetv2").eval(),
    )
    randomise(ours)
    exchange_weights(ours, theirs)
    for model in (ours, theirs):
        model.backbone_scale = 0.5
        model.refiner.mode = "thresholding"
        model.refiner.threshold = 0.12
    src, bgr = random_pair(1, (64, 96))
    output = ours(src, bgr)
    assert output.pha_sm.shape[2:] == (32, 48)
    assert max(largest_differences(output, theirs(src, bgr)).values()) <= 1e-5

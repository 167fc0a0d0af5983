"""The fast path against the plain one, and its parts against PyTorch."""

import copy
import itertools
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model import MattingBase, MattingRefine
from model.fast import FastMatting, accelerate
from model.fast.blocks import plan_blocks
from model.fast.coarse import RowConvolution, fold_batch_norms
from model.fast.refiner import crop_windows
from model.fast.resampling import upsampling_table

from ..test_equality import largest_differences, random_pair, randomise

SCALES = (0.5, 0.37)
COSTS = {1: 1.0, 2: 1.8, 4: 4.2, 8: 12.0}


def build(
    backbone: str = "mobilenetv2", kernel_size: int = 3, dtype: torch.dtype = torch.float64
) -> MattingRefine:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MattingRefine(backbone, refine_kernel_size=kernel_size).eval()
    randomise(network)
    # Refined alpha that is not all clamped.
    network.refiner.conv4.bias.data[0] = 0.5
    return network.to(dtype)


@torch.no_grad()
def compare(
    network: MattingRefine, src: torch.Tensor, bgr: torch.Tensor, **work: float
) -> dict[str, float]:
    """Largest differences of the fast and the plain path."""
    fast, plain = accelerate(network)(src, bgr, **work), network(src, bgr, **work)
    assert [x.dtype for x in fast] == [x.dtype for x in plain]
    assert plain.pha.std() > 0.01
    return largest_differences(fast, plain)


# In float64 nothing but a different computation is left of a difference: 1e-9.
@pytest.mark.parametrize("kernel_size", [3, 1])
@pytest.mark.parametrize("mode", ["sampling", "thresholding", "full", "blocks"])
def test_equals_plain_path_over_sizes_scales_and_batches(mode: str, kernel_size: int) -> None:
    network = build(kernel_size=kernel_size)
    network.refiner.mode = mode
    # Landscape, portrait, tiny, and sizes that neither blocks nor coarse pixels divide.
    sizes = [(96, 128), (128, 64), (32, 32), (100, 148), (36, 260)]
    for (size, batch), scale in itertools.product(zip(sizes, (1, 2, 1, 2, 1), strict=True), SCALES):
        work = {"backbone_scale": scale, "refine_sample_pixels": size[0] * size[1] // 4}
        src, bgr = random_pair(batch, size).double()
        differences = compare(network, src, bgr, **work)
        assert max(differences.values()) < 1e-9, (size, scale, batch, differences)


@pytest.mark.parametrize("pixels", [0, 16, 4096, 10**9])
def test_equals_plain_path_from_no_cell_to_all(pixels: int) -> None:
    network = build()
    network.refiner.sample_pixels = pixels
    network.refiner.prevent_oversampling = False
    src, bgr = random_pair(1, (96, 160)).double()
    assert max(compare(network, src, bgr).values()) < 1e-9
    with torch.no_grad():
        assert network(src, bgr).ref_sm.sum() == min(pixels, 96 * 160) // 16


@pytest.mark.parametrize("place", ["border", "corners", "scattered", "middle"])
def test_equals_plain_path_wherever_cells_are(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build()
    selection = torch.zeros(2, 1, 25, 37, dtype=torch.float64)
    if place == "border":
        selection[:, :, (0, -1)] = 1
        selection[..., (0, -1)] = 1
    elif place == "corners":
        selection[:, :, (0, 0, -1, -1), (0, -1, 0, -1)] = 1
    elif place == "scattered":
        selection[0, :, ::3, ::4] = 1  # and nothing in the other picture
    else:
        selection[1, :, 7:18, 9:30] = 1
    monkeypatch.setattr(network.refiner, "select", lambda err, pixels: selection)
    src, bgr = random_pair(2, (100, 148)).double()
    assert max(compare(network, src, bgr).values()) < 1e-9


@pytest.mark.parametrize(
    "backbone",
    ["mobilenetv2", "resnet50", pytest.param("resnet101", marks=pytest.mark.slow)],
)
@torch.no_grad()
def test_is_as_exact_as_the_plain_path_in_float32(backbone: str) -> None:
    pair = random_pair(1, (64, 96))
    errors = {}
    exact = build(backbone)
    exact.refiner.mode = "full"  # rounding must not decide which cells are compared
    truth = exact(*pair.double())
    for fast in (True, False):
        network = build(backbone, dtype=torch.float32)
        network.refiner.mode = "full"
        predict = accelerate(network) if fast else network
        errors[fast] = largest_differences(predict(*pair), truth)
    for name, error in errors[True].items():
        # The deepest network with random weights amplifies rounding to 1e-4 in either path.
        assert error <= 3 * errors[False][name] + 1e-6, (name, errors)


def test_close_to_float32_in_bfloat16() -> None:
    network = build(dtype=torch.float32)
    network.refiner.mode = "full"  # so that both refine the same cells
    pair = random_pair(1, (96, 128))
    with torch.no_grad():
        exact = accelerate(network)(*pair).pha
        network.bfloat16()
        rounded = accelerate(network)(*pair.bfloat16()).pha
    assert rounded.dtype == torch.bfloat16
    # bfloat16 has 8 bits: 0.4% of values near 1, through some sixty layers.
    assert (rounded.float() - exact).abs().mean() < 0.02
    assert exact.std() > 0.02


def test_autocast_gives_the_plain_paths_result() -> None:
    network = build(dtype=torch.float32)
    network.refiner.mode = "full"
    src, bgr = random_pair(1, (64, 96))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        fast = accelerate(network)(src, bgr).pha
        plain = network(src, bgr).pha
    assert (fast.float() - plain.float()).abs().mean() < 0.02


@torch.no_grad()
def test_autocast_keeps_the_precision_of_the_frame_in_refined_cells() -> None:
    network = build(dtype=torch.float32)
    network.refiner.mode = "full"
    network.refiner.conv4.weight[1:], network.refiner.conv4.bias[1:] = 0, 0  # no residual
    src, bgr = random_pair(1, (64, 96))
    with torch.autocast("cpu", torch.bfloat16):
        output = accelerate(network)(src, bgr)
    assert output.pha.dtype == output.fgr.dtype == torch.float32
    assert torch.equal(output.fgr, src)


@torch.no_grad()
def test_autocast_converts_the_weights_once() -> None:
    fast, pair = accelerate(build(dtype=torch.float32)), random_pair(1, (64, 96))
    assert isinstance(fast, FastMatting)
    exact = fast(*pair)
    with torch.autocast("cpu", torch.bfloat16):
        first = fast(*pair)
        converted = fast.parts()
        fast(*pair)
        assert fast.parts() is converted
    assert converted[1].conv1.weight.dtype == torch.bfloat16
    assert not torch.equal(first.pha, exact.pha)
    assert torch.equal(fast(*pair).pha, exact.pha), "outside, it computes in float32 as before"


def test_channels_last_frames_give_the_same() -> None:
    network = build()
    src, bgr = random_pair(1, (96, 128)).double()
    strided = [x.contiguous(memory_format=torch.channels_last) for x in (src, bgr)]
    assert max(compare(network, *strided).values()) < 1e-9


def test_only_what_is_asked_for_by_name_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(dtype=torch.float32)
    src, bgr = random_pair(1, (64, 64))
    assert network(src, bgr).pha.requires_grad, "the network itself is the one that trains"
    fast = accelerate(network)
    assert isinstance(fast, FastMatting)
    assert not fast(src, bgr).pha.requires_grad
    base = MattingBase("mobilenetv2").eval()
    assert accelerate(base) is base, "there is nothing faster for it"
    with pytest.raises(ValueError, match="call eval"):
        accelerate(network.train())


def test_wrong_inputs_are_refused_as_by_the_network() -> None:
    network = build(dtype=torch.float32)
    fast, (src, bgr) = accelerate(network), random_pair(1, (64, 64))
    for predict in (network, fast):
        with pytest.raises(ValueError, match="same size"):
            predict(src, bgr[:, :, :32])
        with pytest.raises(ValueError, match="pad src and bgr to 64 x 64"):
            predict(src[..., :62], bgr[..., :62])
        with pytest.raises(ValueError, match=r"at most 0.5, got 0.7"):
            predict(src, bgr, backbone_scale=0.7)
        with pytest.raises(ValueError, match="0 or more, got -1"):
            predict(src, bgr, refine_sample_pixels=-1)
    with pytest.raises(ValueError, match=r"got torch.float16"):
        fast(src.half(), bgr.half())


@torch.no_grad()
def test_has_the_weights_of_its_making_and_the_settings_of_the_call() -> None:
    network = build()
    src, bgr = random_pair(1, (96, 128)).double()
    fast = accelerate(network)
    before, weights = fast(src, bgr), copy.deepcopy(network.state_dict())
    network.decoder.conv4.bias[0] += 0.2
    assert torch.equal(fast(src, bgr).pha, before.pha)
    assert max(compare(network, src, bgr).values()) < 1e-9
    assert not torch.equal(accelerate(network)(src, bgr).pha_sm, before.pha_sm)
    network.load_state_dict(weights)
    assert torch.equal(accelerate(network)(src, bgr).pha, before.pha)
    network.backbone_scale, network.refiner.sample_pixels = 0.5, 160
    assert max(compare(network, src, bgr).values()) < 1e-9
    named = fast(src, bgr, backbone_scale=0.25, refine_sample_pixels=80_000)
    assert torch.equal(named.pha, before.pha), "what a call names wins"


@torch.no_grad()
def test_threads_share_one_network_and_one_fast_path() -> None:
    network = build(dtype=torch.float32)
    pair = random_pair(1, (96, 128))
    works = [(scale, pixels) for scale in (0.25, 0.5) for pixels in (160, 480, 1600)] * 2
    for predict in (network, accelerate(network)):
        wanted = [predict(*pair, *work) for work in works]
        with torch.no_grad(), ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda work, p=predict: torch.no_grad()(p)(*pair, *work), works))
        for work, one, other in zip(works, got, wanted, strict=True):
            assert one.ref_sm.sum() * 16 == work[1]
            assert max(largest_differences(one, other).values()) < 1e-5


@torch.no_grad()
def test_copies_fold_their_own_weights() -> None:
    network = build()
    src, bgr = random_pair(1, (64, 64)).double()
    before = accelerate(network)(src, bgr).pha
    twin = copy.deepcopy(network)
    twin.decoder.conv4.bias[0] -= 0.3
    assert not torch.equal(accelerate(twin)(src, bgr).pha, before)
    assert torch.equal(accelerate(network)(src, bgr).pha, before)
    assert list(twin.state_dict()) == list(MattingRefine("mobilenetv2").state_dict())


def test_a_given_coarse_network_is_used() -> None:
    network = build()
    src, bgr = random_pair(1, (64, 64)).double()
    own = FastMatting(network)
    calls = []

    def coarse(src_sm: torch.Tensor, bgr_sm: torch.Tensor):
        calls.append(src_sm.shape)
        return own.coarse(src_sm, bgr_sm)

    with torch.no_grad():
        assert torch.equal(FastMatting(network, coarse)(src, bgr).pha, own(src, bgr).pha)
    assert calls == [(1, 3, 16, 16)]


@pytest.mark.slow
@torch.no_grad()
def test_memory_does_not_grow_over_500_frames() -> None:
    resource = pytest.importorskip("resource", reason="peak memory is read the POSIX way")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes in what the system counts
    network = build(dtype=torch.float32)
    src, bgr = random_pair(1, (32, 48))
    fast = accelerate(network)

    def peak_after(frames: int) -> int:
        for i in range(frames):
            fast(src, bgr, refine_sample_pixels=160 + 16 * (i % 30))
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = peak_after(50)
    # One tensor of 32 features a frame kept would be 40 MiB.
    assert peak_after(450) - before < 10 * 2**20


def test_folding_keeps_the_function_and_the_network() -> None:
    network = build("resnet50")
    state = {k: v.clone() for k, v in network.state_dict().items()}
    folded = fold_batch_norms(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    src, bgr = random_pair(1, (64, 64)).double()
    with torch.no_grad():
        assert max(largest_differences(folded(src, bgr), network(src, bgr)).values()) < 1e-9
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


def test_synchronised_batch_norms_are_folded_too() -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(build())
    difference = compare(network, *random_pair(1, (96, 128)).double())
    assert max(difference.values()) < 1e-9


def test_folding_a_network_in_training_is_an_error() -> None:
    with pytest.raises(ValueError, match="call eval"):
        fold_batch_norms(MattingRefine("mobilenetv2"))


@pytest.mark.parametrize("share", [0.0, 0.03, 0.4, 1.0])
def test_blocks_hold_every_selected_cell_once(share: float) -> None:
    generator = torch.Generator().manual_seed(3)
    selection = (torch.rand(2, 1, 21, 34, generator=generator) < share).float()
    count = torch.zeros(2, 24, 40)
    for blocks in plan_blocks(selection, COSTS):
        index = torch.nonzero(blocks.selected)
        block, y, x = index.unbind(1)
        row, column = blocks.row[block] * blocks.side + y, blocks.column[block] * blocks.side + x
        count.index_put_((blocks.image[block], row, column), torch.ones(len(block)), True)
    assert torch.equal(count[:, :21, :34], selection[:, 0])
    assert count.sum() == selection.sum()


def test_blocks_are_the_cheapest() -> None:
    alone = torch.zeros(1, 1, 8, 8)
    alone[..., 5, 2] = 1
    assert [b.side for b in plan_blocks(alone, COSTS)] == [1]
    alone[..., 4, 2] = 1  # two cells of one block of four: 1.8 instead of 2
    assert [b.side for b in plan_blocks(alone, COSTS)] == [2]
    assert [b.side for b in plan_blocks(torch.ones(1, 1, 8, 8), COSTS)] == [8]
    assert [b.side for b in plan_blocks(torch.ones(1, 1, 8, 8), {**COSTS, 8: 17.0})] == [4]
    assert plan_blocks(torch.zeros(1, 1, 8, 8), COSTS) == []


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("channels", [3, 4, 6])
@pytest.mark.parametrize("cut", ["whole", "sliced", "transposed"])
def test_windows_equal_slices_of_the_padded_picture(
    layout: torch.memory_format, dtype: torch.dtype, channels: int, cut: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(2, channels, 27, 47, generator=generator).to(dtype)
    picture = picture.contiguous(memory_format=layout)
    if cut == "sliced":
        picture = picture[:, :, 2:-1, 3:-4]
    elif cut == "transposed":
        picture = picture.transpose(2, 3)
    padded = F.pad(picture, (60,) * 4)
    top = torch.tensor([0, 3, -5, 20, 11, -30, 8])
    left = torch.tensor([0, 8, 3, 9, -2, 16, 5])
    image = torch.tensor([0, 1, 0, 1, 1, 0, 0])
    for height, width in ((8, 8), (5, 12), (30, 48)):
        windows = crop_windows(picture, image, top, left, height, width)
        for window, i, y, x in zip(windows, image, top + 60, left + 60, strict=True):
            assert torch.equal(window, padded[i, :, y : y + height, x : x + width])


@pytest.mark.parametrize("outputs", [1, 4, 5, 16, 20])
@pytest.mark.parametrize(("side", "padding", "widths"), [(3, 1, range(3, 12)), (1, 0, (48, 96))])
def test_pixels_of_a_row_are_computed_as_one(
    outputs: int, side: int, padding: int, widths: Iterable[int]
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, outputs, side, padding=padding).double().requires_grad_(False)
    rows = RowConvolution(plain)
    for width in widths:
        x = torch.rand(2, 6, 5, width).double()
        assert rows(x).shape == plain(x).shape
        assert torch.allclose(rows(x), plain(x), atol=1e-12)


@pytest.mark.parametrize(("coarse", "fine"), [(7, 28), (9, 16), (13, 50), (5, 10), (1, 6)])
@pytest.mark.parametrize("margin", [0, 3])
def test_tables_upsample_as_pytorch_does(coarse: int, fine: int, margin: int) -> None:
    values = torch.rand(coarse, generator=torch.Generator().manual_seed(1)).double()
    expected = F.interpolate(values.expand(1, 1, 1, -1), (1, fine), mode="bilinear").flatten()
    count, step = -(-fine // 4), 4
    expected = F.pad(expected, (margin, margin + 4))
    table = upsampling_table(count, step, margin, coarse, fine, torch.float64)
    for i in range(count):
        window = values[table.origin[i] : table.origin[i] + table.weights.shape[2]]
        wanted = expected[i * step : (i + 1) * step + 2 * margin]
        assert torch.allclose(table.weights[i] @ window, wanted, atol=1e-12)

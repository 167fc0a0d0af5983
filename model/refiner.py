"""The refiner: full-resolution alpha and foreground where the coarse output is likely wrong."""

from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fixed_blocks import SIDE, choose_blocks, crop_blocks, replace_blocks
from .patches import CropMethod, ReplaceMethod, crop_patches, replace_patches, select_cells

RefineMode = Literal["sampling", "thresholding", "full", "blocks"]
# Modes whose work `sample_pixels` limits.
BUDGETED: tuple[RefineMode, ...] = ("sampling", "blocks")

# A cell of the quarter-resolution error map is a square of this many pixels of the frame.
CELL = 4
# Mode `blocks` computes one block of 256 pixels for this many pixels of the budget, 500 blocks with
# the preset HD: ours, because a block also holds cells that would not be selected alone.
BUDGET_PER_BLOCK = 160
HIDDEN_CHANNELS = 32


class Refiner(nn.Module):
    """Selects the 4x4-pixel cells of largest predicted error and computes them at full resolution.

    `mode`, `sample_pixels` and `threshold` may be changed on a built module.

    Args:
        mode: `sampling` refines the cells of largest predicted error, `thresholding` all cells of
            predicted error above `threshold`, `full` the whole frame, by ordinary convolutions.
            `blocks` refines the blocks of 16x16 pixels that hold the largest predicted errors; no
            shape in it depends on a value, so that it can be exported.
        sample_pixels: pixels of each frame to refine in mode `sampling`; more than the frame has
            means all of them. Mode `blocks` refines one block for every 160 of them.
        threshold: predicted error in [0, 1] above which mode `thresholding` refines.
        kernel_size: 3, or 1 for convolutions of single pixels.
        prevent_oversampling: mode `sampling` leaves out cells of predicted error 0, even if fewer
            than `sample_pixels` remain. False makes the work constant, for timing. Mode `blocks`
            computes blocks of error 0 anyway, and writes them only if this is False.
        crop_method: see `crop_patches`.
        replace_method: see `replace_patches`.

    Raises:
        ValueError: for a value outside the above.

    Source: the paper, refinement network.
    """

    def __init__(
        self,
        mode: RefineMode = "sampling",
        sample_pixels: int = 80_000,
        threshold: float = 0.1,
        kernel_size: int = 3,
        prevent_oversampling: bool = True,
        crop_method: CropMethod = "unfold",
        replace_method: ReplaceMethod = "scatter_nd",
    ) -> None:
        super().__init__()
        if kernel_size not in (1, 3):
            raise ValueError(f"refine kernel size must be 1 or 3, got {kernel_size!r}")
        if crop_method not in get_args(CropMethod):
            raise ValueError(
                f"patch crop method must be one of {get_args(CropMethod)}, got {crop_method!r}"
            )
        if replace_method not in get_args(ReplaceMethod):
            raise ValueError(
                f"patch replace method must be one of {get_args(ReplaceMethod)}, "
                f"got {replace_method!r}"
            )
        self.mode = mode
        self.sample_pixels = sample_pixels
        self.threshold = threshold
        self.kernel_size = kernel_size
        self.prevent_oversampling = prevent_oversampling
        self.crop_method: CropMethod = crop_method
        self.replace_method: ReplaceMethod = replace_method

        # 36 channels of the coarse output (hidden, alpha, residual) and 6 of the pictures.
        self.conv1 = nn.Conv2d(HIDDEN_CHANNELS + 4 + 6, 24, kernel_size, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 16, kernel_size, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16 + 6, 12, kernel_size, bias=False)
        self.bn3 = nn.BatchNorm2d(12)
        self.conv4 = nn.Conv2d(12, 4, kernel_size)
        self.relu = nn.ReLU(inplace=True)

    @property
    def mode(self) -> RefineMode:
        """How the refined cells are chosen."""
        return self._mode

    @mode.setter
    def mode(self, mode: RefineMode) -> None:
        if mode not in get_args(RefineMode):
            raise ValueError(f"refine mode must be one of {get_args(RefineMode)}, got {mode!r}")
        self._mode: RefineMode = mode

    @property
    def sample_pixels(self) -> int:
        """Pixels of each frame to refine in mode `sampling`."""
        return self._sample_pixels

    @sample_pixels.setter
    def sample_pixels(self, sample_pixels: int) -> None:
        self._sample_pixels = _check_sample_pixels(sample_pixels)

    @property
    def threshold(self) -> float:
        """Predicted error in [0, 1] above which mode `thresholding` refines."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"refine threshold must lie in [0, 1], got {threshold}")
        self._threshold = float(threshold)

    def forward(
        self,
        src: Tensor,
        bgr: Tensor,
        pha: Tensor,
        fgr: Tensor,
        err: Tensor,
        hid: Tensor,
        sample_pixels: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refines a coarse prediction.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1]; H and W divisible by 4.
            bgr: (B, 3, H, W) float, RGB in [0, 1].
            pha: (B, 1, h, w) float in [0, 1], coarse alpha.
            fgr: (B, 3, h, w) float, coarse foreground residual.
            err: (B, 1, h, w) float in [0, 1], coarse predicted error.
            hid: (B, 32, h, w) float, coarse hidden features.
            sample_pixels: for this call; None means the attribute.

        Returns:
            Alpha (B, 1, H, W) and foreground residual (B, 3, H, W), neither clamped, and the
            selection map (B, 1, H / 4, W / 4): 1 where a cell was refined, else 0.
        """
        height, width = src.shape[2:]
        pictures = torch.cat([src, bgr], dim=1)  # B 6 H W
        features = torch.cat([hid, pha, fgr], dim=1)  # B 36 h w
        margin_half, margin_full = self.margins

        if self.mode == "full":
            half = _halve(features, pictures)
            refined = self._convolve(
                F.pad(half, (margin_half,) * 4), F.pad(pictures, (margin_full,) * 4)
            )
            ref = src.new_ones((src.shape[0], 1, height // CELL, width // CELL))
            return refined[:, :1], refined[:, 1:], ref

        err = resize(err, height // CELL, width // CELL)
        out = resize(torch.cat([pha, fgr], dim=1), height, width)  # B 4 H W
        if self.mode == "blocks":
            count = self.count_blocks(height, width, sample_pixels)
            out, ref = self._refine_blocks(features, pictures, out, err, count)
            return out[:, :1], out[:, 1:], ref

        ref = self.select(err, sample_pixels)
        cells = select_cells(ref)
        # With synchronised batch norms every process must run them, even without a patch.
        shared = self.training and not isinstance(self.bn1, nn.BatchNorm2d)
        if len(cells.image) or shared:
            half = _halve(features, pictures)
            patches = self._convolve(
                crop_patches(half, cells, CELL // 2, margin_half, self.crop_method),  # P 42 8 8
                crop_patches(pictures, cells, CELL, margin_full, self.crop_method),  # P 6 8 8
            )
            out = replace_patches(out, patches, cells, self.replace_method)
        return out[:, :1], out[:, 1:], ref

    def _refine_blocks(
        self, features: Tensor, pictures: Tensor, out: Tensor, err: Tensor, count: int
    ) -> tuple[Tensor, Tensor]:
        """Refines `out` in the blocks of the largest errors; returns it and the selection map."""
        if not count:
            return out, torch.zeros_like(err)
        blocks = choose_blocks(err, count, self.floor)
        margin_half, margin_full = self.margins
        patches = self._convolve(
            crop_blocks(_halve(features, pictures), blocks, SIDE * CELL // 2, margin_half),
            crop_blocks(pictures, blocks, SIDE * CELL, margin_full),  # Bk 6 20 20
        )
        ref = blocks.cells(err.shape[2], err.shape[3])
        return replace_blocks(out, patches, blocks), ref.to(err.dtype)

    @property
    def margins(self) -> tuple[int, int]:
        """Pixels that the convolutions take on each side, at half and at full resolution."""
        return (3, 2) if self.kernel_size == 3 else (0, 0)

    def select(self, err: Tensor, sample_pixels: int | None = None) -> Tensor:
        """Selects cells by predicted error: (B, 1, H / 4, W / 4), 1 where selected, else 0."""
        if self.mode == "thresholding":
            return (err > self.threshold).to(err.dtype)
        if self.mode == "blocks":
            rows, columns = err.shape[2:]
            count = self.count_blocks(rows * CELL, columns * CELL, sample_pixels)
            if not count:
                return torch.zeros_like(err)
            return choose_blocks(err, count, self.floor).cells(rows, columns).to(err.dtype)
        pixels = self.resolve_pixels(sample_pixels)
        flat = err.flatten(1)  # B cells
        count = min(pixels // CELL**2, flat.shape[1])
        chosen = flat.topk(count, dim=1, sorted=False).indices
        ref = torch.zeros_like(flat).scatter_(1, chosen, 1.0)
        if self.prevent_oversampling:
            ref = ref * (flat > 0)
        return ref.view_as(err)

    def list_refined(
        self, height: int, width: int, sample_pixels: int | None = None
    ) -> int | Literal["all"] | None:
        """Names the refined cells of a frame of this size in pixels, for `correct_alpha`."""
        if self.mode == "full":
            return "all"
        if self.mode == "blocks":
            return self.count_blocks(height, width, sample_pixels)
        return None

    def count_blocks(self, height: int, width: int, sample_pixels: int | None = None) -> int:
        """Counts the blocks that mode `blocks` computes of a frame of this size in pixels."""
        count = self.resolve_pixels(sample_pixels) // BUDGET_PER_BLOCK
        if not count:
            return 0
        most: int | torch.SymInt = count_all_blocks(height, width)
        if isinstance(most, torch.SymInt):
            # `min` would limit an export with dynamic height and width to one of its two cases.
            return cast(int, torch.sym_min(count, most))
        return min(count, int(most))

    @property
    def floor(self) -> float:
        """Predicted error above which a chosen block is written."""
        return 0.0 if self.prevent_oversampling else -1.0

    def resolve_pixels(self, sample_pixels: int | None) -> int:
        """Checks and returns the budget of a call; None means the attribute."""
        return self.sample_pixels if sample_pixels is None else _check_sample_pixels(sample_pixels)

    def _convolve(self, half: Tensor, pictures: Tensor) -> Tensor:
        """The convolutions, for whole frames and for patches.

        Takes features and pictures at half resolution (N, 42, y, x) and pictures (N, 6, Y, X), all
        with their margins. Returns alpha and residual without margins, (N, 4, ., .).
        """
        x = self.relu(self.bn1(self.conv1(half)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.relu(self.bn3(self.conv3(torch.cat([x, pictures], dim=1))))
        return self.conv4(x)


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Resizes (B, C, h, w) bilinearly to (B, C, height, width)."""
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def count_all_blocks(height: int, width: int) -> int:
    """Counts the blocks that cover a frame of this size in pixels, which may be symbols."""
    side = SIDE * CELL
    # Not all runtimes round negative numbers down.
    rows, columns = ((pixels + side - 1) // side for pixels in (height, width))
    return rows * columns


def _halve(features: Tensor, pictures: Tensor) -> Tensor:
    """Resizes coarse features and full pictures to half the pictures' size: (B, 42, H/2, W/2)."""
    size = pictures.shape[2] // 2, pictures.shape[3] // 2
    return torch.cat([resize(features, *size), resize(pictures, *size)], dim=1)


def _check_sample_pixels(sample_pixels: int) -> int:
    if sample_pixels < 0:
        raise ValueError(f"refine sample pixels must be 0 or more, got {sample_pixels}")
    return int(sample_pixels)

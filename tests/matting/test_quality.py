"""The work that a picture gets."""

import itertools
from dataclasses import replace

import pytest

from matting.quality import HD, UHD_4K, Budget, resolve_budget


def corrected(scale: float, pixels: int, second_look: bool = False) -> Budget:
    return Budget(scale, pixels, second_look, corrects_alpha=True)


def test_auto_is_the_preset_at_the_presets_sizes_corrected() -> None:
    assert (Budget(0.25, 80_000), Budget(0.125, 320_000)) == (HD, UHD_4K)
    assert resolve_budget(1080, 1920, "auto") == corrected(0.25, 80_000)
    assert resolve_budget(2160, 3840, "auto") == corrected(0.125, 320_000)
    assert resolve_budget(1920, 1080, "auto") == corrected(0.25, 80_000), "portrait as landscape"


def test_presets_hold_at_any_size() -> None:
    assert resolve_budget(100, 100, "hd") == HD
    assert resolve_budget(100, 100, "4k") == UHD_4K


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (540, 960, corrected(0.5, 140_000)),  # a quarter of HD's area
        (270, 480, corrected(0.5, 129_600)),  # all of it
        (3, 5, corrected(0.5, 15)),  # no more than there is
        (4320, 7680, corrected(0.0625, 1_280_000)),
    ],
)
def test_auto_at_other_sizes(height: int, width: int, wanted: Budget) -> None:
    assert resolve_budget(height, width, "auto") == wanted


def test_auto_has_no_jumps() -> None:
    budgets = [resolve_budget(9 * side, 16 * side, "auto") for side in range(10, 500)]
    scales = [b.backbone_scale for b in budgets]
    pixels = [b.refine_sample_pixels for b in budgets]
    assert scales == sorted(scales, reverse=True)
    assert min(pixels[40:]) == pixels[110] == 80_000, "HD's are the fewest, but for tiny pictures"
    assert max(b / a for a, b in itertools.pairwise(pixels)) < 1.25
    assert max(a / b for a, b in itertools.pairwise(pixels)) < 1.25


def test_explicit_values_win() -> None:
    assert resolve_budget(1080, 1920, "auto", backbone_scale=0.5) == corrected(0.5, 80_000)
    assert resolve_budget(1080, 1920, "4k", refine_sample_pixels=0) == Budget(0.125, 0)


def test_correction_can_be_asked_for_and_refused() -> None:
    assert resolve_budget(1080, 1920, "auto", corrects_alpha=False) == HD
    assert resolve_budget(1080, 1920, "hd", corrects_alpha=True) == corrected(0.25, 80_000)


def test_best_is_auto_with_a_second_look() -> None:
    assert resolve_budget(1080, 1920, "best") == corrected(0.25, 80_000, second_look=True)
    assert resolve_budget(540, 960, "best") == corrected(0.5, 140_000, second_look=True)
    assert resolve_budget(1080, 1920, "best", 0.125, 0) == corrected(0.125, 0, second_look=True)


@pytest.mark.parametrize(
    ("height", "width", "wanted", "coarse"),
    [
        (1080, 1920, corrected(1 / 6, 40_000), (180, 320)),
        (2160, 3840, corrected(1 / 12, 160_000), (180, 320)),
        (720, 1280, corrected(1 / 4, 62_222), (180, 320)),
        (576, 768, corrected(1 / 3, 71_466), (192, 256)),
        (480, 640, corrected(1 / 3, 74_074), (160, 213)),
        (270, 480, corrected(1 / 2, 64_800), (135, 240)),
        (3, 5, corrected(1 / 2, 7), (1, 2)),
    ],
)
def test_fast_has_a_smaller_coarse_input_at_a_whole_fraction_and_half_the_pixels(
    height: int, width: int, wanted: Budget, coarse: tuple[int, int]
) -> None:
    budget = resolve_budget(height, width, "fast")
    assert budget == replace(wanted, lowers_precision=True)
    assert budget.coarse_size(height, width) == coarse


def test_unknown_quality_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, best, fast, hd or 4k, got 'finest'"):
        resolve_budget(10, 10, "finest")

"""Settings of the augmentation, and the distributions of what is drawn."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from dataset.augmentation import (
    AugmentationSettings,
    BackgroundSettings,
    ForegroundSettings,
    PictureSettings,
)
from dataset.disturbances import (
    DarkNoiseSettings,
    DefocusSettings,
    ExposureSettings,
    JpegSettings,
    NoiseSettings,
    PlateColourSettings,
    PlatePositionSettings,
    SceneChangeSettings,
    ShadowSettings,
    WhiteBalanceSettings,
    ZoomSettings,
)
from dataset.draws import UNDISTURBED, draw_change, draw_disturbance
from runtime.settings import to_plain

COUNT = 3000
ADDITIONS = ("exposure", "white_balance", "dark_noise", "defocus", "jpeg", "zoom", "scene_change")


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    drawn = [
        draw_disturbance(np.random.default_rng(n), AugmentationSettings()) for n in range(COUNT)
    ]
    return {name: np.array([values[name] for values in drawn]) for name in UNDISTURBED}


def test_defaults_are_the_published_recipe() -> None:
    settings = AugmentationSettings()
    assert settings.foreground.scale == (0.4, 1.0)
    assert settings.background.scale == (1.0, 2.0)
    for picture in (settings.foreground, settings.background):
        common = to_plain(replace(PictureSettings(), scale=picture.scale))
        assert to_plain(picture) == common
    assert to_plain(PictureSettings()) == {
        **{"rotation": 5.0, "shift": 0.1, "shear": 5.0, "scale": [1.0, 1.0], "flip": 0.5},
        **{"brightness": 0.15, "contrast": 0.15, "saturation": 0.15, "hue": 0.05},
        **{"blur": 0.1, "blur_radius": 5, "sharpen": 0.1},
    }
    assert to_plain(settings.plate_colour) == {
        **{"probability": 0.8, "brightness": 0.18, "contrast": 0.18, "saturation": 0.18},
        "hue": 0.1,
    }
    assert to_plain(settings.plate_position) == {"probability": 0.3, "rotation": 1.0, "shift": 0.01}
    assert to_plain(settings.noise) == {"probability": 0.4, "sigma": 0.03}
    assert settings.shadow.probability == 0.3
    assert {name: getattr(settings, name).probability for name in ADDITIONS} == dict.fromkeys(
        ADDITIONS, 0.0
    )


def test_changes_fill_their_bounds_evenly() -> None:
    settings = ForegroundSettings()
    drawn = [draw_change(np.random.default_rng(n), settings) for n in range(COUNT)]
    bounds = {
        **{"rotation": (-5, 5), "shear": (-5, 5), "shift_x": (-0.1, 0.1), "shift_y": (-0.1, 0.1)},
        **{"scale": (0.4, 1), "brightness": (0.85, 1.15), "contrast": (0.85, 1.15)},
        **{"saturation": (0.85, 1.15), "hue": (-0.05, 0.05)},
    }
    values = {name: np.array([getattr(change, name) for change in drawn]) for name in bounds}
    for name, (low, high) in bounds.items():
        assert low <= values[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values[name].max() <= high
        quartiles = np.quantile(values[name], (0.25, 0.5, 0.75))
        # 0.04 is above four standard errors of a quartile of 3000 values.
        assert (quartiles - low) / (high - low) == pytest.approx((0.25, 0.5, 0.75), abs=0.04)
    names = list(bounds)
    correlation = np.corrcoef([values[name] for name in names]) - np.eye(len(names))
    assert np.abs(correlation).max() < 0.09  # five standard errors
    assert np.mean([change.flip for change in drawn]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([change.sharpen for change in drawn]) == pytest.approx(0.1, abs=0.025)
    radii = np.bincount([change.blur_radius for change in drawn], minlength=6) / COUNT
    assert len(radii) == 6
    # One in six of the blurs has radius 0, as in the release.
    assert radii == pytest.approx([0.9 + 0.1 / 6] + [0.1 / 6] * 5, abs=0.012)


def test_published_disturbances(published: dict[str, np.ndarray]) -> None:
    shares = {
        **{"shadow_strength": 0.3, "plate_rotation": 0.3, "plate_brightness": 0.8},
        **{"noise_src": 0.4, "noise_bgr": 0.4},
    }
    bounds = {
        **{"shadow_strength": (0, 0.3), "shadow_rotation": (-5, 5), "shadow_shift_x": (-0.2, 0.2)},
        **{"shadow_scale": (0.5, 1.5), "shadow_blur": (20, 39), "plate_rotation": (-1, 1)},
        **{"plate_shift_x": (-0.01, 0.01), "plate_shift_y": (-0.01, 0.01)},
        **{"plate_brightness": (-0.18, 0.18), "plate_contrast": (0.82, 1.18)},
        **{"plate_saturation": (0.82, 1.18), "plate_hue": (-0.1, 0.1)},
        **{"noise_src": (0, 0.03), "noise_bgr": (0, 0.03)},
    }
    for name, share in shares.items():
        assert (published[name] != 0).mean() == pytest.approx(share, abs=0.04), name
    for name, (low, high) in bounds.items():
        chosen = published[name][published[name] != UNDISTURBED[name]]
        assert low <= chosen.min() < low + 0.02 * (high - low), name
        assert high - 0.02 * (high - low) < chosen.max() <= high, name
    noisy = published["noise_src"] > 0
    assert (noisy == (published["noise_bgr"] > 0)).all()
    assert (
        abs(np.corrcoef(published["noise_src"][noisy], published["noise_bgr"][noisy])[0, 1]) < 0.15
    )
    assert len(set(published["noise_seed"].tolist())) == COUNT
    assert published["noise_seed"].min() >= 0


def test_additions_are_off(published: dict[str, np.ndarray]) -> None:
    additions = ("exposure_stops", "white_balance_red", "white_balance_blue", "dark_noise")
    for name in (
        *additions,
        "defocus_radius",
        "jpeg_src",
        "jpeg_bgr",
        "zoom_factor",
        "change_share",
    ):
        assert (published[name] == UNDISTURBED[name]).all(), name


def test_additions_when_on() -> None:
    on = {
        name: replace(getattr(AugmentationSettings(), name), probability=1.0) for name in ADDITIONS
    }
    settings = replace(AugmentationSettings(), **on)
    drawn = [draw_disturbance(np.random.default_rng(n), settings) for n in range(500)]
    bounds = {
        **{"exposure_stops": (-0.5, 0.5), "white_balance_red": (0.9, 1.1)},
        **{"white_balance_blue": (0.9, 1.1), "dark_noise": (0, 0.06), "defocus_radius": (1, 4)},
        **{"jpeg_src": (40, 95), "jpeg_bgr": (40, 95)},
        **{"zoom_factor": (1.25, 2), "zoom_x": (0, 1), "zoom_y": (0, 1)},
        **{"change_size": (0.02, 0.12), "change_share": (0.002, 0.03)},
        **{"change_shift_x": (-0.015, 0.015), "change_shift_y": (-0.015, 0.015)},
    }
    for name, (low, high) in bounds.items():
        values = [sample[name] for sample in drawn]
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high


def test_settings_do_not_shift_each_others_numbers() -> None:
    off = replace(AugmentationSettings(), shadow=ShadowSettings(probability=0.0))
    for n in range(20):
        usual, other = (
            draw_disturbance(np.random.default_rng(n), settings)
            for settings in (AugmentationSettings(), off)
        )
        assert other["shadow_strength"] == 0
        kept = [name for name in usual if not name.startswith("shadow")]
        assert all(usual[name] == other[name] for name in kept)


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (ForegroundSettings, {"flip": 1.5}, "flip must be from 0 to 1"),
        (ForegroundSettings, {"rotation": -1}, "rotation must be from 0 to 180"),
        (ForegroundSettings, {"scale": (1.0, 0.4)}, "scale must be a smallest and a largest"),
        (ForegroundSettings, {"blur_radius": -1}, "blur_radius must be from 0"),
        (ForegroundSettings, {"hue": 0.6}, "hue must be from 0 to 0.5"),
        (BackgroundSettings, {"scale": (0.9, 2.0)}, "backgrounds must be 1 or more"),
        (ShadowSettings, {"strength": float("nan")}, "strength must be from 0 to 1"),
        (ShadowSettings, {"blur": (0, 9)}, "blur must be a smallest"),
        (NoiseSettings, {"sigma": -0.1}, "sigma must be from 0 to 1"),
        (PlateColourSettings, {"probability": 2}, "probability must be from 0 to 1, got|fraction"),
        (PlatePositionSettings, {"shift": 2}, "shift must be from 0 to 1"),
        (ExposureSettings, {"stops": 9}, "stops must be from 0 to 4"),
        (WhiteBalanceSettings, {"strength": -1}, "strength must be from 0 to 1"),
        (DarkNoiseSettings, {"sigma": 2}, "sigma must be from 0 to 1"),
        (DefocusSettings, {"radius": (0.0, 3.0)}, "radius must be a smallest"),
        (JpegSettings, {"quality": (0, 50)}, "quality must be a smallest"),
        (ZoomSettings, {"factor": (0.5, 2.0)}, "factor must be a smallest"),
        (SceneChangeSettings, {"size": (0.0, 0.1)}, "size must be a smallest"),
        (SceneChangeSettings, {"share": (0.1, 0.01)}, "share must be a smallest"),
        (SceneChangeSettings, {"opacity": (0.5, 1.5)}, "opacity must be a smallest"),
        (SceneChangeSettings, {"shift": -0.1}, "shift must be from 0 to 1"),
    ],
)
def test_wrong_settings(group: type, values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group(**values)


def test_every_setting_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")
    for group in fields(AugmentationSettings):
        assert f"`{group.name}" in page
        for setting in fields(getattr(AugmentationSettings(), group.name)):
            assert f"`{setting.name}`" in page, (group.name, setting.name)

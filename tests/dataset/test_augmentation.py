"""Settings of the augmentation, and the distributions of what is drawn."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from dataset.augmentation import UNDISTURBED, AugmentationSettings, draw_disturbance
from dataset.changes import BackgroundSettings, ForegroundSettings, PictureSettings
from dataset.disturbances.optics import Defocus, PlatePosition, Zoom
from dataset.disturbances.plate_colour import Exposure, PlateColour, WhiteBalance
from dataset.disturbances.recording import DarkNoise, Jpeg, Noise
from dataset.disturbances.scene import SceneChange, Shadow
from runtime.settings import to_plain

COUNT = 3000
ADDITIONS = (
    *("exposure", "white_balance", "dark_noise", "defocus", "jpeg", "zoom", "scene_change"),
    *("cast_shadow", "low_light"),
)


def by_value(drawn: list[dict]) -> dict[str, np.ndarray]:
    """The values of many samples, by names such as `shadow.strength`."""
    return {
        f"{group}.{name}": np.array([getattr(values[group], name) for values in drawn])
        for group, nothing in UNDISTURBED.items()
        for name in nothing._fields
    }


NOTHING = {name: values[0] for name, values in by_value([dict(UNDISTURBED)]).items()}


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    drawn = [
        draw_disturbance(np.random.default_rng(n), AugmentationSettings()) for n in range(COUNT)
    ]
    return by_value(drawn)


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
    drawn = [settings.draw(np.random.default_rng(n)) for n in range(COUNT)]
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
        **{"shadow.strength": 0.3, "plate_position.rotation": 0.3, "plate_colour.brightness": 0.8},
        **{"noise.src": 0.4, "noise.bgr": 0.4},
    }
    bounds = {
        **{"shadow.strength": (0, 0.3), "shadow.rotation": (-5, 5), "shadow.shift_x": (-0.2, 0.2)},
        **{"shadow.scale": (0.5, 1.5), "shadow.blur": (20, 39), "plate_position.rotation": (-1, 1)},
        **{"plate_position.shift_x": (-0.01, 0.01), "plate_position.shift_y": (-0.01, 0.01)},
        **{"plate_colour.brightness": (-0.18, 0.18), "plate_colour.contrast": (0.82, 1.18)},
        **{"plate_colour.saturation": (0.82, 1.18), "plate_colour.hue": (-0.1, 0.1)},
        **{"noise.src": (0, 0.03), "noise.bgr": (0, 0.03)},
    }
    for name, share in shares.items():
        assert (published[name] != 0).mean() == pytest.approx(share, abs=0.04), name
    for name, (low, high) in bounds.items():
        chosen = published[name][published[name] != NOTHING[name]]
        assert low <= chosen.min() < low + 0.02 * (high - low), name
        assert high - 0.02 * (high - low) < chosen.max() <= high, name
    noisy = published["noise.src"] > 0
    assert (noisy == (published["noise.bgr"] > 0)).all()
    assert (
        abs(np.corrcoef(published["noise.src"][noisy], published["noise.bgr"][noisy])[0, 1]) < 0.15
    )
    assert len(set(published["noise.seed"].tolist())) == COUNT
    assert published["noise.seed"].min() >= 0


def test_additions_are_off(published: dict[str, np.ndarray]) -> None:
    additions = ("exposure.stops", "white_balance.red", "white_balance.blue", "dark_noise.sigma")
    for name in (
        *additions,
        "defocus.radius",
        "jpeg.src",
        "jpeg.bgr",
        "zoom.factor",
        "scene_change.share",
    ):
        assert (published[name] == NOTHING[name]).all(), name


def test_additions_when_on() -> None:
    on = {
        name: replace(getattr(AugmentationSettings(), name), probability=1.0) for name in ADDITIONS
    }
    settings = replace(AugmentationSettings(), **on)
    drawn = by_value([draw_disturbance(np.random.default_rng(n), settings) for n in range(500)])
    bounds = {
        **{"exposure.stops": (-0.5, 0.5), "white_balance.red": (0.9, 1.1)},
        **{
            "white_balance.blue": (0.9, 1.1),
            "dark_noise.sigma": (0, 0.06),
            "defocus.radius": (1, 4),
        },
        **{"jpeg.src": (40, 95), "jpeg.bgr": (40, 95)},
        **{"zoom.factor": (1.25, 2), "zoom.x": (0, 1), "zoom.y": (0, 1)},
        **{"scene_change.size": (0.02, 0.12), "scene_change.share": (0.002, 0.03)},
        **{"scene_change.shift_x": (-0.015, 0.015), "scene_change.shift_y": (-0.015, 0.015)},
    }
    for name, (low, high) in bounds.items():
        values = drawn[name].tolist()
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high


def test_settings_do_not_shift_each_others_numbers() -> None:
    off = replace(AugmentationSettings(), shadow=Shadow(probability=0.0))
    for n in range(20):
        usual, other = (
            draw_disturbance(np.random.default_rng(n), settings)
            for settings in (AugmentationSettings(), off)
        )
        assert other["shadow"].strength == 0
        kept = [name for name in usual if name != "shadow"]
        assert all(usual[name] == other[name] for name in kept)


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (ForegroundSettings, {"flip": 1.5}, "key 'flip'.*less than or equal to 1, got 1.5"),
        (
            ForegroundSettings,
            {"rotation": -1},
            "key 'rotation'.*greater than or equal to 0, got -1",
        ),
        (
            ForegroundSettings,
            {"scale": (1.0, 0.4)},
            "key 'scale': must be the smallest and the largest",
        ),
        (ForegroundSettings, {"blur_radius": -1}, "key 'blur_radius'.*greater than or equal to 0"),
        (ForegroundSettings, {"hue": 0.6}, "key 'hue'.*less than or equal to 0.5"),
        (
            BackgroundSettings,
            {"scale": (0.9, 2.0)},
            "key 'scale.0'.*greater than or equal to 1, got 0.9",
        ),
        (Shadow, {"strength": float("nan")}, "key 'strength'.*got nan"),
        (Shadow, {"blur": (0, 9)}, "key 'blur.0'.*greater than or equal to 1, got 0"),
        (Noise, {"sigma": -0.1}, "key 'sigma'.*greater than or equal to 0, got -0.1"),
        (PlateColour, {"probability": 2}, "key 'probability'.*less than or equal to 1, got 2"),
        (PlatePosition, {"shift": 2}, "key 'shift'.*less than or equal to 1, got 2"),
        (Exposure, {"stops": 9}, "key 'stops'.*less than or equal to 4, got 9"),
        (WhiteBalance, {"strength": -1}, "key 'strength'.*greater than or equal to 0"),
        (DarkNoise, {"sigma": 2}, "key 'sigma'.*less than or equal to 1, got 2"),
        (Defocus, {"radius": (0.0, 3.0)}, "key 'radius.0'.*greater than or equal to 0.5, got 0.0"),
        (Jpeg, {"quality": (0, 50)}, "key 'quality.0'.*greater than or equal to 1, got 0"),
        (Zoom, {"factor": (0.5, 2.0)}, "key 'factor.0'.*greater than or equal to 1, got 0.5"),
        (
            SceneChange,
            {"size": (0.0, 0.1)},
            "key 'size.0'.*greater than or equal to 0.005, got 0.0",
        ),
        (SceneChange, {"share": (0.1, 0.01)}, "key 'share': must be the smallest"),
        (SceneChange, {"opacity": (0.5, 1.5)}, "key 'opacity.1'.*less than or equal to 1, got 1.5"),
        (SceneChange, {"shift": -0.1}, "key 'shift'.*greater than or equal to 0, got -0.1"),
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

"""The settings files that the repository ships are valid and say what they claim."""

import re
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from evaluate import EvaluationSettings
from inference_images import Settings
from inference_speed_test import Settings as SpeedSettings
from inference_video import Settings as VideoSettings
from inference_webcam import Settings as WebcamSettings
from runtime.flags import list_flags
from runtime.plain_yaml import write_yaml
from runtime.settings import REQUIRED, parse_settings, to_plain
from training.settings import BaseSettings, RefineSettings

ROOT = Path(__file__).resolve().parents[1]
PATHS = ["--images-src", "s", "--images-bgr", "b", "--output-dir", "o"]
BASE = [
    *("smoke", "synthetic_base", "default_base", "stage1_base_videomatte240k"),
    *("stage1_base_videomatte240k_resnet101", "stage1_base_videomatte240k_mobilenetv2"),
    "default_resnet50_base",
]
REFINE = [
    *("smoke_refine", "synthetic_refine", "default_refine", "stage2_refine_videomatte240k"),
    *("stage3_refine_photomatte85", "stage4_refine_distinctions646", "default_more"),
    "default_resnet50",
]


def parse(*args: str) -> Settings:
    return parse_settings(Settings, "", list(args))


SCRIPTS = (
    *(Settings, VideoSettings, WebcamSettings, SpeedSettings, EvaluationSettings),
    *(BaseSettings, RefineSettings),
)
REQUIRED_VALUES = {
    **{"batch-size": 2, "epoch-end": 1, "model-name": "name", "dataset-name": "name"},
    **{f"learning-rate-{part}": 0.1 for part in ("backbone", "aspp", "decoder")},
}


@pytest.mark.parametrize("kind", SCRIPTS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_each_flag_of_each_script_may_stand_in_a_file_by_its_name(kind, capsys, tmp_path) -> None:
    flags = list_flags(kind)
    with pytest.raises(SystemExit):
        parse_settings(kind, "", ["--help"])
    shown = capsys.readouterr().out
    # Behind a flag come its other name, its values or nothing; behind one that a text names, words.
    flag_of = r"^[^\w-]*(?:-\w, )*--([a-z][a-z.-]+)(?=,| [A-Z{\[(]|\W*$)"
    first = set(re.findall(flag_of, shown, re.MULTILINE))
    assert first - {"help"} == set(flags), "the names are those of the command line"
    assert not {flag.replace("-", "_") for flag in flags} & {k[0] for k in flags.values() if k[1:]}

    nested, values = to_plain(kind()), {}
    for flag, keys in flags.items():
        group = reduce(getitem, keys[:-1], nested)
        if group[keys[-1]] is REQUIRED:
            group[keys[-1]] = REQUIRED_VALUES.get(flag, "a path")
        values[flag] = group[keys[-1]]
    del nested["config"], values["config"]
    written = [nested, values, {flag.replace("-", "_"): value for flag, value in values.items()}]
    read = []
    for content in written:
        path = tmp_path / "settings.yaml"
        path.write_text(write_yaml(content), encoding="utf-8")
        read.append(parse_settings(kind, "", ["--config", str(path)]))
    assert read[0] == read[1] == read[2]


def parse_training(name: str) -> BaseSettings | RefineSettings:
    settings_type = BaseSettings if name in BASE else RefineSettings
    return parse_settings(settings_type, "", ["--config", str(ROOT / "configs" / f"{name}.yaml")])


def test_every_config_has_a_test() -> None:
    found = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    scripts = {"inference_images", "inference_video", "inference_webcam", "speed_test", "evaluate"}
    assert found == {*scripts, "demo", *BASE, *REFINE}


@pytest.mark.parametrize("name", BASE + REFINE)
def test_training_configs_are_complete(name: str) -> None:
    settings = parse_training(name)
    assert settings.dataset.split().train
    assert settings.model.last_checkpoint == "auto", "the same command should go on"
    assert settings.learning_rates.refiner is not None or name in BASE
    assert all(size % 4 == 0 for size in settings.crop.choices) or name in BASE
    head = (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[:8]
    script = "train_base.py" if name in BASE else "train_refine.py"
    assert any(f"{script} --config configs/{name}.yaml" in line for line in head)


def test_stages_follow_the_published_recipe() -> None:
    """Batch, crops and rates as the release has them (the paper, training)."""
    one = parse_training("stage1_base_videomatte240k")
    rates = to_plain(one.learning_rates)
    assert rates == {"backbone": 1e-4, "aspp": 5e-4, "decoder": 5e-4, "refiner": None}
    assert (one.run.batch_size, one.crop.smallest, one.crop.largest) == (8, 256, 512)
    assert one.augmentation.foreground.scale == (0.4, 1.0)
    assert one.schedule.kind == "constant"
    for name in [name for name in REFINE if name.startswith("stage")]:
        later = parse_training(name)
        rates = to_plain(later.learning_rates)
        assert rates == {"backbone": 5e-5, "aspp": 5e-5, "decoder": 1e-4, "refiner": 3e-4}
        assert (later.run.batch_size, later.crop.smallest, later.crop.largest) == (4, 1024, 2048)
        assert later.augmentation.foreground.scale == (0.3, 1.0)
        assert (later.model.backbone_scale, later.model.refine_sample_pixels) == (0.25, 80_000)
        stage = int(name[5])
        assert (
            str(later.model.initial_checkpoint) == f"checkpoint/stage{stage - 1}_resnet50/best.pth"
        )
        assert later.model.name == f"stage{stage}_resnet50"


def test_inference_config_writes_out_the_defaults() -> None:
    written_out = parse("--config", str(ROOT / "configs/inference_images.yaml"), *PATHS)
    assert to_plain(written_out) | {"config": None} == to_plain(parse(*PATHS))


def test_video_config_writes_out_the_defaults() -> None:
    args = ["--video-src", "s", "--output-dir", "o"]
    path = str(ROOT / "configs/inference_video.yaml")
    written_out = parse_settings(VideoSettings, "", ["--config", path, *args])
    defaults = parse_settings(VideoSettings, "", args)
    assert to_plain(written_out) | {"config": None} == to_plain(defaults)


def test_webcam_config_writes_out_the_defaults() -> None:
    path = str(ROOT / "configs/inference_webcam.yaml")
    written_out = parse_settings(WebcamSettings, "", ["--config", path])
    defaults = parse_settings(WebcamSettings, "", [])
    assert to_plain(written_out) | {"config": None} == to_plain(defaults)


def test_speed_test_config_writes_out_the_defaults() -> None:
    path = ROOT / "configs/speed_test.yaml"
    written_out = parse_settings(SpeedSettings, "", ["--config", str(path)])
    assert to_plain(written_out) | {"config": None} == to_plain(
        parse_settings(SpeedSettings, "", [])
    )
    head = path.read_text(encoding="utf-8").splitlines()[:3]
    assert any("inference_speed_test.py --config configs/speed_test.yaml" in line for line in head)


def test_evaluate_config_writes_out_the_defaults() -> None:
    paths = ["--pred-pha", "p", "--true-pha", "t", "--output-dir", "o"]
    path = ROOT / "configs/evaluate.yaml"
    written_out = parse_settings(EvaluationSettings, "", ["--config", str(path), *paths])
    assert to_plain(written_out) | {"config": None} == to_plain(
        parse_settings(EvaluationSettings, "", paths)
    )
    head = path.read_text(encoding="utf-8").splitlines()[:3]
    assert any("evaluate.py --config configs/evaluate.yaml" in line for line in head)


def test_demo_config_names_pictures_that_exist_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    images = parse("--config", "configs/demo.yaml").images
    frames, plates = ({p.stem for p in folder.iterdir()} for folder in (images.src, images.bgr))
    assert frames == plates
    assert len(frames) >= 3
    credited = (ROOT / "demo" / "CREDITS.md").read_text(encoding="utf-8")
    assert [name for name in frames if f"`{name}`" not in credited] == []

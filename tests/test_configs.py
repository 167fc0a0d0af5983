"""The settings files that the repository ships are valid and say what they claim."""

from pathlib import Path

import pytest

from inference_images import Settings
from settings import parse_settings, to_plain

ROOT = Path(__file__).resolve().parents[1]
PATHS = ["--images-src", "s", "--images-bgr", "b", "--output-dir", "o"]


def parse(*args: str) -> Settings:
    return parse_settings(Settings, "", list(args))


def test_every_config_has_a_test() -> None:
    found = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert found == {"inference_images.yaml", "demo.yaml"}


def test_inference_config_writes_out_the_defaults() -> None:
    written_out = parse("--config", str(ROOT / "configs/inference_images.yaml"), *PATHS)
    assert to_plain(written_out) | {"config": None} == to_plain(parse(*PATHS))


def test_demo_config_names_pictures_that_exist_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    images = parse("--config", "configs/demo.yaml").images
    frames, plates = ({p.stem for p in folder.iterdir()} for folder in (images.src, images.bgr))
    assert frames == plates
    assert len(frames) >= 3
    credited = (ROOT / "demo" / "CREDITS.md").read_text(encoding="utf-8")
    assert [name for name in frames if f"`{name}`" not in credited] == []

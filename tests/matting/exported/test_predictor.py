"""An exported network in place of weights, with a small graph whose results are known."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matting import Matting
from matting.exported.card import card_path, read_card
from matting.loading import describe_setup, load_predictor
from matting.settings import ComputeSettings, ModelSettings
from runtime.wording import to_json

from .small import CARD, write_small

if "CI" not in os.environ:  # where a missing runtime fails
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extra `dev`)", allow_module_level=True)


def random_pair(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


def edit_card(path: Path, **values: object) -> None:
    """Changes values of a card."""
    card = json.loads(card_path(path).read_text()) | values
    card_path(path).write_bytes(to_json(card))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (101, 67), (20, 30)])
def test_any_size_is_padded_for_a_dynamic_export(tmp_path: Path, height: int, width: int) -> None:
    matting = Matting.load(write_small(tmp_path / "small.onnx"))
    src, bgr = random_pair(height, width)
    matte = matting(src, bgr, preprocess="none")
    assert matte.alpha.shape == (height, width)
    # The division by 255 is rounded once more.
    assert np.abs(matte.alpha - src[..., 0] / 255).max() < 1e-6
    assert np.abs(matte.foreground - bgr / 255).max() < 1e-6
    assert matte.budget == read_card(tmp_path / "small.onnx").budget(height, width)
    with pytest.raises(ValueError, match="an exported network has no output err; use weights"):
        matte.render("err")


def test_a_card_names_the_scale_that_the_file_chooses() -> None:
    card = replace(CARD, backbone_scale=None, refine_sample_pixels=None)
    # Height and width of the coarse input add up to a fourth of HD's, 750, and at most to half.
    assert card.budget(1080, 1920).coarse_size(1080, 1920) == (270, 480)
    assert card.budget(2160, 3840).coarse_size(2160, 3840) == (270, 480)
    assert card.budget(1000, 1000).coarse_size(1000, 1000) == (375, 375)
    assert card.budget(480, 640).coarse_size(480, 640) == (240, 320)


def test_a_fixed_size_is_the_only_one(tmp_path: Path) -> None:
    matting = Matting.load(str(write_small(tmp_path / "small.onnx", (64, 96))))
    assert matting(*random_pair(64, 96)).alpha.shape == (64, 96)
    assert matting(*random_pair(63, 94)).alpha.shape == (63, 94)
    with pytest.raises(ValueError, match=r"takes frames of 96 x 64 pixels, got 100 x 64; .*100x64"):
        matting(*random_pair(64, 100))


def test_what_was_fixed_at_the_export_is_refused(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    matting, pair = Matting.load(path), random_pair(64, 96)
    for choice in ({"backbone_scale": 0.5}, {"refine_sample_pixels": 5}, {"corrects_alpha": False}):
        with pytest.raises(ValueError, match=f"exported, which fixed {next(iter(choice))}"):
            matting(*pair, **choice)
    for asked in ({"backbone_scale": 0.5}, {"refine_mode": "full"}, {"backbone": "resnet50"}):
        settings = ModelSettings(path, **asked)
        with pytest.raises(ValueError, match="exported, which fixed"):
            load_predictor(settings, ComputeSettings())
    for compute in (ComputeSettings(precision="bfloat16"), ComputeSettings(backend="openvino")):
        with pytest.raises(ValueError, match="determines precision and backend"):
            load_predictor(ModelSettings(path), compute)


def test_card_and_file_belong_together(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    edit_card(path, sha256="0" * 64)
    with pytest.raises(ValueError, match="is not the file that its card describes"):
        Matting.load(path)
    card_path(path).unlink()
    with pytest.raises(ValueError, match=r"has no card small\.onnx\.json beside it"):
        Matting.load(path)
    path.unlink()
    with pytest.raises(ValueError, match=r"small\.onnx is not there"):
        Matting.load(path)


def test_an_extension_may_be_in_capitals(tmp_path: Path) -> None:
    assert Matting.load(write_small(tmp_path / "SMALL.ONNX"))(*random_pair(64, 96)).alpha.any()


def test_an_openvino_file_without_its_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.xml"
    write_small(path)
    edit_card(path, format="openvino")
    with pytest.raises(ValueError, match=r"small\.bin is not there"):
        Matting.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: Invalid JSON"),
        ("[]", "the file: "),
        ('{"format": "zip"}', "format: "),
        (json.dumps({"x": "y" * 1_100_000}), "larger than 1,000,000 bytes"),
    ],
)
def test_other_cards_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write_small(tmp_path / "small.onnx")
    card_path(path).write_text(text)
    with pytest.raises(ValueError, match=message):
        Matting.load(path)


def test_a_card_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    for name, value in (
        ("backbone_scale", 7),
        ("size", [1, 2]),
        ("unknown", 1),
        ("least", 1_000_000_000),  # frames would be padded to that
        ("least", 63),
    ):
        edit_card(path, **{name: value})
        with pytest.raises(ValueError, match=f"is not the card of an export: {name}"):
            read_card(path)
        write_small(path)


def test_a_format_that_can_hold_code_is_not_loaded(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    edit_card(path, format="torchscript")
    with pytest.raises(ValueError, match="which is for other programs"):
        Matting.load(path)


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    path.write_bytes(path.read_bytes()[:40])
    edit_card(path, sha256=sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"ONNX Runtime can't open .*small\.onnx"):
        Matting.load(path)


def alter(path: Path, change: Callable[[Any], None]) -> None:
    """Changes the graph of an ONNX file, with the hash in its card."""
    import onnx

    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)
    edit_card(path, sha256=sha256(path.read_bytes()).hexdigest())


def rename_input(graph: Any) -> None:
    graph.input[0].name = graph.node[0].input[0] = "frame"


def rename_output(graph: Any) -> None:
    graph.output[1].name = graph.node[1].output[0] = "colour"


def use_doubles(graph: Any) -> None:
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = 11  # TensorProto.DOUBLE


@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, "must compute src, bgr to pha, fgr; it computes .*frame"),
        (rename_output, "must compute src, bgr to pha, fgr; it computes .*colour"),
        (use_doubles, "must have float32 inputs and outputs"),
    ],
)
def test_other_inputs_and_outputs_are_refused(
    tmp_path: Path, format: str, change: Callable[[Any], None], message: str
) -> None:
    path = write_small(tmp_path / "small.onnx")  # which OpenVINO reads too
    alter(path, change)
    edit_card(path, format=format)
    with pytest.raises(ValueError, match=message):
        Matting.load(path)


def give_a_mean(graph: Any) -> None:
    from onnx import helper

    graph.node[0].CopyFrom(helper.make_node("ReduceMean", ["src"], ["pha"]))
    graph.output[0].type.tensor_type.ClearField("shape")


def take_less(graph: Any) -> None:
    for value, channels in zip((*graph.input, *graph.output), (3, 3, 1, 3), strict=True):
        for side, length in zip(
            value.type.tensor_type.shape.dim, (1, channels, 64, 64), strict=True
        ):
            side.dim_value = length


@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("change", "message"),
    [(give_a_mean, r"got \(1, 1, 1, 1\) and"), (take_less, "can't run .*small")],
)
def test_results_of_another_shape_and_failures_of_the_runtime_are_explained(
    tmp_path: Path, format: str, change: Callable[[Any], None], message: str
) -> None:
    path = write_small(tmp_path / "small.onnx")
    alter(path, change)
    edit_card(path, format=format)
    with pytest.raises(ValueError, match=message):
        Matting.load(path)(*random_pair(64, 96), preprocess="none")


def test_a_card_can_not_control_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_small(tmp_path / "small.onnx")
    edit_card(path, network="\x1b[31mred")
    model = ModelSettings(path)
    describe_setup(load_predictor(model, ComputeSettings()), model, ComputeSettings())
    assert capsys.readouterr().out.startswith("\\x1b[31mred, exported to onnx")


def test_photographs_are_matted_with_an_export(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    command = [sys.executable, "inference_images.py", "--images-src", "demo/src/lawn.jpg"]
    command += ["--images-bgr", "demo/bgr/lawn.jpg", "--model-checkpoint", str(path)]
    command += ["--output-dir", str(tmp_path / "out"), "--output-types", "com", "sheet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "exported to onnx in mode blocks" in done.stdout
    assert "precision float32, backend onnxruntime" in done.stdout
    assert {path.name for path in (tmp_path / "out").rglob("*.png")} == {"lawn.png"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "exported to onnx" in summary["network"]


def test_outputs_that_an_export_lacks_end_before_any_work(tmp_path: Path) -> None:
    path = write_small(tmp_path / "small.onnx")
    command = [sys.executable, "inference_images.py", "--images-src", "demo/src/lawn.jpg"]
    command += ["--images-bgr", "demo/bgr/lawn.jpg", "--model-checkpoint", str(path)]
    command += ["--output-dir", str(tmp_path / "out"), "--output-types", "com", "err"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "an exported network has no output err; leave it out of --output-types" in done.stderr
    assert not (tmp_path / "out").exists()

"""Each settings file of the table, through `--config`."""

import os
import re

import pytest

from inference_images import Settings
from runtime.plain_yaml import SettingsError, parse_yaml, write_yaml
from runtime.settings import parse_settings

from .rows import Row, run_row
from .settings import ROWS

PICTURES = ("--images-src", "a", "--images-bgr", "b", "--output-dir", "c")
THROUGH_THE_SCRIPT = ("plain.yaml", "laughs.yaml", "deep_flow.yaml", "overflow.yaml")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_settings(row: Row, tmp_path) -> None:
    path = tmp_path / row.name
    row.make(path)
    args = ["--config", str(path), *PICTURES]
    if row.code == 0:
        assert parse_settings(Settings, "", args).config == path
        return
    with pytest.raises(SettingsError) as error:
        parse_settings(Settings, "", args)
    assert re.search(row.says, str(error.value)), error
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("name", THROUGH_THE_SCRIPT)
def test_settings_through_the_script(name: str, tmp_path, run_forked, photographs) -> None:
    row = next(row for row in ROWS if row.name == name)
    run_row(row, "--config", tmp_path, run_forked, photographs)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--target-bgr", ""), "--target-bgr got an empty value"),
        (("--target-bgr="), "--target-bgr got an empty value"),
        (("--images-src", " "), "--images-src got an empty value"),
        (("--config", ""), "--config got an empty value"),
        (("--model-refine-threshold", "nan"), "'refine_threshold'.*finite.*got nan"),
        (("--model-refine-threshold", "1e400"), "'refine_threshold'.*finite.*got inf"),
        (("--model-refine-threshold", ".5.5"), "--model-refine-threshold"),
        (("--num-workers", "9" * 30), "'num_workers'.*integers must be at most"),
        (("--num-workers", "9" * 5000), "--num-workers"),
        (("--num-workers", "0x10"), "--num-workers"),
    ],
)
def test_flags_that_are_no_values_are_refused(
    flags: tuple[str, ...], says: str, run_forked
) -> None:
    flags = (flags,) if isinstance(flags, str) else flags
    run_forked(*PICTURES, *flags).check(2, says)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SettingsError, match="not a regular file"):
        parse_settings(Settings, "", ["--config", str(tmp_path / "pipe.yaml"), *PICTURES])


@pytest.mark.parametrize("value", ["1e5", "010", "1:30", "yes", "2024-01-31", "~", "1_0", ".inf"])
def test_texts_that_look_like_numbers_come_back_as_texts(value: str) -> None:
    assert parse_yaml(write_yaml({"a": value}), "") == {"a": value}


@pytest.mark.parametrize("value", [1e-5, 1e22, -0.5, 0, -12, True, None, [1.0, "x"]])
def test_values_come_back_as_they_were(value: object) -> None:
    assert parse_yaml(write_yaml({"a": value, "b": value}), "") == {"a": value, "b": value}

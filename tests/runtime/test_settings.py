"""Settings: precedence, strictness and messages."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro
from pydantic import Field

from runtime.settings import (
    REQUIRED,
    SettingsError,
    parse_settings,
    read_section,
    settings_group,
    to_plain,
    to_yaml,
)


@settings_group("part")
class Part:
    """A group.

    Attributes:
        rate: A float.
        kind: One of two.
        path: A path.
    """

    rate: float = 0.5
    kind: Literal["a", "b"] | None = None
    path: Path = REQUIRED

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must lie in [0, 1], got {self.rate}")


@settings_group()
class Settings:
    """All."""

    part: Part = field(default_factory=Part)
    count: int = 3
    names: tuple[str, ...] = ("x",)
    switch: bool = False
    config: Path | None = None


def parse(*args: str) -> Settings:
    return parse_settings(Settings, "a test", list(args))


@pytest.fixture
def write(tmp_path: Path):
    def write_config(text: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_config


def test_command_line_beats_file_beats_default(write) -> None:
    config = write("part: {rate: 0.25, path: from-file}\ncount: 5\nnames: [p, q]\nswitch: true")
    assert parse("--part-path", "p") == Settings(Part(path=Path("p")))
    got = parse("--config", config)
    wanted = Settings(Part(0.25, None, Path("from-file")), 5, ("p", "q"), True, Path(config))
    assert got == wanted
    args = [
        "--part-rate",
        "0.75",
        "--count",
        "7",
        "--names",
        "r",
        "--no-switch",
        "--part-kind",
        "b",
    ]
    got = parse(f"--config={config}", *args)
    assert got == Settings(Part(0.75, "b", Path("from-file")), 7, ("r",), False, Path(config))


def test_required_setting_may_come_from_either_and_is_missed(write, capsys) -> None:
    assert parse("--config", write("part: {path: here}")).part.path == Path("here")
    with pytest.raises(SystemExit) as exit_info:
        parse("--config", write("count: 4"))
    assert exit_info.value.code == 2
    assert "--part-path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("1E-1", 0.1), ("1", 1.0), (".5", 0.5)]
)
def test_numbers_as_everyone_writes_them(write, text: str, value: float) -> None:
    assert parse("--config", write(f"part: {{rate: {text}, path: p}}")).part.rate == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont: 4", "unknown key 'cuont'; perhaps you meant 'count'"),
        ("part: {raet: 0.5}", r"unknown key 'part.raet'; perhaps you meant 'part.rate'"),
        ("zzz: 1", "unknown key 'zzz'.*Known here: part, count, names"),
        ("count: true", "key 'count'.*integer.*got True"),
        ("count: 4.5", "key 'count'.*integer.*got 4.5"),
        ("count: '4'", "key 'count'.*integer.*got '4'"),
        ("switch: 1", "key 'switch'.*boolean.*got 1"),
        ("part: {rate: fast}", "key 'part.rate'.*number.*got 'fast'"),
        ("part: {rate: 7}", r"key 'part'.*rate must lie in \[0, 1\], got 7"),
        ("part: {kind: c}", "key 'part.kind'.*'a' or 'b'.*got 'c'"),
        ("names: x", "key 'names'.*got 'x'"),
        ("part: 3", "key 'part' must map names to values, got 3"),
        ("- 1", "the file must map names to values"),
        ("a: [", "is not YAML"),
        ("count: 4\ncount: 5", "key 'count' is given twice"),
        ("part: {rate: 0.1, rate: 0.2}", "key 'rate' is given twice"),
        ("count: 2020-01-01", "key 'count'.*integer.*got '2020-01-01'"),
        ("names: [!!binary aGVsbG8=]", "bytes"),
    ],
)
def test_wrong_files_are_refused_by_key(write, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse("--config", write(text))


def test_names_that_look_like_dates_are_names(write) -> None:
    assert parse("--config", write("part: {path: 2020-01-01}")).part.path == Path("2020-01-01")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml can't be read"):
        parse("--config", str(tmp_path / "nothing.yaml"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--count", "1.5"], "--count"),
        (["--part-rate", "7"], "rate must lie in"),
        (["--part-kind", "c"], "--part-kind"),
    ],
)
def test_wrong_values_of_flags_exit_and_name_the_flag(
    args: list[str], message: str, capsys
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse("--part-path", "p", *args)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--part-raet", "0.5"], "unknown flag '--part-raet'; perhaps you meant --part-rate"),
        (["--raet=0.5"], "unknown flag '--raet'; perhaps you meant --part-rate"),
        (["--no-swich"], "unknown flag '--no-swich'; perhaps you meant --switch"),
        (["--cuont", "1", "--config", "missing.yaml"], "perhaps you meant --count"),
        (["--config", "a.yaml", "--config=b.yaml"], "--config takes one file, got 2"),
    ],
)
def test_unknown_flags_are_named_before_what_is_missing(args: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(*args)


@pytest.mark.parametrize("text", ["part-rate: 0.25", "part_rate: 0.25", "part: {rate: 0.25}"])
def test_a_file_may_name_settings_like_their_flags(write, text: str) -> None:
    settings = parse("--config", write(f"{text}\npart-path: p\ncount: 5"))
    assert (settings.part, settings.count) == (Part(0.25, None, Path("p")), 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part: {rate: 0.1}\npart-rate: 0.1", "'part.rate' and 'part-rate' are the same setting"),
        ("part_rate: 0.1\npart: {rate: 0.1}", "'part.rate' and 'part_rate' are the same setting"),
        ("part_rate: 0.1\npart-rate: 0.1", "'part_rate' and 'part-rate' are the same setting"),
        ("part: 3\npart-rate: 0.1", "key 'part' must map names to values, got 3"),
        ("part-raet: 0.1", "unknown key 'part-raet'; perhaps you meant 'part-rate'"),
        ("part: {cuont: 1}", "unknown key 'part.cuont'; perhaps you meant 'count'"),
        ("part-rate: fast", "key 'part.rate'.*number.*got 'fast'"),
        ("part-path: ''", "key 'part.path' is an empty string"),
        ("config: other.yaml", "key 'config': a file can't name another file"),
    ],
)
def test_wrong_names_like_flags_are_refused(write, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse("--config", write(text))


def test_the_home_folder_of_a_file_is_the_user_s(write, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = parse("--config", write("part: {path: ~/p}\nnames: [~/q, r~/s]"))
    assert (settings.part.path, settings.names) == (Path("/home/me/p"), ("/home/me/q", "r~/s"))


@settings_group("lens")
class Lens:
    """A group whose help stands below its fields."""

    length: Annotated[int, Field(ge=1)] = 50
    """Focal length, which
    is told in millimetres."""


@settings_group()
class Camera:
    """All."""

    lens: Lens = field(default_factory=Lens)


def test_help_below_a_field_is_one_line_and_its_bounds_hold(write, capsys) -> None:
    with pytest.raises(SystemExit):
        parse_settings(Camera, "", ["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Focal length, which is told in millimetres." in shown
    with pytest.raises(SystemExit):
        parse_settings(Camera, "", ["--lens-length", "0"])
    assert "greater than or equal to 1, got 0" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SettingsError, match=r"key 'lens.length'.*equal to 1, got 0"):
        parse_settings(Camera, "", ["--config", write("lens: {length: 0}")])
    with pytest.raises(ValueError, match="key 'length'.*equal to 1, got 0"):
        Lens(0)


def test_empty_file_changes_nothing(write) -> None:
    assert parse("--config", write("# nothing"), "--part-path", "p").count == 3


def test_settings_survive_the_way_through_yaml(write) -> None:
    before = parse("--part-path", "grün.png", "--part-rate", "1e-5", "--names", "a", "b")
    text = to_yaml(before)
    assert "config" not in text
    after = parse("--config", write(text))
    assert to_plain(after) | {"config": None} == to_plain(before)


@settings_group()
class Nested:
    """Groups in dicts, tuples and options."""

    parts: tyro.conf.Suppress[dict[str, tuple[Part, ...]]] = field(default_factory=dict)
    other: Part | None = None
    config: Path | None = None


def test_groups_in_dicts_and_tuples_are_read_and_written_back(write) -> None:
    config = write("parts: {a: [{rate: 0.25, path: p}, {path: q}], b: []}")
    settings = parse_settings(Nested, "", ["--config", config])
    assert settings.parts == {"a": (Part(0.25, path=Path("p")), Part(path=Path("q"))), "b": ()}
    again = parse_settings(Nested, "", ["--config", write(to_yaml(settings))])
    assert again.parts == settings.parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parts: {a: [{path: p}, {raet: 1}]}", r"unknown key 'parts\.a\.1\.raet'; .*a\.1\.rate'"),
        ("parts: {a: [3]}", r"key 'parts\.a\.0' must map names to values, got 3"),
        ("parts: {a: {path: p}}", r"key 'parts\.a'"),
        ("parts: [1]", "key 'parts'"),
        ("parts: {a: [{path: p, rate: 7}]}", r"key 'parts\.a\.0'.*rate must lie in"),
        ("other: {pth: p}", r"unknown key 'other\.pth'; perhaps you meant 'other\.path'"),
    ],
)
def test_groups_in_dicts_and_tuples_are_as_strict(write, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(Nested, "", ["--config", write(text)])


def test_a_section_may_be_named_like_its_flags(write) -> None:
    part = read_section(Path(write("part-rate: 0.25\nanything: 1")), "part", Part)
    assert part.rate == 0.25


def test_one_section_is_read_strictly_and_the_others_are_left_alone(write) -> None:
    path = Path(write("part: {rate: 0.25}\nanything: {goes: here}"))
    part = read_section(path, "part", Part)
    assert (part.rate, part.path is REQUIRED) == (0.25, True)
    with pytest.raises(SettingsError, match="has no section 'prat'"):
        read_section(path, "prat", Part)
    with pytest.raises(SettingsError, match=r"unknown key 'part\.raet'"):
        read_section(Path(write("part: {raet: 0.25}")), "part", Part)


def test_a_value_before_all_flags_is_named_with_an_example() -> None:
    description = "Does it.\n\nExample: program --lens-length 5"
    message = "'photos' needs a flag before it. Example: program --lens-length 5"
    with pytest.raises(SettingsError, match=message):
        parse_settings(Camera, description, ["photos", "plate.jpg"])

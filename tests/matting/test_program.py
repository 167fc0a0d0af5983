"""The program `matting`: one name for all scripts."""

import os
import subprocess
import sys

import pytest

import matting
from matting.__main__ import PROGRAMS, main
from runtime.version import VERSION

from ..conftest import REPOSITORY, Run


@pytest.fixture
def run_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def run(*args: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["matting", *args])
        try:
            code = main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Run(code, *capsys.readouterr())

    return run


def test_the_list_of_programs_does_not_wait_for_pytorch() -> None:
    program = "import sys, matting.__main__; print('torch' in sys.modules, matting.__main__.main())"
    command = [sys.executable, "-c", program]
    done = subprocess.run([*command, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False 0", done.stderr


def test_every_name_of_the_library_is_there() -> None:
    assert all(getattr(matting, name) for name in matting.__all__)
    assert not hasattr(matting, "load")


def test_lists_its_programs(run_program) -> None:
    out = run_program("--help").check(0).out
    assert all(f"  {name} " in out for name in PROGRAMS)
    assert run_program() == Run(2, out, "")


def test_says_its_version(run_program) -> None:
    assert run_program("--version").check(0).out.strip() == VERSION


def test_ends_well_when_nobody_reads() -> None:
    for flags in ([], ["--help"], ["--version"], ["imagse"]):
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "matting", *flags]
        done = subprocess.run(
            command, cwd=REPOSITORY, stdout=writing, stderr=subprocess.PIPE, text=True
        )
        os.close(writing)
        assert done.returncode == (0 if flags and flags[0].startswith("--") else 2)
        assert "Traceback" not in done.stderr


def test_names_the_program_that_was_meant(run_program) -> None:
    run_program("image", "--help").check(2, "unknown program 'image'; perhaps you meant images")


@pytest.mark.parametrize("name", [n for n, (place, _) in PROGRAMS.items() if place[0] != "."])
def test_runs_a_script_with_its_flags(run_program, name: str) -> None:
    script = PROGRAMS[name][0]
    assert f"Example: python {script}.py" in (REPOSITORY / f"{script}.py").read_text("utf-8")
    run_program(name, "--deivce", "cpu").check(2, "unknown flag '--deivce'; perhaps you meant --")
    out = run_program(name, "--help").check(0).out
    assert out.startswith(f"usage: matting {name} ")
    assert f"Example: matting {name} --" in out
    assert f"{script}.py --" not in out

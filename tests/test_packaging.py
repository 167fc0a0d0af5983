"""The wheel: one name, the same from anywhere, the checkout's bits in an empty environment."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement

from runtime.version import VERSION

from .conftest import ENVIRONMENT, REPOSITORY

DEMO = REPOSITORY / "demo"
# Nothing is downloaded: a connection to anything but this machine is an error.
OFFLINE = """
import socket
connect = socket.socket.connect
def refuse(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"the network was asked for {address}")
    return connect(self, address)
socket.socket.connect = refuse
"""


def build(kind: str, source: Path, folder: Path) -> Path:
    """Builds the sdist or wheel of a source tree, with what is installed here."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder]
    subprocess.run([*command, source], check=True, capture_output=True)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", REPOSITORY, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the source archive, as people get it."""
    folder = tmp_path_factory.mktemp("source")
    subprocess.run(["tar", "-xf", sdist, "-C", folder], check=True)
    return build("wheel", next(folder.iterdir()), tmp_path_factory.mktemp("wheel"))


def test_a_wheel_is_the_same_from_the_checkout_and_from_the_source_archive(
    wheel: Path, tmp_path: Path
) -> None:
    assert build("wheel", REPOSITORY, tmp_path).read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_nothing_is_packed_that_git_does_not_track(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    subprocess.run(["tar", "-xf", sdist, "-C", tmp_path], check=True)
    source = next(tmp_path.iterdir())
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=source, check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("private")
    (source / "weights" / "private_link").symlink_to(elsewhere)
    for name in (
        ".env.private",
        "demo/src/private.jpg",
        "weights/private.safetensors",
        "model/private.py",
        "private.py",
        "private [a]*! é/b ?.jpg",
    ):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("not (Python")
    built = build("wheel", source, tmp_path / "wheel")
    assert built.read_bytes() == wheel.read_bytes()
    with tarfile.open(build("sdist", source, tmp_path / "sdist")) as archive:
        names = archive.getnames()
    assert names
    assert [name for name in names if "private" in name] == []


def test_a_wheel_brings_one_name_and_no_import_of_others(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in files} == {
        "matting",
        f"background_matting-{VERSION}.dist-info",
    }
    assert "matting/weights/mattingrefine_mobilenetv2.safetensors" in files
    assert not [name for name in files if "__pycache__" in name or "/output/" in name]


class Environment:
    """A virtual environment with the wheel and what it requires, and no sight of the checkout."""

    def __init__(self, folder: Path, wheel: Path, extras: Iterable[str] = ()) -> None:
        venv.create(folder, symlinks=os.name != "nt")
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.variables = ENVIRONMENT | {"PYTHONPATH": str(folder / "offline")}
        (folder / "offline").mkdir()
        (folder / "offline" / "sitecustomize.py").write_text(OFFLINE)
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python", "install", "-q"]
        subprocess.run([*pip, "--no-index", "--no-deps", wheel], check=True)
        find = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(self.run("python", "-c", find, cwd=folder).strip())
        link_requirements("background-matting", set(extras), self.site)

    def run(self, program: str, *args: object, cwd: Path) -> str:
        """Runs a program of the environment, and returns what it printed."""
        command = [self.bin / program, *map(str, args)]
        done = subprocess.run(command, cwd=cwd, env=self.variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def link_requirements(name: str, extras: set[str], site: Path) -> None:
    """Links what a package requires, and what that requires, from where the tests run."""
    waiting, done = [(str(site), name, extras)], set()
    while waiting:
        place, name, extras = waiting.pop()
        found = next(importlib.metadata.distributions(name=name, path=[place]))
        if place != str(site):
            for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
                link = site / top
                if not link.exists() and top != "__pycache__":
                    link.symlink_to(Path(str(found.locate_file(top))))
        for line in found.requires or ():
            wanted = Requirement(line)
            markers = [{"extra": extra} for extra in extras or {""}]
            if wanted.marker and not any(wanted.marker.evaluate(marker) for marker in markers):
                continue
            key = (wanted.name.lower(), frozenset(wanted.extras))
            if key not in done:
                done.add(key)
                paths = next(p for p in sys.path if p.endswith("site-packages"))
                waiting.append((paths, wanted.name, set(wanted.extras)))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("installed"), wheel)


@pytest.mark.slow
def test_an_installed_program_gives_the_bits_of_the_checkouts_script(
    installed: Environment, tmp_path: Path
) -> None:
    flags = ["--images-src", DEMO / "src", "--images-bgr", DEMO / "bgr"]
    flags += ["--output-types", "com", "pha", "--quality", "auto", "--output-dir"]
    installed.run("matting", "images", *flags, tmp_path / "installed", cwd=tmp_path)
    script = [sys.executable, REPOSITORY / "inference_images.py", *flags, tmp_path / "script"]
    subprocess.run(script, check=True, capture_output=True, env=ENVIRONMENT)
    ours, theirs = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.png")}
        for name in ("installed", "script")
    )
    assert len(ours) == 8
    assert ours == theirs


@pytest.mark.slow
def test_an_installed_library_works_beside_other_peoples_packages(
    installed: Environment, tmp_path: Path
) -> None:
    for name in ("model", "media", "dataset", "runtime"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('another package of this name')")
    lines = f"""
from matting import Matting
matte = Matting.load(quality="auto")(r"{DEMO / "src" / "lawn.jpg"}", r"{DEMO / "bgr" / "lawn.jpg"}")
print(matte.alpha.shape, matte.composite("green").shape)
"""
    assert installed.run("python", "-c", lines, cwd=tmp_path) == "(480, 640) (480, 640, 3)\n"


@pytest.mark.slow
def test_the_hub_needs_only_what_is_required(installed: Environment, tmp_path: Path) -> None:
    lines = f"""
import torch
load = lambda name: torch.hub.load({str(REPOSITORY)!r}, name, source="local")
src, bgr = torch.rand(2, 1, 3, 64, 64)
print(load("matting_mobilenetv2")(src, bgr).pha.shape, load("predictor")(FRAME, PLATE).alpha.shape)
""".replace("FRAME", repr(str(DEMO / "src/lawn.jpg"))).replace(
        "PLATE", repr(str(DEMO / "bgr/lawn.jpg"))
    )
    out = installed.run("python", "-c", lines, cwd=tmp_path)
    assert out == "torch.Size([1, 1, 64, 64]) (480, 640)\n"


@pytest.mark.slow
def test_an_installed_page_opens(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "with_app", wheel, ["app"])
    command = [environment.bin / "matting", "app", "--device", "cpu"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment.variables, stdout=subprocess.PIPE, text=True
    ) as page:
        try:
            assert page.stdout
            said = page.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert address, said
            content = urlopen(address[0], timeout=60).read().decode()
        finally:
            page.terminate()
    assert "Background matting" in content


@pytest.mark.slow
def test_every_installed_module_can_be_imported(installed: Environment, tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(installed.site).with_suffix("").parts)
        for path in (installed.site / "matting").rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    # Programs that measure other people's methods, and what an extra brings.
    left_out = ("matting.benchmarks.", "matting.app.")
    program = [n for n in names if not n.startswith(left_out) or ".speed." in n]
    assert len(program) > 100
    lines = f"import importlib\nfor name in {program}: importlib.import_module(name)"
    installed.run("python", "-c", lines, cwd=tmp_path)
    assert "usage: matting train-base" in installed.run(
        "matting", "train-base", "--help", cwd=tmp_path
    )


@pytest.mark.slow
def test_an_installed_program_trains(installed: Environment, tmp_path: Path) -> None:
    smoke = installed.site / "matting" / "configs" / "smoke.yaml"
    out = installed.run("matting", "train-base", "--config", smoke, "--epoch-end", 1, cwd=tmp_path)
    assert (tmp_path / "checkpoint").is_dir(), out
    check = ["-m", "matting.dataset.check", smoke, "--quick", 2]
    assert "Training would run" in installed.run("python", *check, cwd=tmp_path)

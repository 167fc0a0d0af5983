"""Thousands of damaged weights and settings: each is read, or refused as a user's mistake."""

import io
import json
import os
import pickle
import random
import resource
import signal
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as save_safetensors

from inference_images import Settings
from model.weights import load_network
from runtime.plain_yaml import read_yaml
from runtime.settings import _structure
from training.checkpoint import load_checkpoint
from training.settings import BaseSettings, RefineSettings

from .weights import content, training

COUNT, SEED = 2_000, 0
# Seconds for a file, and GiB for all of them in one process.
MAX_TIME, MAX_MEMORY = 30, 3
ROOT = Path(__file__).resolve().parents[2]
# What YAML and pickles give a meaning to.
TOKENS = [
    *(b"*a", b"&a ", b"!!", b"!!python/name:os.system ", b"<<: ", b"[", b"{", b"]", b"}", b"- "),
    *(b"---\n", b"\t", b"\x00", b"\xff", b": ", b"? ", b"| ", b"> ", b"'", b'"', b"1e400", b".nan"),
    *(b"9" * 40, b"~", b"%YAML 9\n", b"\\ud800", b"\n", b"[" * 3000, b"2024-99-99", b"0o7", b"="),
]
OPCODES = [
    bytes([code]) for code in b"(.0123456789FGIJKLMNQRSTUVX]abcdeghijlopqrstu}\x80\x81\x82\x85"
]


def mutate(chance: random.Random, data: bytes, tokens: list[bytes]) -> bytes:
    """Cuts, flips, swaps, repeats or inserts, one to four times."""
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        first, second = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        part = data[first : min(second, first + 200)]
        after = data[first + len(part) :]
        flipped = bytes(byte ^ 1 << chance.randrange(8) for byte in part[:3])
        data = chance.choice(
            [
                data[:first],
                data[:first] + flipped + data[first + len(flipped) :],
                data[:first] + bytes([chance.randrange(256)]) + data[first + 1 :],
                data[:first] + after,
                data[:first] + after[: len(part)] + part + after[len(part) :],
                data[:first] + part + part + after,
                data[:first] + bytes(len(part)) + after,
                data[:first] + chance.choice(tokens) + data[first:],
            ]
        )
    return data


def mutate_inside(chance: random.Random, data: bytes) -> bytes:
    """Mutates a part of an archive, whose checksums are then right."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w") as new:
        names = old.namelist()
        chosen = chance.choice([*names, *([n for n in names if n.endswith(".pkl")] * len(names))])
        for name in names:
            part = old.read(name)
            new.writestr(name, mutate(chance, part, OPCODES) if name == chosen else part)
    return written.getvalue()


def weights(folder: Path) -> Iterable[bytes]:
    """Mutated weights of each kind."""
    chance = random.Random(SEED)
    small = {"a": torch.arange(64.0), "b": torch.ones(2, 3).half(), "c": torch.tensor(3)}
    training(network=small)(folder / "training")
    archives = [content(), (folder / "training").read_bytes()]
    others = [content(True), save_safetensors(small), pickle.dumps({"a": [1, "x"]}, 2)]
    for number in range(COUNT):
        if number % 2:
            yield mutate_inside(chance, chance.choice(archives))
        else:
            yield mutate(chance, chance.choice(archives + others), OPCODES)


def settings(folder: Path) -> Iterable[bytes]:
    """Mutated settings files of this repository."""
    chance = random.Random(SEED)
    paths = sorted((ROOT / "configs").glob("*.yaml"))
    for _ in range(COUNT):
        yield mutate(chance, chance.choice(paths).read_bytes(), TOKENS)


def read_settings(kind: type) -> Callable[[Path], object]:
    """Reads settings as a script does before its command line."""
    return lambda path: _structure(kind, read_yaml(path), path)


def try_all(contents: Iterable[bytes], reads: list[Callable[[Path], object]], path: Path) -> dict:
    """Counts what was refused, and tells of what ended in something else."""
    failures, refused, count = [], 0, 0
    for count, data in enumerate(contents, 1):
        path.write_bytes(data)
        for read in reads:
            signal.alarm(MAX_TIME)
            try:
                read(path)
            except (ValueError, OSError) as error:
                refused += 1
                if "\n" in str(error):
                    failures.append(f"{count}: several lines: {error}")
            except BaseException as error:
                failures.append(f"{count}: {type(error).__name__}: {error}")
            finally:
                signal.alarm(0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"failures": failures, "refused": refused, "count": count, "memory": memory}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="memory is counted in a process of its own")
@pytest.mark.parametrize(
    ("make", "reads", "suffix"),
    [
        (weights, [load_network, load_checkpoint], ".pth"),
        (settings, [*map(read_settings, (Settings, BaseSettings, RefineSettings))], ".yaml"),
    ],
    ids=["weights", "settings"],
)
def test_thousands_of_damaged_files_end_in_one_sentence(
    make: Callable, reads: list[Callable], suffix: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.default_int_handler)  # too long: KeyboardInterrupt
        found = try_all(make(tmp_path), reads, tmp_path / f"file{suffix}")
        report.write_text(json.dumps(found))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = json.loads(report.read_text())
    assert found["failures"] == []
    assert found["count"] == COUNT
    assert found["refused"] > COUNT / 2, "too little damage"
    assert found["memory"] < MAX_MEMORY

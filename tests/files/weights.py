"""Weights files: state dicts, training checkpoints and damage. A new kind of damage is one row."""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save as save_safetensors
from torch import Tensor

from model.weights import read_state_dict
from training.checkpoint import Checkpoint

from .rows import Row

State = dict[str, Tensor]

SHIPPED = Path(__file__).resolve().parents[2] / "weights/mattingrefine_mobilenetv2.safetensors"
FIRST, LAST = "backbone.features.0.0.weight", "decoder.conv1.weight"
COUNTER, VARIANCE = "decoder.bn1.num_batches_tracked", "decoder.bn1.running_var"


@cache
def shipped() -> State:
    """The shipped weights in float32."""
    state = read_state_dict(SHIPPED)
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def pth(legacy: bool = False, keep: bool = True, **changes: Callable[[Tensor], Any]) -> Callable:
    """Writes the shipped weights as PyTorch does, with some of `NAMES` changed."""

    def write(path: Path) -> None:
        state: dict[str, Any] = dict(shipped()) if keep else {LAST: shipped()[LAST]}
        for name, change in changes.items():
            state[NAMES[name]] = change(state[NAMES[name]])
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)

    return write


NAMES = {"first": FIRST, "last": LAST, "counter": COUNTER, "variance": VARIANCE}


def content(legacy: bool = False) -> bytes:
    """A small state dict as PyTorch writes it."""
    written = io.BytesIO()
    small = OrderedDict(a=torch.arange(64.0), b=torch.ones(2, 3))
    torch.save(small, written, _use_new_zipfile_serialization=not legacy)
    return written.getvalue()


def raw(make: Callable[[], bytes]) -> Callable[[Path], object]:
    """Writes bytes."""
    return lambda path: path.write_bytes(make())


def rezip(change: Callable[[str, bytes], bytes], twice: str = "") -> bytes:
    """A PyTorch archive with changed parts, whose checksums are right."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content())) as old, zipfile.ZipFile(written, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
            if twice and entry.filename.endswith(twice):
                new.writestr(entry.filename, b"other")
    return written.getvalue()


def flipped() -> bytes:
    """A PyTorch archive with one bit of a tensor flipped."""
    data = bytearray(content())
    place = data.index(torch.arange(64.0).numpy().tobytes()) + 40
    data[place] ^= 1
    return bytes(data)


def enlarged(name: str, data: bytes) -> bytes:
    """Says of a tensor of 64 values that it has 2**28."""
    if not name.endswith("data.pkl"):
        return data
    assert data.count(b"K@") == 2
    return data.replace(b"K@", b"J\x00\x00\x00\x10")


def many_parts() -> bytes:
    """An archive of which only the list of its 100,000 parts is there."""
    part = b"PK\1\2" + struct.pack("<6H3L5H2L", 20, 20, *([0] * 7), 1, *([0] * 6)) + b"a"
    count, size = 0xFFFF, 100_000 * len(part)
    return (
        b"PK\3\4"
        + part * 100_000
        + b"PK\5\6"
        + struct.pack("<4H2LH", 0, 0, count, count, size, 4, 0)
    )


class Trap:
    """Opens as a call of `bytearray`, which takes memory; `os.system` would be worse."""

    def __reduce__(self) -> tuple:
        return bytearray, (1 << 40,)


def safetensors(header: dict[str, Any] | bytes, data: bytes = b"", length: int = -1) -> bytes:
    """A safetensors file of a header as it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length < 0 else length) + text + data


def training(**changes: Any) -> Callable[[Path], object]:
    """Writes a checkpoint of training with the shipped weights and some fields changed."""
    fields: dict[str, Any] = {
        "format": 1,
        **asdict(
            Checkpoint(
                network=dict(shipped()),
                optimiser={"state": {}, "param_groups": []},
                scaler={},
                name="run",
                epoch=1,
                batch=2,
                step=3,
                best=None,
                random=[{"cpu": torch.get_rng_state()}],
                settings="run: {batch_size: 2}\n",
                revision="unknown",
            )
        ),
    }
    return lambda path: torch.save(fields | changes, path)


def png(path: Path) -> None:
    """A picture under the name of weights."""
    Image.new("RGB", (64, 64)).save(path, format="png")


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = "damaged or not a weights file"
REFUSED = {"code": 2}

ROWS = [
    Row("zip.pth", pth()),
    Row("legacy.pth", pth(legacy=True)),
    Row("half.pth", pth(first=Tensor.half)),
    Row("double.pth", pth(first=Tensor.double)),
    Row("parameter.pth", pth(first=torch.nn.Parameter)),
    Row("named.bin", raw(SHIPPED.read_bytes), why="told apart by content"),
    Row("of_training.pth", training()),
    # Values.
    Row("nan.pth", pth(last=lambda x: x * torch.nan), says=f"not finite in {LAST}", **REFUSED),
    Row("inf.pth", pth(last=lambda x: x / 0), says=f"not finite in {LAST}", **REFUSED),
    Row("large.pth", pth(last=lambda x: x.double() * 1e300), says="not finite in", **REFUSED),
    Row("overflow.pth", pth(last=lambda x: x * 1e38), says=f"NaN.*layer {LAST[:13]}", **REFUSED),
    Row("negative.pth", pth(variance=Tensor.neg), says="negative variances in", **REFUSED),
    Row("integer.pth", pth(last=Tensor.long), says="integers instead", **REFUSED),
    # Kinds of tensors.
    Row(
        "float8.pth",
        pth(last=lambda x: x.to(torch.float8_e4m3fn)),
        says="holds a kind of tensor",
        **REFUSED,
    ),
    Row("sparse.pth", pth(last=Tensor.to_sparse), says="rebuild_sparse_tensor", **REFUSED),
    Row(
        "quantised.pth",
        pth(last=lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)),
        says="rebuild_qtensor",
        **REFUSED,
    ),
    Row("complex.pth", pth(last=lambda x: x + 0j), says="ComplexFloatStorage", **REFUSED),
    Row("meta.pth", pth(last=lambda x: x.to("meta")), says="rebuild_meta_tensor", **REFUSED),
    Row("scalar.pth", pth(last=Tensor.sum), says=r"conv1.weight \(\) instead of", **REFUSED),
    Row("bool.pth", pth(last=Tensor.bool), says="is bool, not a plain", **REFUSED),
    Row(
        "expanded.pth", pth(last=lambda x: x[:1, :1].clone().expand_as(x)), says="fewer", **REFUSED
    ),
    Row("list.pth", pth(variance=Tensor.tolist), says="a list; save", **REFUSED),
    Row("alone.pth", pth(keep=False), says="no MattingBase or MattingRefine", **REFUSED),
    Row(
        "float8.safetensors",
        raw(lambda: save_safetensors({"a": torch.ones(2).to(torch.float8_e4m3fn)})),
        says="a is float8_e4m3fn, not a plain tensor",
        **REFUSED,
    ),
    # No checkpoints at all.
    *(
        Row(
            f"{type(what).__name__}.pth",
            lambda path, what=what: torch.save(what, path),
            says=f"not a state dict .*, found a {type(what).__name__}",
            **REFUSED,
        )
        for what in (torch.ones(3), None, 3, (1, 2))
    ),
    Row("empty.pth", raw(bytes), says="it is empty", **REFUSED),
    Row("text.pth", raw(lambda: b"# Read me\n" * 9), says="not a checkpoint.*# Read me", **REFUSED),
    Row("picture.pth", png, says="not a checkpoint", **REFUSED),
    Row("folder.pth", Path.mkdir, says="is a folder", **REFUSED),
    Row("missing.pth", lambda path: None, says="does not exist", **REFUSED),
    Row("code.pth", raw(lambda: pickle.dumps(Trap(), 2)), says="could run code", **REFUSED),
    Row(
        "code_in_zip.pth",
        raw(lambda: rezip(lambda n, d: pickle.dumps(Trap(), 2) if n.endswith(".pkl") else d)),
        says="could run code.*bytearray",
        **REFUSED,
    ),
    # Damage.
    Row("cut_zip.pth", raw(lambda: content()[:-30]), says=DAMAGED, **REFUSED),
    Row("cut_legacy.pth", raw(lambda: content(True)[:-30]), says=DAMAGED, **REFUSED),
    Row("cut_pickle.pth", raw(lambda: content(True)[:90]), says=DAMAGED, **REFUSED),
    Row("flipped.pth", raw(flipped), says="the checksum of its part .*data/0 is wrong", **REFUSED),
    Row("enlarged.pth", raw(lambda: rezip(enlarged)), says=DAMAGED, **REFUSED),
    Row("twice.pth", raw(lambda: rezip(lambda n, d: d, "data/0")), says="the same name", **REFUSED),
    Row("parts.pth", raw(many_parts), says="list of contents is larger than 4 MiB", **REFUSED),
    Row(
        "names.safetensors",
        raw(lambda: safetensors({f"name {n}": F32 for n in range(80_000)})),
        says="list of contents is larger than 4 MiB",
        **REFUSED,
    ),
    Row(
        "length.safetensors",
        raw(lambda: safetensors({"a": F32}, bytes(8), 1 << 60)),
        says=DAMAGED,
        **REFUSED,
    ),
    Row(
        "overlap.safetensors",
        raw(lambda: safetensors({"a": F32, "b": F32}, bytes(8))),
        says=DAMAGED,
        **REFUSED,
    ),
    Row("json.safetensors", raw(lambda: safetensors(b"{" * 9999)), says=DAMAGED, **REFUSED),
    Row(
        "nan.safetensors",
        raw(lambda: save_safetensors(shipped() | {LAST: shipped()[LAST] * torch.nan})),
        says="not finite",
        **REFUSED,
    ),
    # Fields of training, of which inference takes the network only.
    Row("training_network.pth", training(network={"a": 3}), says="found a: a int", **REFUSED),
]

# What a training that goes on says of checkpoints with a wrong field.
TRAINING_ROWS = [
    Row("training.pth", training()),
    Row("epoch.pth", training(epoch="a"), says="epoch must be an integer of 0 or more, got 'a'"),
    Row("step.pth", training(step=10**30), says="step must be an integer"),
    Row("batch.pth", training(batch=True), says="batch must be an integer"),
    Row("name.pth", training(name=3), says="name must be a text, got 3"),
    Row("best.pth", training(best=float("nan")), says="best must be a number or None, got nan"),
    Row("settings.pth", training(settings=[]), says="settings must be settings as YAML, got list"),
    Row("yaml.pth", training(settings="a: *b"), says="settings must be settings as YAML"),
    Row("random.pth", training(random=[{}]), says="random must be a list of generators' states"),
    Row("generator.pth", training(random=[{"cpu": "x"}]), says="random must be a list"),
    Row("optimiser.pth", training(optimiser=[]), says="optimiser must be a state of Adam"),
    Row("scaler.pth", training(scaler={"scale": "x"}), says="scaler must be numbers by name"),
    Row("format.pth", training(format="1"), says="format must be 1, got '1'"),
    Row("newer.pth", training(format=2), says="newer version"),
    Row("more.pth", training(more=1), says="is not complete.*more"),
]

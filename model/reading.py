"""Reads weights files as data: every file is untrusted, and no code in it is run."""

import io
import math
import os
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors.torch import load_file
from torch import Tensor

WEIGHTS = "model.safetensors"  # in a folder written by `save_pretrained`
# The largest published checkpoint has 0.25 GB; a larger file than this is not a matting network.
MAX_BYTES = 1 << 30
# Opcodes of a pickle that are examined; the largest checkpoint of a network here has 100,000.
_MAX_STEPS = 1_000_000
# Bytes of a list of contents (an archive's directory, its pickle, safetensors' header); the
# largest checkpoint has 1 MB.
_MAX_PART = 4 << 20
# Characters of a file's text that an error quotes.
_MAX_SHOWN = 200

_ZIP, _LEGACY = b"PK", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Pickles in files of PyTorch before 1.6: magic number, version, system, objects, storage names.
_LEGACY_PICKLES = 5
# The globals that pickles of plain tensors and their containers use.
_PLAIN = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    *(
        f"torch {kind}Storage"
        for kind in ("Half", "BFloat16", "Float", "Double", "Bool", "Byte", "Char", "Short")
    ),
    *("torch IntStorage", "torch LongStorage"),
}
_NUMBERS = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}


class CheckpointError(ValueError):
    """A weights file that can't be used; the message says why and what to do."""


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """Reads tensors by name onto the CPU, without running anything that the file contains.

    Args:
        path: a safetensors file, or a PyTorch file (`.pth`, `.pt`) that holds a state dict or a
            checkpoint of this project's training, from which the network is taken. The content
            decides which of these it is, not the name. Of a folder, its `model.safetensors`.

    Returns:
        Plain tensors by name: dense, of floats of 16 to 64 bits or of integers.

    Raises:
        CheckpointError: when the file is missing, too large, damaged, holds code or is not a
            state dict.
    """
    state = _read_file(Path(path))
    if _is_training_state(state):
        state = state["network"]
    if not isinstance(state, dict):
        raise _not_a_state_dict(path, f"a {type(state).__name__}")
    if not state:
        raise _not_a_state_dict(path, "nothing")
    return _check_tensors(state, path)


def read_training_state(path: Path | str) -> dict[str, Any] | None:
    """Reads a checkpoint of this project's training, without running anything in it.

    Returns:
        Tensors, numbers, strings, lists and dicts by name; only `network` is checked to be a state
        dict. None if the file holds weights only.

    Raises:
        CheckpointError: as `read_state_dict`.
    """
    state = _read_file(Path(path))
    if not _is_training_state(state):
        return None
    _check_tensors(state["network"], path)
    return state


def is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether a value is a dense tensor of ordinary numbers with storage for every value."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and value.device.type == "cpu"
        and value.dtype in _NUMBERS
        and value.nbytes <= value.untyped_storage().nbytes()
    )


def shown(text: object) -> str:
    """Text of a file for an error: on one line, without control characters, shortened."""
    plain = str(text).strip().split("\n")[0][: _MAX_SHOWN + 1]
    plain = plain.encode("unicode_escape").decode()
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}..."


def _is_training_state(state: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(state, dict) and isinstance(state.get("network"), dict) and "format" in state


def _check_tensors(state: dict[Any, Any], path: Path | str) -> dict[str, Tensor]:
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise _not_a_state_dict(path, f"{shown(name)}: a {type(value).__name__}")
        if not is_plain(value):
            raise CheckpointError(
                f"checkpoint {path}: {shown(name)} is {_describe(value)}, not a plain tensor of "
                "floats of 16 to 64 bits or of integers. Save the network's weights in float32 or "
                "float16"
            )
    # Tensors that share a storage are counted separately.
    _check_size(path, sum(value.nbytes for value in state.values()))
    return state


def _not_a_state_dict(path: Path | str, found: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {path} is not a state dict (names mapped to tensors), found {found}; save "
        "model.state_dict() and nothing else"
    )


def _describe(value: Tensor) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided:
        kind += f" ({str(value.layout).removeprefix('torch.')})"
    if value.device.type != "cpu":
        return f"{kind} without values"
    if value.dtype in _NUMBERS and value.layout == torch.strided:
        return f"{kind} with fewer values in the file than its shape {tuple(value.shape)} needs"
    return kind


def _read_file(path: Path) -> object:
    try:
        if path.is_dir() and not (path := path / WEIGHTS).exists():
            raise CheckpointError(f"checkpoint {path.parent} is a folder without {WEIGHTS}")
        if not path.is_file():
            raise CheckpointError(f"checkpoint {path} does not exist or is not a regular file")
        _check_size(path, path.stat().st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch, about damaged files
            return _read_content(path)
    except CheckpointError:
        raise
    except Exception as error:  # the readers can raise any exception for a damaged file
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise CheckpointError(
            f"checkpoint {path} can't be read; it is damaged or not a weights file. "
            f"({kind}{shown(error) or 'it ends too early'})"
        ) from error


def _read_content(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(max(9, len(_LEGACY)))
    if start.startswith(_ZIP):
        _check_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    if start[:1] == _LEGACY[:1]:
        # From memory, where a stated length beyond the end of the file allocates nothing.
        content = io.BytesIO(path.read_bytes())
        for _ in range(_LEGACY_PICKLES if start.startswith(_LEGACY) else 1):
            _check_pickle(path, content)
        content.seek(0)
        return torch.load(content, map_location="cpu", weights_only=True)
    if start[8:9] == b"{" or (path.suffix == ".safetensors" and start):
        _check_part(int.from_bytes(start[:8], "little"))
        return load_file(path)
    found = f"begins with {start[:9]!r}" if start else "is empty"
    raise ValueError(f"not a checkpoint of PyTorch or safetensors: it {found}")


class _Parts(io.FileIO):
    """An archive read in limited pieces, so that a directory of a million parts is refused."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads bytes; raises ValueError for too many at once."""
        if size is None or size < 0:  # to the end
            size = os.fstat(self.fileno()).st_size - self.tell()
        _check_part(size)
        return super().read(max(0, size))


def _check_zip(path: Path) -> None:
    """Refuses archives that are damaged, unpack to too much, or hold more than tensors."""
    with _Parts(path) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        # A compressed entry could unpack to far more than the file's size.
        _check_size(path, sum(entry.file_size for entry in entries))
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names):
            raise ValueError("two of its parts have the same name")
        # PyTorch does not check the checksums.
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the checksum of its part {damaged} is wrong")
        if any(name.endswith("/constants.pkl") for name in names):
            raise CheckpointError(
                f"checkpoint {path} is a TorchScript program, which can't be read as weights; use "
                "the PyTorch checkpoint of the same release (a state dict)"
            )
        for name in names:
            if name.endswith("/data.pkl"):
                _check_pickle(path, io.BytesIO(archive.read(name)))


def _check_pickle(path: Path, content: io.BytesIO) -> None:
    """Checks one pickle without building any object, and refuses all but plain tensors."""
    for steps, (code, argument, _) in enumerate(pickletools.genops(content)):
        if steps > _MAX_STEPS:
            raise ValueError(f"its pickle has more than {_MAX_STEPS} opcodes")
        if code.name not in ("GLOBAL", "INST", "STACK_GLOBAL") or argument in _PLAIN:
            continue
        name = shown(str(argument or "a name of another pickle protocol").replace(" ", "."))
        if name.startswith("torch"):
            raise CheckpointError(
                f"checkpoint {path} is refused: it holds a kind of tensor that no network here "
                f"has, or it is damaged. Save the weights as plain float32 tensors. (found {name})"
            )
        raise CheckpointError(
            f"checkpoint {path} is refused: it holds Python objects other than tensors, which "
            "could run code when opened. Save only the state dict (torch.save(model.state_dict(),"
            f" ...)) or convert it to safetensors. (found {name})"
        )


def _check_part(size: int) -> None:
    if size > _MAX_PART:
        raise ValueError(f"its list of contents is larger than {_MAX_PART >> 20} MiB")


def _check_size(path: Path | str, size: int) -> None:
    if size > MAX_BYTES:
        raise CheckpointError(
            f"checkpoint {path} has {math.ceil(size / 2**20)} MiB; the limit is "
            f"{MAX_BYTES >> 20} MiB"
        )

"""From a file's name to its reader, and from a folder to the states in it; what no reader knows counts by its bytes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from simulator.checkpoints.folder import is_never_uploaded
from simulator.states.content import Budget, NotReadable, OverBudget, State, Tensor, state_of, tensor_from
from simulator.states.hdf5 import read_hdf5
from simulator.states.json_files import read_json
from simulator.states.keras_zip import read_keras
from simulator.states.numpy_files import read_npy, read_npz
from simulator.states.safetensors import read_safetensors
from simulator.states.tensorflow_bundle import INDEX, read_bundle
from simulator.states.torch_zip import read_torch, read_zip

__all__ = ["LIMIT_BYTES", "LIMIT_SECONDS", "Budget", "State", "read_folder", "read_state", "unit_of"]

LIMIT_BYTES = 16 << 30
LIMIT_SECONDS = 120.0
"""For all that is read of one attempt at its end; what is beyond is named as not compared."""

Reader = Callable[[Path, Budget], Iterator[Tensor]]
_READERS: dict[str, tuple[str, Reader]] = {
    ".npy": ("numpy", read_npy),
    ".npz": ("numpy", read_npz),
    ".keras": ("keras", read_keras),
    ".h5": ("hdf5", read_hdf5),
    ".hdf5": ("hdf5", read_hdf5),
    ".safetensors": ("safetensors", read_safetensors),
    ".json": ("json", read_json),
    ".pt": ("torch", read_torch),
    ".pth": ("torch", read_torch),
    ".ckpt": ("torch", read_torch),
    ".bin": ("torch", read_torch),
    INDEX: ("tensorflow", read_bundle),
}
_NO_STATE = frozenset({"saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "checkpoint"})
"""A SavedModel's program (its variables are a checkpoint beside it) and TensorFlow's list of checkpoints, which holds
names and wall-clock times: no state. They are left out where the checkpoint itself is there to be compared."""


def unit_of(path: str) -> str:
    """The file that stands for the state to which a file belongs: the .index of a TensorFlow checkpoint's shard."""
    prefix, _, shard = path.rpartition(".data-")
    return prefix + INDEX if prefix and "-of-" in shard else path


def read_folder(folder: Path, budget: Budget) -> list[State]:
    """Every state below a folder, by path; what could not be read for its size or time says so."""
    paths = sorted(_files(folder))
    bundles = {path for path in paths if path.endswith(INDEX)}
    states = []
    for path in paths:
        if unit_of(path) != path and unit_of(path) in bundles:
            continue
        if bundles and PurePosixPath(path).name in _NO_STATE:
            continue
        states.append(read_state(folder, path, budget))
    return states


def read_state(folder: Path, path: str, budget: Budget) -> State:
    """One state. Never raises: what cannot be read, or not within the budget, has `unread`."""
    file = folder / path
    try:
        size = _size(folder, path)
        kind, reader = _READERS.get(PurePosixPath(path).suffix.lower(), ("bytes", _whole))
        if reader is _whole and zipfile.is_zipfile(file):
            kind, reader = "zip", read_zip
        try:
            return state_of(path, kind, size, reader(file, budget))
        except NotReadable:
            # Torn, or another format under this name: its bytes still tell whether it is the same.
            return state_of(path, "bytes", size, _everything(folder, path, budget))
    except OverBudget as error:
        return State(path, "", -1, unread=f"it would take {error}")
    except OSError as error:
        return State(path, "", -1, unread=error.strerror or str(error))


def _whole(path: Path, budget: Budget) -> Iterator[Tensor]:
    with path.open("rb") as file:
        yield tensor_from("", (), "bytes", file, None, budget)


def _everything(folder: Path, path: str, budget: Budget) -> Iterable[Tensor]:
    for part in _parts(folder, path):
        yield next(_whole(part, budget))._replace(name=part.name.removeprefix(PurePosixPath(path).stem))


def _parts(folder: Path, path: str) -> list[Path]:
    """The file, and where it stands for a TensorFlow checkpoint its shards."""
    file = folder / path
    if not path.endswith(INDEX):
        return [file]
    prefix = file.name.removesuffix(INDEX) + ".data-"
    return [file, *sorted(part for part in file.parent.iterdir() if part.name.startswith(prefix))]


def _size(folder: Path, path: str) -> int:
    return sum(part.stat().st_size for part in _parts(folder, path))


def _files(folder: Path) -> Iterator[str]:
    """Regular files below a folder; links are not followed, for they may lead anywhere."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink() and not is_never_uploaded(name):
                yield path.relative_to(folder).as_posix()

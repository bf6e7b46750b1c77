"""PyTorch's state dicts (torch.save's zip), read without PyTorch and without running anything that they name.

data.pkl is a pickle that names classes; here each name stands for an inert record, so that loading it only tells which
tensor is which slice of which storage. What that does not understand counts by the bytes of the zip's members.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from simulator.states.content import (
    DIGEST_CHARACTERS,
    Budget,
    NotReadable,
    Tensor,
    digest_of_bytes,
    tensor_from,
)

_DEEPEST = 12
_LARGEST_PICKLE = 64 << 20
_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class _Named:
    """Stands for whatever a pickle names: calling it, or giving it state, only writes that down."""

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments, self.state, self.items = name, arguments, None, {}

    state: Any
    items: dict[Any, Any]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.name == "collections.OrderedDict":
            return _Ordered(*arguments)
        return _Named(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        self.items[len(self.items)] = value

    def extend(self, values: Any) -> None:
        for value in values:
            self.append(value)

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and (self.name, self.arguments) == (other.name, other.arguments)


class _Ordered(dict[Any, Any]):
    """An OrderedDict that may be given attributes: a module's state_dict() has its `_metadata` as one."""


class _Inert(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Named(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return _Named("storage", tuple(pid) if isinstance(pid, tuple) else (pid,))


def read_torch(path: Path, budget: Budget) -> Iterator[Tensor]:
    """Every tensor and number by its keys (`optimizer.state.0.exp_avg`). Raises NotReadable."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            if len(pickles) == 1 and pickles[0].file_size <= _LARGEST_PICKLE:
                try:
                    budget.take(pickles[0].file_size)
                    with archive.open(pickles[0]) as file:
                        content = _Inert(file).load()
                    yield from list(_Reader(archive, pickles[0].filename.rpartition("/")[0], budget).walk("", content))
                    return
                except (pickle.UnpicklingError, AttributeError, TypeError, ValueError, KeyError, IndexError, EOFError):
                    pass  # not as torch.save writes it: by its members, then
            yield from _members(archive, budget)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise NotReadable(str(error)) from error


def read_zip(path: Path, budget: Budget) -> Iterator[Tensor]:
    """Any other zip, by its members' names and bytes; the seconds at which they were written are left out."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _members(archive, budget)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise NotReadable(str(error)) from error


def _members(archive: zipfile.ZipFile, budget: Budget) -> Iterator[Tensor]:
    for member in archive.infolist():
        if member.is_dir():
            continue
        with archive.open(member) as file:
            # PyTorch calls the folder within after the file: state-90 and state-100 hold the same names but for it.
            name = member.filename.partition("/")[2] or member.filename
            yield tensor_from(name, (), "bytes", cast(BinaryIO, file), None, budget)


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, folder: str, budget: Budget) -> None:
        self._archive, self._folder, self._budget = archive, folder, budget

    def walk(self, name: str, value: Any, depth: int = 0) -> Iterator[Tensor]:
        """What a value holds, by its keys."""
        children = self._children(value)
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(value, _Named) and value.name.startswith("torch._utils._rebuild_tensor"):
            yield self._tensor(name, value)
        elif isinstance(value, _Named) and value.name.startswith("torch._utils._rebuild_parameter"):
            yield from self.walk(name, value.arguments[0], depth + 1)
        elif children is not None:
            for key, child in children:
                yield from self.walk(f"{name}.{key}" if name else str(key), child, depth + 1)
        elif isinstance(value, _Named):
            yield Tensor(name, (), value.name, digest_of_bytes(value.name.encode()))
        else:
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            yield Tensor(name, (), type(value).__name__, digest_of_bytes(repr(value).encode()), number)

    def _children(self, value: Any) -> list[tuple[Any, Any]] | None:
        if isinstance(value, Mapping):
            return list(value.items())
        if isinstance(value, set | frozenset):
            return list(enumerate(sorted(value, key=repr)))
        if isinstance(value, list | tuple):
            plain = len(value) > 16 and all(isinstance(one, int | float | str) for one in value)
            return None if plain else list(enumerate(value))  # a generator's state has hundreds: one value
        if isinstance(value, _Named) and value.name != "storage" and not value.name.startswith("torch._utils._rebuild"):
            inner = [*enumerate(value.arguments), *value.items.items()]
            inner += value.state.items() if isinstance(value.state, Mapping) else []
            return inner or None
        return None

    def _tensor(self, name: str, value: _Named) -> Tensor:
        storage, offset, shape, stride = value.arguments[:4]
        _, kind, key, _device, count = storage.arguments[:5]
        dtype = _DTYPES.get(kind.name.rpartition(".")[2], kind.name)
        with self._archive.open(f"{self._folder}/data/{key}") as file:
            whole = tensor_from(name, shape, dtype, cast(BinaryIO, file), None, self._budget)
        elements = 1
        for size in shape:
            elements *= size
        if offset == 0 and elements == count and tuple(stride) == _by_rows(shape):
            return whole
        where = hashlib.sha256(f"{whole.digest} {offset} {tuple(stride)}".encode())  # a view of a larger storage
        return Tensor(name, whole.shape, dtype, where.hexdigest()[:DIGEST_CHARACTERS])


def _by_rows(shape: Any) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(tuple(shape)):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))

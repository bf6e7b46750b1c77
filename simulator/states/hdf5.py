"""HDF5 (.h5, .hdf5, .weights.h5): every data set, and the attributes that are not a description of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.states.content import (
    CHUNK_BYTES,
    DIGEST_CHARACTERS,
    Budget,
    NotReadable,
    Tensor,
    digest_of_bytes,
)

_DESCRIPTIONS = frozenset(
    {"name", "model_config", "training_config", "keras_version", "backend", "layer_names", "weight_names", "dtype"}
)
"""Keras writes them beside the weights: names and configuration (with a memory address in it), no state."""


def read_hdf5(path: Path, budget: Budget, prefix: str = "") -> Iterator[Tensor]:
    """Every data set by its path, every attribute as `path@name`. Raises NotReadable, also where h5py is missing."""
    try:
        import h5py
    except ImportError as error:
        raise NotReadable("h5py, which reads HDF5, is not installed") from error
    try:
        with h5py.File(path, "r") as file:
            parts: list[tuple[str, Any]] = [("", file)]
            file.visititems(lambda name, part: parts.append((name, part)))
            for name, part in parts:
                for key in part.attrs:
                    if key not in _DESCRIPTIONS:
                        yield _attribute(f"{prefix}{name}@{key}", part.attrs[key])
                if isinstance(part, h5py.Dataset):
                    yield _data_set(prefix + name, part, budget)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise NotReadable(f"{type(error).__name__}: {error}") from error


def _attribute(name: str, value: Any) -> Tensor:
    content = value.tobytes() if hasattr(value, "tobytes") else repr(value).encode()
    number = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else None
    plain = number if isinstance(number, int | float) and not isinstance(number, bool) else None
    return Tensor(name, tuple(getattr(value, "shape", ())), _dtype(value), digest_of_bytes(content), plain)


def _data_set(name: str, part: Any, budget: Budget) -> Tensor:
    """In slices along the first axis, each of about a chunk."""
    if part.dtype.hasobject:
        budget.take(int(part.size))
        return Tensor(name, tuple(part.shape), "object", digest_of_bytes(repr(part[()]).encode()))
    digest = hashlib.sha256()
    value = None
    if not part.shape or part.nbytes <= CHUNK_BYTES:
        budget.take(int(part.nbytes))
        content = part[()]
        digest.update(content.tobytes())
        if part.size == 1 and part.dtype.kind in "iuf":
            value = content.item()
    else:
        rows = max(1, CHUNK_BYTES * part.shape[0] // part.nbytes)
        for start in range(0, part.shape[0], rows):
            content = part[start : start + rows]
            budget.take(int(content.nbytes))
            digest.update(content.tobytes())
    return Tensor(name, tuple(part.shape), str(part.dtype), digest.hexdigest()[:DIGEST_CHARACTERS], value)


def _dtype(value: Any) -> str:
    return str(getattr(value, "dtype", type(value).__name__))

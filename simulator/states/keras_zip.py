"""Keras' .keras archive: its weights (HDF5) tensor by tensor, its configuration without addresses, without its date."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from simulator.states.content import Budget, NotReadable, Tensor, digest_of_bytes, tensor_from
from simulator.states.hdf5 import read_hdf5

_DATED = "metadata.json"  # keras_version and date_saved, nothing of the model
_ADDRESS = re.compile(rb'"shared_object_id": \d+')  # Keras writes a memory address into config.json


def read_keras(path: Path, budget: Budget) -> Iterator[Tensor]:
    """Every weight as `model.weights.h5/…`, every other member by its bytes. Raises NotReadable."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename == _DATED or member.is_dir():
                    continue
                if member.filename.endswith(".h5"):
                    yield from _weights(archive, member, budget)
                elif member.filename.endswith(".json"):
                    budget.take(member.file_size)
                    content = _ADDRESS.sub(b"", archive.read(member))
                    yield Tensor(member.filename, (), "json", digest_of_bytes(content))
                else:
                    with archive.open(member) as file:
                        yield tensor_from(member.filename, (), "bytes", cast(BinaryIO, file), None, budget)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise NotReadable(str(error)) from error


def _weights(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: Budget) -> Iterator[Tensor]:
    """HDF5 needs to seek, which a member cannot do well: a copy on disk, never in memory."""
    budget.take(member.file_size)
    with tempfile.NamedTemporaryFile(prefix="spot-simulator-", suffix=".h5") as copy:
        with archive.open(member) as file:
            shutil.copyfileobj(file, copy)
        copy.flush()
        yield from read_hdf5(Path(copy.name), budget, f"{member.filename}/")

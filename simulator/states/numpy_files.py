"""NumPy's .npy and .npz, by their headers: no NumPy needed, and nothing is unpickled."""

from __future__ import annotations

import ast
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from simulator.states.content import Budget, NotReadable, Tensor, tensor_from

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 1 << 20
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


def read_npy(path: Path, budget: Budget) -> Iterator[Tensor]:
    """The one array of an .npy file. Raises NotReadable."""
    with path.open("rb") as file:
        yield array("array", file, budget)


def read_npz(path: Path, budget: Budget) -> Iterator[Tensor]:
    """The arrays of an .npz file; a member that is no array counts by its bytes. Raises NotReadable."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    yield (
                        array(name.removesuffix(".npy"), member, budget)
                        if name.endswith(".npy")
                        else tensor_from(name, (), "bytes", cast(BinaryIO, member), None, budget)
                    )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise NotReadable(str(error)) from error


def array(name: str, file: IO[bytes], budget: Budget) -> Tensor:
    """An array from where its header begins. Raises NotReadable."""
    if file.read(6) != _MAGIC:
        raise NotReadable("it does not begin as an .npy file does")
    major = file.read(2)[:1]
    width, form = (2, "<H") if major == b"\x01" else (4, "<I")
    (length,) = struct.unpack(form, _exactly(file, width))
    if length > _LONGEST_HEADER:
        raise NotReadable("its header has no end")
    try:
        header = ast.literal_eval(_exactly(file, length).decode("utf-8"))
        shape, descr, by_columns = tuple(header["shape"]), str(header["descr"]), bool(header["fortran_order"])
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise NotReadable(f"its header cannot be read: {error}") from error
    swapped = descr if descr.startswith(">") else ""  # the same numbers in other bytes: said to be another content
    order = swapped + ("by columns" if by_columns and len(shape) > 1 else "")
    return tensor_from(name, shape, _dtype(descr), cast(BinaryIO, file), None, budget, order=order)


def _dtype(descr: str) -> str:
    kind, width = descr.lstrip("<>|="), descr[2:]
    if kind == "b1":
        return "bool"
    if kind[:1] in _KINDS and width.isdigit():
        return f"{_KINDS[kind[0]]}{8 * int(width)}"
    return descr


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise NotReadable("it is cut short")
    return content

"""Safetensors: eight bytes of length, a JSON header of names, types, shapes and offsets, then the bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from simulator.states.content import Budget, NotReadable, Tensor, digest_of_bytes, tensor_from

_LONGEST_HEADER = 100 << 20  # the format's own limit
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path: Path, budget: Budget) -> Iterator[Tensor]:
    """Every tensor, and every entry of the metadata. Raises NotReadable."""
    with path.open("rb") as file:
        length = file.read(8)
        if len(length) != 8 or (size := struct.unpack("<Q", length)[0]) > _LONGEST_HEADER:
            raise NotReadable("it has no header")
        budget.take(size)
        try:
            header = json.loads(file.read(size))
            for name, value in sorted((header.pop("__metadata__", None) or {}).items()):
                yield Tensor(f"__metadata__.{name}", (), "str", digest_of_bytes(str(value).encode()))
            parts = [(name, facts["dtype"], facts["shape"], *facts["data_offsets"]) for name, facts in header.items()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotReadable(f"its header cannot be read: {error}") from error
        for name, dtype, shape, begins, ends in sorted(parts, key=lambda part: int(part[3])):
            file.seek(8 + size + begins)
            yield tensor_from(name, shape, _DTYPES.get(dtype, str(dtype)), file, ends - begins, budget)

"""TensorFlow checkpoints (PREFIX.index and PREFIX.data-N-of-M), read without TensorFlow, which takes seconds to import.

The index is a sorted table in blocks, as LevelDB writes it, uncompressed: keys with shared prefixes, values that are
small protocol buffers with each tensor's type, shape, shard, offset and size (tensorflow/core/lib/io/format.cc,
tensorflow/core/protobuf/tensor_bundle.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from simulator.states.content import Budget, NotReadable, Tensor, counts, digest_of_bytes, tensor_from

INDEX = ".index"
_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_LARGEST_INDEX = 256 << 20
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}


class _Entry(NamedTuple):
    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def read_bundle(index: Path, budget: Budget) -> Iterator[Tensor]:
    """Every tensor of the checkpoint whose .index file is given. Raises NotReadable, also while a shard is missing."""
    size = index.stat().st_size
    if size > _LARGEST_INDEX:
        raise NotReadable("its index is too large")
    budget.take(size)
    try:
        shards, entries = _entries(index.read_bytes())
    except (IndexError, ValueError, struct.error) as error:
        raise NotReadable(f"its index cannot be read: {error}") from error
    prefix = str(index).removesuffix(INDEX)
    with ExitStack() as stack:
        files: dict[int, BinaryIO] = {}
        for shard in range(shards):
            path = Path(f"{prefix}.data-{shard:05d}-of-{shards:05d}")
            if not path.is_file():
                raise NotReadable(f"{path.name} is not there")
            files[shard] = stack.enter_context(path.open("rb"))
        for entry in sorted(entries, key=lambda entry: (entry.shard, entry.offset)):
            if not counts(entry.name):
                yield Tensor(entry.name, entry.shape, entry.dtype, digest_of_bytes(b""))
                continue
            if entry.shard not in files:
                raise NotReadable(f"{entry.name} is in a shard that is not there")
            files[entry.shard].seek(entry.offset)
            yield tensor_from(entry.name, entry.shape, entry.dtype, files[entry.shard], entry.size, budget)


def name_of(key: str) -> str:
    """A key without TensorFlow's ending, which every variable has."""
    return key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")


def _entries(table: bytes) -> tuple[int, list[_Entry]]:
    """How many shards there are, and what they hold."""
    if len(table) < _FOOTER_BYTES or struct.unpack("<Q", table[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as an index does")
    footer = table[-_FOOTER_BYTES:]
    _, at = _varint(footer, 0)  # the metaindex' offset and size: nothing of use
    _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    shards, entries = 1, []
    for _, handle in _block(table, offset, size):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        for key, value in _block(table, block_offset, block_size):
            fields = _fields(value)
            if not key:
                shards = int(fields.get(1, [1])[-1])
                continue
            entries.append(_entry(key.decode("utf-8", "replace"), fields))
    return shards, entries


def _entry(key: str, fields: dict[int, list[int | bytes]]) -> _Entry:
    def number(field: int) -> int:
        return int(fields.get(field, [0])[-1])

    shape = []
    for dimension in _fields(_bytes(fields, 2)).get(2, []):
        shape.append(int(_fields(dimension).get(1, [0])[-1]) if isinstance(dimension, bytes) else 0)
    return _Entry(
        name_of(key), _DTYPES.get(number(1), f"type {number(1)}"), tuple(shape), number(3), number(4), number(5)
    )


def _bytes(fields: dict[int, list[int | bytes]], field: int) -> bytes:
    value = fields.get(field, [b""])[-1]
    return value if isinstance(value, bytes) else b""


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A block's keys and values; a byte after it tells its compression."""
    block = table[offset : offset + size]
    if len(block) != size or table[offset + size] != 0:
        raise ValueError("it is compressed or cut short")
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _fields(message: bytes) -> dict[int, list[int | bytes]]:
    """A protocol buffer's fields by their numbers, as far as they are numbers, bytes and messages."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
            case 1:
                value, at = message[at : at + 8], at + 8
            case 2:
                length, at = _varint(message, at)
                value, at = message[at : at + length], at + length
            case 5:
                value, at = message[at : at + 4], at + 4
            case other:
                raise ValueError(f"a field of kind {other}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number without an end")

"""Every format, tensor by tensor: equal where the training is equal, whenever it was written, and only there."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from simulator.states.content import MOST_TENSORS, counts
from simulator.states.read import Budget, State, read_folder, read_state, unit_of
from simulator.states.torch_zip import read_torch

Arrays = dict[str, np.ndarray]


def arrays(**changes: Any) -> Arrays:
    content = {"kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "step": np.array(7, dtype=np.int64)}
    return content | {name: np.asarray(value) for name, value in changes.items()}


def write_npz(path: Path, content: Arrays) -> None:
    np.savez(path, **content)


def write_h5(path: Path, content: Arrays) -> None:
    with h5py.File(path, "w", track_order=True) as file:
        for name, value in content.items():
            file.create_dataset(name, data=value)


def write_safetensors(path: Path, content: Arrays) -> None:
    kinds = {"float32": "F32", "float64": "F64", "int64": "I64"}
    header, body = {}, b""
    for name, value in content.items():
        raw = value.tobytes()
        header[name] = {"dtype": kinds[str(value.dtype)], "shape": list(value.shape)}
        header[name]["data_offsets"] = [len(body), len(body) + len(raw)]
        body += raw
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def write_json(path: Path, content: Arrays) -> None:
    path.write_text(json.dumps({name: value.tolist() for name, value in content.items()}))


def write_torch(path: Path, content: Arrays) -> None:
    state_dict = OrderedDict(content)
    state_dict._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # as nn.Module.state_dict() has it
    write_torch_object(path, {"model": state_dict, "rng": [1, 2]})


class Storage:
    def __init__(self, value: np.ndarray, key: int) -> None:
        self.value, self.key = value, key


def write_torch_object(path: Path, content: Any) -> None:
    """As torch.save lays it out, by a torch of which there are only the names."""
    fake = types.ModuleType("torch")
    utils = types.ModuleType("torch._utils")
    kinds = {"float32": "FloatStorage", "float64": "DoubleStorage", "int64": "LongStorage"}
    for name in kinds.values():
        setattr(fake, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*arguments: Any) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    storages: list[np.ndarray] = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            kind = getattr(fake, kinds[str(value.value.dtype)])
            return ("storage", kind, str(value.key), "cpu", value.value.size)

        def reducer_override(self, value: Any) -> Any:
            if not isinstance(value, np.ndarray):
                return NotImplemented
            storages.append(np.array(value, order="C"))
            stride = tuple(step // value.itemsize for step in storages[-1].strides)
            parts = (Storage(storages[-1], len(storages) - 1), 0, value.shape, stride, False, OrderedDict())
            return _rebuild_tensor_v2, parts

    sys.modules |= {"torch": fake, "torch._utils": utils}
    try:
        buffer = io.BytesIO()
        Pickler(buffer, protocol=2).dump(content)
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", buffer.getvalue())
        for key, value in enumerate(storages):
            archive.writestr(f"{path.stem}/data/{key}", value.tobytes())
        archive.writestr(f"{path.stem}/version", "3\n")


WRITERS: dict[str, Callable[[Path, Arrays], None]] = {
    ".npz": write_npz,
    ".h5": write_h5,
    ".safetensors": write_safetensors,
    ".json": write_json,
    ".pt": write_torch,
}


def read(path: Path, limit: int = 1 << 20) -> State:
    return read_state(path.parent, path.name, Budget(limit, 60))


@pytest.fixture(params=WRITERS)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def state_of(folder: Path, suffix: str, content: Arrays, name: str = "state") -> State:
    folder.mkdir(exist_ok=True)
    WRITERS[suffix](folder / f"{name}{suffix}", content)
    return read(folder / f"{name}{suffix}")


def test_equal_content_is_equal_in_whatever_order_it_was_written(tmp_path: Path, suffix: str) -> None:
    one = state_of(tmp_path / "one", suffix, arrays())
    other = state_of(tmp_path / "other", suffix, dict(reversed(arrays().items())), "another-name")
    assert one.digest == other.digest and one.tensors == other.tensors != []


def test_one_number_that_differs_is_named(tmp_path: Path, suffix: str) -> None:
    one = state_of(tmp_path / "one", suffix, arrays())
    other = state_of(tmp_path / "other", suffix, arrays(step=np.array(8, dtype=np.int64)))
    assert one.digest != other.digest
    unlike = {a.name for a, b in zip(one.tensors, other.tensors, strict=True) if a != b}
    assert len(unlike) == 1 and unlike.pop().endswith("step")


def test_a_single_number_has_its_value(tmp_path: Path, suffix: str) -> None:
    values = [tensor.value for tensor in state_of(tmp_path, suffix, arrays()).tensors if tensor.name.endswith("step")]
    assert values == [7]


def test_shape_and_type_count(tmp_path: Path) -> None:
    flat = state_of(tmp_path / "flat", ".npz", arrays(kernel=np.arange(12, dtype=np.float32)))
    double = state_of(tmp_path / "double", ".npz", arrays(kernel=np.arange(12, dtype=np.float64).reshape(3, 4)))
    assert len({state_of(tmp_path, ".npz", arrays()).digest, flat.digest, double.digest}) == 3


@pytest.mark.parametrize("name", ["timestamp", "saved_at", "date_saved", "train.wall_time", "training_time"])
def test_when_it_was_written_does_not_count_and_is_named(tmp_path: Path, name: str) -> None:
    one = state_of(tmp_path / "one", ".json", arrays(**{name: 1.5}))
    other = state_of(tmp_path / "other", ".json", arrays(**{name: 2.5}))
    assert one.digest == other.digest and one.left_out == [name]


@pytest.mark.parametrize("name", ["times", "timesteps", "update", "validated"])
def test_what_only_sounds_like_a_time_counts(tmp_path: Path, name: str) -> None:
    one = state_of(tmp_path / "one", ".json", arrays(**{name: 1.5}))
    other = state_of(tmp_path / "other", ".json", arrays(**{name: 2.5}))
    assert one.digest != other.digest and one.left_out == []


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_torn_file_counts_by_its_bytes(tmp_path: Path, suffix: str, cut: float) -> None:
    state_of(tmp_path, suffix, arrays())
    path = tmp_path / f"state{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    state = read(path)
    assert (state.format, state.unread) == ("bytes", "") and state.digest


def test_an_unknown_file_counts_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"one")
    one = read(tmp_path / "model.pkl")
    (tmp_path / "model.pkl").write_bytes(b"two")
    assert one.format == "bytes" and one.digest != read(tmp_path / "model.pkl").digest


def test_the_seconds_in_a_zip_do_not_count(tmp_path: Path) -> None:
    for name, year in (("one.zip", 2001), ("two.zip", 2002)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo("weights", (year, 1, 1, 0, 0, 0)), b"same")
    assert read(tmp_path / "one.zip").digest == read(tmp_path / "two.zip").digest


def test_what_is_too_large_is_said_and_not_guessed(tmp_path: Path, suffix: str) -> None:
    state_of(tmp_path, suffix, arrays())
    state = read(tmp_path / f"state{suffix}", limit=40)
    assert state.unread and not state.digest


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    assert read(tmp_path / "gone.npz").unread


def test_columns_first_is_other_bytes_but_said_so(tmp_path: Path) -> None:
    square = np.arange(9.0).reshape(3, 3)
    one = state_of(tmp_path / "one", ".npz", {"w": np.asfortranarray(square)})
    other = state_of(tmp_path / "other", ".npz", {"w": np.ascontiguousarray(square.T)})
    assert one.digest != other.digest  # the bytes in the file are the same; the arrays are not


@pytest.mark.parametrize("suffix", sorted(WRITERS.keys() - {".json"}))  # parsed whole, up to a limit of its own
def test_large_arrays_are_digested_in_pieces(tmp_path: Path, suffix: str) -> None:
    large = np.arange(600_000, dtype=np.float64).reshape(1000, 600)
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder, last in zip(folders, (599_999.0, 0.0), strict=True):
        folder.mkdir()
        large[-1, -1] = last
        WRITERS[suffix](folder / f"state{suffix}", {"w": large})
    one, other = (read(folder / f"state{suffix}", 1 << 26) for folder in folders)
    assert one.digest != other.digest and one.format != "bytes"


def test_so_many_tensors_that_a_timeline_could_not_hold_them_are_one(tmp_path: Path) -> None:
    many = {f"w{number}": number for number in range(MOST_TENSORS + 1)}
    (tmp_path / "state.json").write_text(json.dumps(many))
    one = read(tmp_path / "state.json")
    (tmp_path / "state.json").write_text(json.dumps(many | {"w3": -1}))
    assert one.tensors == [] and one.digest != read(tmp_path / "state.json").digest


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "was-here",)

    with zipfile.ZipFile(tmp_path / "state.pt", "w") as archive:
        archive.writestr("state/data.pkl", pickle.dumps({"model": Evil()}))
    assert list(read_torch(tmp_path / "state.pt", Budget(1 << 20, 60)))
    assert not (tmp_path / "was-here").exists()


def test_torch_keys_and_numbers_are_read(tmp_path: Path) -> None:
    state = {"optimizer": {"state": {0: {"step": 5, "exp_avg": np.ones(3, dtype=np.float32)}}, "param_groups": []}}
    write_torch_object(tmp_path / "state.pt", state)
    found = {tensor.name: tensor for tensor in read(tmp_path / "state.pt").tensors}
    assert found["optimizer.state.0.step"].value == 5
    assert (found["optimizer.state.0.exp_avg"].shape, found["optimizer.state.0.exp_avg"].dtype) == ((3,), "float32")


def test_a_folder_has_a_state_for_each_file_but_markers_and_links(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_npz(tmp_path / "sub/a.npz", arrays())
    (tmp_path / "b.bin").write_bytes(b"b")
    (tmp_path / "b.bin.sagemaker-uploaded").touch()
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert [state.path for state in read_folder(tmp_path, Budget(1 << 20, 60))] == ["b.bin", "sub/a.npz"]


def test_a_shard_belongs_to_its_index() -> None:
    assert unit_of("a/ckpt-1.data-00000-of-00002") == "a/ckpt-1.index"
    assert unit_of("a/my.data-set") == "a/my.data-set"


def test_the_page_names_what_is_left_out() -> None:
    page = (Path(__file__).parents[2] / "docs" / "proof.md").read_text()
    listed = page.partition("- values named ")[2].partition("whatever stands before")[0]
    names = re.findall(r"`(\w+)`", listed)
    assert len(names) > 10 and not any(counts(f"train.{name}") for name in names)
    assert all(f"`{suffix}`" in page for suffix in (".keras", ".h5", ".npz", ".pt", ".index"))

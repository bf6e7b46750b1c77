"""What a file's name says about it: a marker, a temporary file, bookkeeping, or training state. Hints, never proofs."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath

from simulator.core.temporary_names import is_temporary as is_temporary

_MARKERS = (".sagemaker-uploading", ".sagemaker-uploaded")
_BOOKKEEPING_SUFFIXES = frozenset(
    {".csv", ".tsv", ".log", ".txt", ".jsonl", ".ndjson", ".out", ".err", ".md", ".html", ".png", ".svg"}
    | {".yaml", ".yml", ".toml", ".ini", ".py"}
)
_STATE_SUFFIXES = frozenset(
    {".ckpt", ".pt", ".pth", ".h5", ".hdf5", ".keras", ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".safetensors"}
    | {".index", ".msgpack", ".params", ".states", ".ubj", ".xgb", ".bst", ".cbm", ".distcp", ".weights"}
)
_STATE_NAME = re.compile(
    r"ckpt|checkpoint|snapshot|backup|\.data-\d+-of-\d+$|(^|/)(model|optimizer|state)[^/]*\.bin$", re.I
)
_NOT_OURS = re.compile(
    r"/\.?cache|/\.keras/|datasets?/|/data/|(site|dist)-packages|/hub/|^/(proc|sys|dev|etc|usr)/", re.I
)
_OURS = ("/opt/ml/output/", "/opt/ml/input/data/code/")  # the script's outputs, and what it writes beside itself
_DIGITS = re.compile(r"\d+")
_HOST = re.compile(r"\balgo-\d+")
_OF_A_HOST = re.compile(r"[._-]algo-\d+$")
_remembered = lru_cache(maxsize=1 << 16)  # every rule asks again, of every write of a long run


def is_marker(path: str) -> bool:
    """The uploader's own marker files, which the service puts beside a checkpoint (facts.md, "Checkpoints")."""
    return path.endswith(_MARKERS)


def is_bookkeeping(path: str) -> bool:
    """Logs, metrics and events that change with every step and that no trainer resumes from."""
    return _suffix(path) in _BOOKKEEPING_SUFFIXES or "tfevents" in PurePosixPath(path).name


@_remembered
def may_be_a_checkpoint(path: str) -> bool:
    """Anything that is not surely something else; a trainer of unknown style may call its state as it likes."""
    return not (is_marker(path) or is_temporary(path) or is_bookkeeping(path))


@_remembered
def is_named_as_state(path: str) -> bool:
    """A name or suffix that only training state has."""
    if is_marker(path) or is_temporary(path) or is_bookkeeping(path):
        return False
    return _suffix(path) in _STATE_SUFFIXES or _STATE_NAME.search(path) is not None


def is_state_outside(path: str) -> bool:
    """Training state on the container's own disk: named as state, and in no cache, data set or system folder.
    A temporary-looking folder such as /tmp counts here, since that is where state gets lost."""
    foreign = not path.startswith(_OURS) and _NOT_OURS.search(path)
    if foreign or is_marker(path) or is_bookkeeping(path):
        return False
    return _suffix(path) in _STATE_SUFFIXES or _STATE_NAME.search(path) is not None


def _suffix(path: str) -> str:
    """The file's suffix, also where a host's name was put behind it (`metrics.csv.algo-2`)."""
    return PurePosixPath(_OF_A_HOST.sub("", path)).suffix.lower()


@_remembered
def family(path: str) -> str:
    """The path with every number replaced, so that ckpt-90.npz and ckpt-100.npz are one family."""
    return _DIGITS.sub("#", path)


@_remembered
def numbers(path: str) -> tuple[int, ...]:
    """The numbers of a path, in order; a host's name (algo-1) holds none."""
    return tuple(int(digits) for digits in _DIGITS.findall(_HOST.sub("", path)))

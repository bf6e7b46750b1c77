"""The wheels of an image, downloaded on the host with the host's own pip settings: behind any index or proxy."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from simulator.images.commands import Progress, run

PYTHON_VERSION = "3.11"  # of python:3.11-slim and of Debian bookworm alike
DOWNLOAD_SECONDS = 3600.0
AS_SOURCE = ("sagemaker-training", "inotify-simple")  # what is published without wheels; the image's pip makes them
MANYLINUX = ("2_28", "2_27", "2_17", "2014", "2_5", "1")


def cache_folder() -> Path:
    """Where downloads are kept between builds."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "spot-simulator" / "wheels"


def download(lock: Path, machine: str, progress: Progress) -> Path:
    """The folder with the wheels of a lock file for Linux on `machine` (x86_64 | aarch64); only downloaded once.

    Raises EnvironmentFailure where pip cannot get them.
    """
    key = hashlib.sha256(lock.read_bytes() + machine.encode()).hexdigest()[:16]
    folder = cache_folder() / key
    if folder.is_dir():
        return folder
    progress(f"downloading the wheels of {lock.name} (once) …")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    try:
        platforms = [part for tag in MANYLINUX for part in ("--platform", _platform(tag, machine))]
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
                *(
                    "--require-hashes",
                    "--only-binary=:all:",
                    f"--no-binary={','.join(AS_SOURCE)}",
                    "--implementation",
                    "cp",
                ),
                *("--python-version", PYTHON_VERSION, *platforms),
                *("--requirement", str(lock), "--dest", str(aside)),
            ],
            what=f"the packages of {lock.name} could not be downloaded",
            next_step="see that this pip reaches an index: pip config list; PIP_INDEX_URL and HTTPS_PROXY set another",
            timeout_seconds=DOWNLOAD_SECONDS,
        )
        if not folder.exists():
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _platform(tag: str, machine: str) -> str:
    return f"manylinux{tag}_{machine}" if tag in ("2014", "1") else f"manylinux_{tag}_{machine}"

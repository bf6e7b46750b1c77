"""The `*.sagemaker-uploading` and `*.sagemaker-uploaded` files that SageMaker's uploader leaves beside checkpoints."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from simulator.checkpoints.folder import UPLOADED_SUFFIX, UPLOADING_SUFFIX


class Markers:
    """Keeps the markers of a folder's files. They have broken scripts that list the folder (huggingface/transformers
    #21586, sagemaker-python-sdk #1791), which is why they are here. Every verb raises OSError where the folder cannot
    be written, except for what vanished, which is no error."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def uploading(self, path: str) -> None:
        """An upload of the file is under way."""
        marker = self._at(path, UPLOADING_SUFFIX)
        with suppress(FileNotFoundError):
            try:
                self._at(path, UPLOADED_SUFFIX).rename(marker)
            except FileNotFoundError:
                marker.touch()

    def uploaded(self, path: str) -> None:
        """The upload is done. Where the file is gone by now nothing is marked, since its folder may be going too."""
        with suppress(FileNotFoundError):
            if not (self._folder / path).exists():
                return
            try:
                self._at(path, UPLOADING_SUFFIX).rename(self._at(path, UPLOADED_SUFFIX))
            except FileNotFoundError:
                self._at(path, UPLOADED_SUFFIX).touch()

    def gone(self, path: str) -> None:
        """The file was deleted."""
        for suffix in (UPLOADING_SUFFIX, UPLOADED_SUFFIX):
            with suppress(NotADirectoryError):
                self._at(path, suffix).unlink(missing_ok=True)

    def _at(self, path: str, suffix: str) -> Path:
        return self._folder / (path + suffix)

"""What an instance downloads before it trains and uploads after: channels, source code, model.tar.gz, output.tar.gz."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from simulator.checkpoints.s3_client import s3_errors
from simulator.checkpoints.store import TransferAbandoned
from simulator.core.attempt import Outcome
from simulator.core.errors import UsageError
from simulator.core.job import TrainingJob, split_s3_uri
from simulator.engine.surroundings import InputsFailed
from simulator.runtimes.port import InstancePaths, Runtime, RuntimeName
from simulator.service.describe import output_prefix
from simulator.service.request_job import submitted_script, with_code_folder, with_script

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IsAbandoned = Callable[[], bool]


class Downloads:
    """The `inputs` of one job: its channels and its source, anew for every instance, as SageMaker reads them again."""

    def __init__(self, request: Mapping[str, Any], client: S3Client, runtime: Runtime) -> None:
        self._request, self._client, self._runtime = request, client, runtime

    def __call__(self, job: TrainingJob, host: str, directory: Path, is_abandoned: IsAbandoned) -> TrainingJob:
        """Fetch everything below `directory`. Raises InputsFailed with the FailureReason, TransferAbandoned."""
        channels = {}
        for channel in self._request.get("InputDataConfig", []):
            name = channel["ChannelName"]
            channels[name] = directory / "channels" / name
            self._channel(channel, channels[name], is_abandoned)
        job = replace(job, channels=channels)
        script = submitted_script(self._request)
        if script is not None:
            source = directory / "source"
            self._unpack(script.archive, source, directory / "source.tar.gz")
            if self._runtime.name is RuntimeName.PROCESS:
                job = with_script(job, script, source)
            else:
                job = with_code_folder(job, source)
        try:
            self._runtime.prepare(job)
        except UsageError as error:
            raise InputsFailed(f"ClientError: {error.what}: {error.why}") from error
        return job

    def _channel(self, channel: Mapping[str, Any], folder: Path, is_abandoned: IsAbandoned) -> None:
        source = channel["DataSource"]["S3DataSource"]
        folder.mkdir(parents=True)
        if source["S3DataType"] == "ManifestFile":
            fetched = self._manifest(source["S3Uri"], folder, is_abandoned)
        else:
            fetched = self._prefix(source["S3Uri"], folder, is_abandoned)
        if not fetched:
            raise InputsFailed(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{source["S3Uri"]}" given in '
                f"input data source of the channel {channel['ChannelName']}"
            )
        if channel.get("CompressionType") == "Gzip":
            for file in [path for path in folder.rglob("*") if path.is_file()]:
                _gunzip(file)

    def _prefix(self, uri: str, folder: Path, is_abandoned: IsAbandoned) -> int:
        """S3Prefix: every object whose key begins with the prefix, the folder being where the prefix' last slash is."""
        bucket, prefix = split_s3_uri(uri)
        fetched = 0
        with _download_errors(uri):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", []):
                    key = found["Key"]
                    if key.endswith("/"):
                        continue
                    relative = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
                    if prefix and not prefix.endswith("/") and key[len(prefix) :][:1] not in ("", "/"):
                        relative = key[prefix.rfind("/") + 1 :]
                    self._fetch(bucket, key, folder / relative, folder, is_abandoned)
                    fetched += 1
        return fetched

    def _manifest(self, uri: str, folder: Path, is_abandoned: IsAbandoned) -> int:
        """ManifestFile: a JSON list, {"prefix": URI} first, then the keys below it."""
        bucket, key = split_s3_uri(uri)
        with _download_errors(uri):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            head, *names = json.loads(body)
            source_bucket, prefix = split_s3_uri(head["prefix"])
            names = [str(name) for name in names]
        except (ValueError, TypeError, KeyError, UsageError) as error:
            raise InputsFailed(f"ClientError: Data download failed: {uri} is no manifest: {error}") from error
        with _download_errors(uri):
            for name in names:
                self._fetch(source_bucket, prefix + name, folder / name, folder, is_abandoned)
        return len(names)

    def _fetch(self, bucket: str, key: str, target: Path, folder: Path, is_abandoned: IsAbandoned) -> None:
        if is_abandoned():
            raise TransferAbandoned
        if not target.resolve().is_relative_to(folder.resolve()):
            raise InputsFailed(f"ClientError: Data download failed: the key {key!r} points out of its channel")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(bucket, key, str(target))
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InputsFailed(
                f"ClientError: Data download failed: {key!r} is both an object and a folder of others"
            ) from error

    def _unpack(self, archive: str, folder: Path, aside: Path) -> None:
        try:
            bucket, key = split_s3_uri(archive)
        except UsageError as error:
            raise InputsFailed(f"ClientError: sagemaker_submit_directory {archive!r} is no S3 URI") from error
        folder.mkdir(parents=True)
        with _download_errors(archive):
            self._client.download_file(bucket, key, str(aside))
        try:
            with tarfile.open(aside) as tar:
                tar.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InputsFailed(f"ClientError: {archive} cannot be unpacked: {error}") from error
        aside.unlink()


class Uploads:
    """The `outputs` of one job: what is in /opt/ml/model and /opt/ml/output/data, each an archive, where there is any.

    The model goes up when the job completed or was stopped, the output also when it failed (docs/assumptions.md).
    """

    def __init__(self, request: Mapping[str, Any], name: str, client: S3Client, scratch: Path) -> None:
        self._bucket, self._prefix = split_s3_uri(output_prefix(request, name))
        self._client, self._scratch = client, scratch
        self._compressed = request["OutputDataConfig"].get("CompressionType", "GZIP") != "NONE"

    def __call__(self, outcome: Outcome, paths: Mapping[str, InstancePaths]) -> None:
        """Raises EnvironmentFailure where S3 does not take it."""
        (own,) = paths.values()
        if outcome is not Outcome.FAILED:
            self._put(own.model, "model", even_empty=True)
        self._put(own.output / "data", "output")

    def _put(self, folder: Path, name: str, even_empty: bool = False) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        if not files and not even_empty:
            return
        with s3_errors(self._client, f"{name}.tar.gz cannot be stored"):
            if not self._compressed:
                for file in files:
                    key = f"{self._prefix}{name}/{file.relative_to(folder).as_posix()}"
                    self._client.upload_file(str(file), self._bucket, key)
                return
            archive = self._scratch / f"{name}.tar.gz"
            with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
                for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
                    tar.add(entry, entry.name)
            self._client.upload_file(str(archive), self._bucket, f"{self._prefix}{name}.tar.gz")
            archive.unlink()


@contextmanager
def _download_errors(uri: str) -> Iterator[None]:
    """Within, S3's refusals are the job's failure, as the service words them."""
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        why = f"{details.get('Code')}: {details.get('Message')}"
        raise InputsFailed(f"ClientError: Data download failed: {uri}: {why}") from error
    except BotoCoreError as error:
        raise InputsFailed(f"ClientError: Data download failed: {uri}: {error}") from error


def _gunzip(file: Path) -> None:
    """CompressionType Gzip: the service expands what it downloads; what is no gzip stays as it is."""
    aside = file.with_name(file.name + ".part")
    try:
        with gzip.open(file) as packed, aside.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    except (OSError, EOFError):
        with suppress(OSError):
            aside.unlink()
        return
    file.unlink()
    aside.rename(file.with_suffix("") if file.suffix == ".gz" else file)

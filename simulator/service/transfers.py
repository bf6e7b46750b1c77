"""What an instance downloads before it trains and uploads after: channels, source code, model.tar.gz, output.tar.gz."""

from __future__ import annotations

import filecmp
import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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
from simulator.service.request_job import hosts_of_channel, submitted_script, with_code_folder, with_script

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

IsAbandoned = Callable[[], bool]


@dataclass(frozen=True)
class Share:
    """Which of a channel's objects a host gets: all, or with ShardedByS3Key every `count`-th from `number` on, so that
    each has about 1/n of them. Documented is the size of a share, not which objects it holds (docs/assumptions.md)."""

    number: int = 0
    count: int = 1

    def of(self, objects: Sequence[SourceObject]) -> Sequence[SourceObject]:
        """The host's own ones of all, in their order."""
        return objects[self.number :: self.count]


@dataclass(frozen=True)
class SourceObject:
    """An object of a channel, and its path in the channel's folder."""

    bucket: str
    key: str
    path: str


class Downloads:
    """The `inputs` of one job: its channels and its source, anew for every attempt, as SageMaker reads them again.

    What the hosts of an attempt have in common comes from S3 once: the others get links to the first one's files. That
    is safe, as no instance writes into them: the runtimes give each its own copy.
    """

    def __init__(self, request: Mapping[str, Any], client: S3Client, runtime: Runtime) -> None:
        self._request, self._client, self._runtime = request, client, runtime
        self._fetched: dict[str, Path] = {}  # what a host of this attempt has whole

    def __call__(self, job: TrainingJob, host: str, directory: Path, is_abandoned: IsAbandoned) -> TrainingJob:
        """Fetch what a host gets below `directory`. Raises InputsFailed with the FailureReason, TransferAbandoned."""
        if host == job.hosts[0]:
            self._fetched.clear()
        channels = {}
        for channel in self._request.get("InputDataConfig", []):
            hosts = hosts_of_channel(channel, job)
            if host not in hosts:
                continue
            name = channel["ChannelName"]
            channels[name] = directory / "channels" / name
            if channel["DataSource"]["S3DataSource"].get("S3DataDistributionType") == "ShardedByS3Key":
                self._channel(channel, channels[name], Share(hosts.index(host), len(hosts)), is_abandoned)
            elif not self._link(name, channels[name]):
                self._channel(channel, channels[name], Share(), is_abandoned)
                self._fetched[name] = channels[name]
        job = replace(job, channels=channels)
        script = submitted_script(self._request)
        if script is not None:
            source = directory / "source"
            if not self._link(script.archive, source):
                self._unpack(script.archive, source, directory / "source.tar.gz")
                self._fetched[script.archive] = source
            if self._runtime.name is RuntimeName.PROCESS:
                job = with_script(job, script, source)
            else:
                job = with_code_folder(job, source)
        try:
            self._runtime.prepare(job)
        except UsageError as error:
            raise InputsFailed(f"ClientError: {error.what}: {error.why}") from error
        return job

    def _link(self, name: str, folder: Path) -> bool:
        """Make a folder from what another host of this attempt has; False where none has it."""
        there = self._fetched.get(name)
        if there is None or not there.is_dir():
            return False
        shutil.copytree(there, folder, symlinks=True, copy_function=_link_or_copy)
        return True

    def _channel(self, channel: Mapping[str, Any], folder: Path, share: Share, is_abandoned: IsAbandoned) -> None:
        source = channel["DataSource"]["S3DataSource"]
        folder.mkdir(parents=True)
        found = (
            self._manifest(source["S3Uri"]) if source["S3DataType"] == "ManifestFile" else self._prefix(source["S3Uri"])
        )
        if not found:
            raise InputsFailed(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{source["S3Uri"]}" given in '
                f"input data source of the channel {channel['ChannelName']}"
            )
        with _download_errors(source["S3Uri"]):
            for each in share.of(found):
                self._fetch(each.bucket, each.key, folder / each.path, folder, is_abandoned)
        if channel.get("CompressionType") == "Gzip":
            for file in [path for path in folder.rglob("*") if path.is_file()]:
                _gunzip(file)

    def _prefix(self, uri: str) -> list[SourceObject]:
        """S3Prefix: every object whose key begins with the prefix, the folder being where the prefix' last slash is."""
        bucket, prefix = split_s3_uri(uri)
        objects = []
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
                    objects.append(SourceObject(bucket, key, relative))
        return objects

    def _manifest(self, uri: str) -> list[SourceObject]:
        """ManifestFile: a JSON list, {"prefix": URI} first, then the keys below it."""
        bucket, key = split_s3_uri(uri)
        with _download_errors(uri):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            head, *names = json.loads(body)
            source_bucket, prefix = split_s3_uri(head["prefix"])
            return [SourceObject(source_bucket, prefix + str(name), str(name)) for name in names]
        except (ValueError, TypeError, KeyError, UsageError) as error:
            raise InputsFailed(f"ClientError: Data download failed: {uri} is no manifest: {error}") from error

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

    The model goes up when the job completed or was stopped, the output also when it failed (docs/assumptions.md). An
    archive holds the files of all hosts; `warn` hears of those that differ under one name.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        name: str,
        client: S3Client,
        scratch: Path,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._bucket, self._prefix = split_s3_uri(output_prefix(request, name))
        self._client, self._scratch, self._warn = client, scratch, warn
        self._compressed = request["OutputDataConfig"].get("CompressionType", "GZIP") != "NONE"

    def __call__(self, outcome: Outcome, paths: Mapping[str, InstancePaths]) -> None:
        """Raises EnvironmentFailure where S3 does not take it."""
        if outcome is not Outcome.FAILED:
            self._put({host: own.model for host, own in paths.items()}, "model", even_empty=True)
        self._put({host: own.output / "data" for host, own in paths.items()}, "output")

    def _put(self, folders: Mapping[str, Path], name: str, even_empty: bool = False) -> None:
        entries = self._aggregated(folders, name)
        files = {path: entry for path, entry in entries.items() if entry.is_file()}
        if not files and not even_empty:
            return
        with s3_errors(self._client, f"{name}.tar.gz cannot be stored"):
            if not self._compressed:
                for path, file in files.items():
                    self._client.upload_file(str(file), self._bucket, f"{self._prefix}{name}/{path}")
                return
            archive = self._scratch / f"{name}.tar.gz"
            with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
                for path, entry in entries.items():
                    tar.add(entry, path, recursive=False)
            self._client.upload_file(str(archive), self._bucket, f"{self._prefix}{name}.tar.gz")
            archive.unlink()

    def _aggregated(self, folders: Mapping[str, Path], name: str) -> dict[str, Path]:
        """Path in the archive → path here, of everything that the hosts have, sorted; of one name the last host's.

        Documented ("How Amazon SageMaker Processes Training Output"): "SageMaker aggregates the result in a TAR file",
        and containers "should ensure no file/directory names clash". Which of two counts is assumed
        (docs/assumptions.md), as SageMaker's SDK has it in local mode.
        """
        merged: dict[str, Path] = {}
        clashes: dict[str, str] = {}
        for host, folder in folders.items():
            for entry in sorted(folder.rglob("*")):
                path = entry.relative_to(folder).as_posix()
                before = merged.get(path)
                if before is not None and not _is_same(before, entry):
                    clashes[path] = host
                    if not entry.is_dir():
                        merged = {known: there for known, there in merged.items() if not known.startswith(f"{path}/")}
                merged[path] = entry
        if clashes:
            shown = ", ".join(f"{path} (of {host})" for path, host in sorted(clashes.items())[:5])
            self._warn(
                f"{len(clashes)} files of {name}.tar.gz were written by several hosts and differ, and the last host's "
                f"were taken: {shown}; give each host names of its own, or have only one write them"
            )
        return dict(sorted(merged.items()))


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


def _is_same(one: Path, other: Path) -> bool:
    """Whether nothing is lost where one stands in the other's place."""
    if one.is_dir() and other.is_dir():
        return True
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _link_or_copy(source: str, target: str) -> None:
    """A hard link, or on a file system without those a copy."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


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

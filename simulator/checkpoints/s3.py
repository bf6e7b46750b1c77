"""The object store on S3: bytes up in parts that can be stopped, bytes down in one stream, digests remembered."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from simulator.checkpoints.cut import SEND_BYTES, Body, Cut, Cutter, IsAbandoned
from simulator.checkpoints.folder import is_safe
from simulator.checkpoints.manifest import CHUNK_BYTES
from simulator.checkpoints.patience import PATIENCE_SECONDS, patiently
from simulator.checkpoints.s3_client import s3_errors
from simulator.checkpoints.source import check_key, opened
from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo, StoreUnavailable, TransferAbandoned

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 16 << 20  # larger files go by multipart; of 8, 16, 32 and 64 MiB moto took this fastest
PARTS_IN_FLIGHT = 2  # of one file; more made moto slower and cost PART_BYTES of memory each
PART_THREADS = 4
MAX_PARTS = 10_000  # S3's limit
HASHING_THREADS = 4

T = TypeVar("T")


class S3Store:
    """ObjectStore below one prefix of a bucket.

    A file a/b goes to PREFIX/a/b; the slash is added when the prefix has none. Listing goes by the prefix exactly as
    it was given, as SageMaker's does, so that `job-1` also lists what belongs to `job-10`: such an object's path is
    what follows the prefix (`0/x` for job-10/x; an assumption), it can be fetched, and it is never deleted or
    overwritten. Where an own object has the same path, the own one counts.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str,
        patience_seconds: float = PATIENCE_SECONDS,
        check: Callable[[], None] = lambda: None,
        multipart_above: int = PART_BYTES,
    ) -> None:
        """`patience_seconds`: how long get, list and digests try again. `check` raises EnvironmentFailure where it is
        known that no try will help. Files of more than `multipart_above` bytes go up in parts."""
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._patience_seconds, self._check, self._multipart_above = patience_seconds, check, multipart_above
        self._own = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        self._siblings: dict[str, str] = {}
        self._known: dict[tuple[str, str, int], str] = {}  # (key, etag, bytes) → sha256
        self._parts = ThreadPoolExecutor(PART_THREADS, "s3-part")
        self._lock = threading.Lock()
        self._cutter = Cutter(client)

    def put(self, source: Path, path: str, is_abandoned: IsAbandoned) -> FileVersion:
        """Store a file. The bytes are read once, in order, and those that were hashed are those that are sent.

        Raises FileNotFoundError and other OSErrors of the local file, OSError (ENAMETOOLONG) for a key S3 does not
        take, TransferAbandoned, and EnvironmentFailure; StoreUnavailable where it may be tried again.
        """
        key = self._own + path
        check_key(key, path)
        with opened(source) as (file, size), self._errors(f"{path} cannot be uploaded"):
            if is_abandoned():
                raise TransferAbandoned(path)
            try:
                with self._cutter.until(is_abandoned):
                    if size <= self._multipart_above:
                        return self._put_at_once(key, _read(file, size), is_abandoned)
                    return self._put_in_parts(key, file, size, is_abandoned)
            except Cut:
                raise TransferAbandoned(path) from None

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """`s3_errors`; what may pass becomes what will not, where that is known."""
        try:
            with s3_errors(self._client, what):
                yield
        except StoreUnavailable:
            self._check()
            raise

    def _patiently(self, request: Callable[[], T], is_abandoned: IsAbandoned = lambda: False) -> T:
        return patiently(request, self._patience_seconds, is_abandoned)

    def _put_at_once(self, key: str, content: bytes, is_abandoned: IsAbandoned) -> FileVersion:
        body = content if len(content) <= SEND_BYTES else Body(content, is_abandoned)
        answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        return self._learn(key, answer["ETag"], FileVersion(len(content), hashlib.sha256(content).hexdigest()))

    def _put_in_parts(self, key: str, file: BinaryIO, size: int, is_abandoned: IsAbandoned) -> FileVersion:
        upload_id = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        in_flight: deque[Future[CompletedPartTypeDef]] = deque()
        try:
            parts, version = self._send_parts(key, upload_id, file, size, is_abandoned, in_flight)
            if is_abandoned():
                raise Cut
            return self._learn(key, self._complete(key, upload_id, parts), version)
        except BaseException:
            for future in in_flight:
                future.cancel()
            for future in in_flight:
                with suppress(BaseException):  # the first failure is the one that counts
                    future.result()
            self._cutter.let_pass()  # a real instance leaves that to a lifecycle rule; here it frees memory
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            raise

    def _complete(self, key: str, upload_id: str, parts: list[CompletedPartTypeDef]) -> str:
        """Join the parts; the object's ETag. Where the answer to a first try was lost, the client's next one finds no
        such upload; what tells whether it was completed is the object itself, by the ETag that its parts have."""
        try:
            return self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
            )["ETag"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchUpload":
                with suppress(ClientError):
                    etag = self._client.head_object(Bucket=self._bucket, Key=key)["ETag"]
                    if etag.strip('"') == _etag_of(parts):
                        return etag
            raise

    def _send_parts(
        self,
        key: str,
        upload_id: str,
        file: BinaryIO,
        size: int,
        is_abandoned: IsAbandoned,
        in_flight: deque[Future[CompletedPartTypeDef]],
    ) -> tuple[list[CompletedPartTypeDef], FileVersion]:
        part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
        digest, sent, number = hashlib.sha256(), 0, 0
        parts: list[CompletedPartTypeDef] = []
        while sent < size and (content := _read(file, min(part_bytes, size - sent))):
            if is_abandoned():
                raise Cut
            number, sent = number + 1, sent + len(content)
            in_flight.append(self._parts.submit(self._send_part, key, upload_id, number, content, is_abandoned))
            digest.update(content)
            while len(in_flight) >= PARTS_IN_FLIGHT:
                parts.append(in_flight.popleft().result())
        while in_flight:
            parts.append(in_flight.popleft().result())
        return parts, FileVersion(sent, digest.hexdigest())

    def _send_part(
        self, key: str, upload_id: str, number: int, content: bytes, is_abandoned: IsAbandoned
    ) -> CompletedPartTypeDef:
        with self._cutter.until(is_abandoned):
            answer = self._client.upload_part(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=Body(content, is_abandoned),
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def get(self, path: str, target: Path, is_abandoned: IsAbandoned = lambda: False) -> FileVersion:
        """Fetch an object in one stream (moto answers ranges by copying the whole object for each).

        Raises FileNotFoundError when there is none, OSError of the local disk, TransferAbandoned (nothing is left of
        the file then) and EnvironmentFailure.
        """
        handle, aside = tempfile.mkstemp(prefix=".spot-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:

                def fetched() -> FileVersion:
                    file.seek(0)
                    file.truncate()
                    return self._fetch(self._key_of(path), file.write, is_abandoned)

                version = self._patiently(fetched, is_abandoned)
            Path(aside).chmod(0o644)  # as any script's own file; mkstemp makes 0600
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        return version

    def _fetch(self, key: str, write: Callable[[bytes], object], is_abandoned: IsAbandoned) -> FileVersion:
        digest, size = hashlib.sha256(), 0
        with self._errors(f"s3://{self._bucket}/{key} cannot be fetched"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                raise FileNotFoundError(errno.ENOENT, "there is no such object", key) from None
            with closing(answer["Body"]) as body:  # entered itself, it notices no cut (botocore #3564)
                while chunk := body.read(CHUNK_BYTES):
                    if is_abandoned():
                        raise TransferAbandoned(key)
                    digest.update(chunk)
                    write(chunk)
                    size += len(chunk)
        return self._learn(key, answer["ETag"], FileVersion(size, digest.hexdigest()))

    def list(self) -> list[ObjectInfo]:
        """All objects below the prefix as it was given, by path; the keys ending in a slash that consoles make for
        folders are left out. Paths may be unsafe to join (`../x`): see `folder.is_safe`."""
        own: dict[str, ObjectInfo] = {}
        siblings: dict[str, tuple[str, ObjectInfo]] = {}
        for key, size, etag in self._patiently(self._keys):
            if key.startswith(self._own):
                path = key[len(self._own) :]
                own[path] = ObjectInfo(path, size, etag)
            else:
                path = key[len(self._prefix) :]
                siblings[path] = key, ObjectInfo(path, size, etag)
        with self._lock:
            self._siblings = {path: key for path, (key, _) in siblings.items() if path not in own}
        return sorted(({path: info for path, (_, info) in siblings.items()} | own).values(), key=lambda info: info.path)

    def _keys(self) -> Sequence[tuple[str, int, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        with self._errors(f"s3://{self._bucket}/{self._prefix} cannot be listed"):
            return [
                (item["Key"], item["Size"], item["ETag"])
                for page in pages
                for item in page.get("Contents", [])
                if item["Key"] != self._prefix and not item["Key"].endswith("/")
            ]

    def delete(self, path: str, is_abandoned: IsAbandoned = lambda: False) -> None:
        """Delete an own object; deleting what is not there is no error. Raises TransferAbandoned, and
        EnvironmentFailure: StoreUnavailable where it may be tried again."""
        with self._errors(f"{path} cannot be deleted"), self._cutter.until(is_abandoned):
            try:
                self._client.delete_object(Bucket=self._bucket, Key=self._own + path)
            except Cut:
                raise TransferAbandoned(path) from None

    def digests(self) -> Manifest:
        """The manifest of what is durable now. Costs one listing; only content that this store has neither sent nor
        fetched is fetched and hashed. Objects with unsafe paths are left out. Raises EnvironmentFailure."""
        with ThreadPoolExecutor(HASHING_THREADS, "s3-hash") as pool:
            versions = pool.map(self._version_of, infos := [info for info in self.list() if is_safe(info.path)])
            return {info.path: version for info, version in zip(infos, versions, strict=True) if version is not None}

    def _version_of(self, info: ObjectInfo) -> FileVersion | None:
        key = self._key_of(info.path)
        with self._lock:
            known = self._known.get((key, info.etag, info.bytes))
        if known is not None:
            return FileVersion(info.bytes, known)
        try:
            return self._patiently(lambda: self._fetch(key, lambda chunk: None, lambda: False))
        except FileNotFoundError:
            return None  # deleted since it was listed

    def close(self) -> None:
        """Let go of the threads that send parts."""
        self._cutter.close()
        self._parts.shutdown(wait=False, cancel_futures=True)

    def _key_of(self, path: str) -> str:
        with self._lock:
            return self._siblings.get(path, self._own + path)

    def _learn(self, key: str, etag: str, version: FileVersion) -> FileVersion:
        with self._lock:
            self._known[key, etag, version.bytes] = version.digest
        return version


def _read(file: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes; fewer only at the end of a file that shrank."""
    chunks: list[bytes] = []
    while size > 0 and (chunk := file.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _etag_of(parts: Sequence[CompletedPartTypeDef]) -> str:
    """The ETag of an object made of parts: the MD5 of their MD5s, and how many they are (moto's rule, and S3's for
    objects that are not encrypted with KMS: "Checking object integrity", Amazon S3 User Guide)."""
    digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"

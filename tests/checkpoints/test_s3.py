"""What S3Store promises beyond the port: prefixes, parts, digests, and errors that a person can act on."""

from __future__ import annotations

import hashlib
import os
from itertools import count
from pathlib import Path

import pytest

from simulator.checkpoints.s3 import PART_BYTES, S3Store
from simulator.checkpoints.s3_client import make_s3_client
from simulator.checkpoints.store import FileVersion, TransferAbandoned
from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.services.s3 import S3Service


def never() -> bool:
    return False


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(PART_BYTES * 2 + 12345))
    return path


def keys(s3: S3Service, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def put(s3: S3Service, bucket: str, *keys: str) -> None:
    for key in keys:
        s3.client.put_object(Bucket=bucket, Key=key, Body=key.encode())


@pytest.mark.parametrize(("prefix", "key"), [("job-1", "job-1/a"), ("job-1/", "job-1/a"), ("", "a")])
def test_a_file_goes_below_the_prefix(s3: S3Service, bucket: str, tmp_path: Path, prefix: str, key: str) -> None:
    (tmp_path / "a").write_bytes(b"x")
    s3.store(bucket, prefix).put(tmp_path / "a", "a", never)
    assert keys(s3, bucket) == [key]


def test_a_prefix_without_a_slash_lists_its_siblings_too(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    store = s3.store(bucket, "job-1")
    put(s3, bucket, "job-1/a", "job-10/x", "job-2/b")
    assert [info.path for info in store.list()] == ["0/x", "a"]
    store.get("0/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"job-10/x"


def test_a_prefix_with_a_slash_lists_its_own_objects_only(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "job-1/")
    put(s3, bucket, "job-1/a", "job-10/x")
    assert [info.path for info in store.list()] == ["a"]


def test_a_siblings_object_is_never_deleted(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "job-1")
    put(s3, bucket, "job-10/x")
    store.list()
    store.delete("0/x")
    assert keys(s3, bucket) == ["job-10/x"]


def test_an_own_object_counts_more_than_a_siblings_of_the_same_path(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    store = s3.store(bucket, "job-1")
    put(s3, bucket, "job-1/0/x", "job-10/x")
    assert [info.path for info in store.list()] == ["0/x"]
    store.get("0/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"job-1/0/x"


def test_folder_markers_of_consoles_are_no_objects(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "job-1")
    put(s3, bucket, "job-1/", "job-1/sub/", "job-1/sub/a")
    assert [info.path for info in store.list()] == ["sub/a"]


def test_more_objects_than_one_listing_holds_are_all_listed(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "many")
    put(s3, bucket, *(f"many/{number}" for number in range(1_005)))
    assert len(store.list()) == 1_005


def test_a_big_file_goes_up_in_parts_and_comes_back_the_same(
    s3: S3Service, bucket: str, big: Path, tmp_path: Path
) -> None:
    store = s3.store(bucket, "job")
    version = store.put(big, "big", never)
    assert version == FileVersion(big.stat().st_size, hashlib.sha256(big.read_bytes()).hexdigest())
    assert store.list()[0].etag.endswith('-3"')
    assert store.get("big", tmp_path / "back") == version


def test_a_big_upload_cut_in_the_middle_leaves_nothing(s3: S3Service, bucket: str, big: Path) -> None:
    store, asked = s3.store(bucket, "job"), count()
    with pytest.raises(TransferAbandoned):
        store.put(big, "big", lambda: next(asked) > 20)
    assert keys(s3, bucket) == []
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=bucket)


def test_a_small_upload_cut_in_the_middle_of_its_body_leaves_nothing(
    s3: S3Service, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(PART_BYTES))
    store, asked = s3.store(bucket, "job"), count()
    with pytest.raises(TransferAbandoned):
        store.put(tmp_path / "file", "a", lambda: next(asked) > 5)
    assert keys(s3, bucket) == []


def test_a_cut_upload_leaves_the_older_object_as_it_was(s3: S3Service, bucket: str, big: Path, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    store, asked = s3.store(bucket, "job"), count()
    old = store.put(tmp_path / "old", "a", never)
    with pytest.raises(TransferAbandoned):
        store.put(big, "a", lambda: next(asked) > 20)
    assert store.digests() == {"a": old}


def test_of_a_file_that_grows_meanwhile_the_bytes_at_the_beginning_are_sent(
    s3: S3Service, bucket: str, big: Path
) -> None:
    store, before = s3.store(bucket, "job"), big.read_bytes()

    def grow() -> bool:
        with big.open("ab") as file:
            file.write(b"more")
        return False

    assert store.put(big, "big", grow) == FileVersion(len(before), hashlib.sha256(before).hexdigest())


def test_a_file_that_shrinks_meanwhile_is_sent_as_far_as_it_goes(s3: S3Service, bucket: str, big: Path) -> None:
    store = s3.store(bucket, "job")

    def shrink() -> bool:
        os.truncate(big, PART_BYTES)
        return False

    version = store.put(big, "big", shrink)
    assert store.digests() == {"big": version}
    assert s3.store(bucket, "job").digests() == {"big": version}


def test_digests_of_objects_that_others_put_are_of_their_content(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "job")
    put(s3, bucket, "job/a")
    expected = {"a": FileVersion(5, hashlib.sha256(b"job/a").hexdigest())}
    assert store.digests() == expected
    put(s3, bucket, "job/a")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"other")
    assert store.digests() == {"a": FileVersion(5, hashlib.sha256(b"other").hexdigest())}


def test_digests_leave_out_paths_that_no_folder_can_hold(s3: S3Service, bucket: str) -> None:
    store = s3.store(bucket, "job")
    put(s3, bucket, "job/../x", "job//y", "job/a")
    assert list(store.digests()) == ["a"]


def test_a_key_too_long_for_s3_is_an_error_of_that_file_alone(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(OSError, match="1024"):
        s3.store(bucket, "job").put(tmp_path / "a", "/".join(["x" * 200] * 6), never)


def test_a_fifo_in_a_files_place_is_refused_and_does_not_hang(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="regular"):
        s3.store(bucket, "job").put(tmp_path / "fifo", "fifo", never)


def test_an_s3_that_does_not_answer_is_an_environment_failure(tmp_path: Path) -> None:
    store = S3Store(make_s3_client("http://127.0.0.1:9"), "bucket", "job")
    with pytest.raises(EnvironmentFailure) as caught:
        store.list()
    assert "127.0.0.1:9" in caught.value.why
    assert "curl" in caught.value.next_step


def test_a_bucket_that_is_not_there_is_an_environment_failure(s3: S3Service, bucket: str) -> None:
    with pytest.raises(EnvironmentFailure, match="cannot be listed"):
        S3Store(s3.client, bucket, "job").list()


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com.",
        "https://s3.cn-north-1.amazonaws.com.cn",
        "http://S3.AMAZONAWS.COM:80",
        "https://user@s3.us-east-1.api.aws",
        "s3.example.org",
        "ftp://localhost",
        "http://",
        "http://localhost:port",
        None,
    ],
)
def test_no_client_is_made_for_aws_or_for_nonsense(endpoint: str | None) -> None:
    with pytest.raises(UsageError):
        make_s3_client(endpoint)


def test_the_users_aws_configuration_is_not_read(
    s3: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("[not a configuration")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(broken))
    monkeypatch.setenv("AWS_PROFILE", "of-the-user")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-user")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[str] = []
    client = make_s3_client(s3.endpoint)
    client.meta.events.register(
        "before-send.s3", lambda request, **_: seen.append(str(request.headers["Authorization"]))
    )
    client.list_buckets()
    assert "testing" in seen[0]
    assert "of-the-user" not in seen[0]

"""Objects of a real S3 endpoint: whole or not there, and replaced only where nobody else was faster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backend.settings import Settings
from backend.storage.bucket import Bucket, UnchangedError
from wsol_core.errors import ConfigError, StorageError

pytestmark = pytest.mark.slow


def test_an_object_is_replaced_only_where_its_content_is_known(bucket: Bucket) -> None:
    assert bucket.read("a/b") is None
    first = bucket.write("a/b", b"1", over=None)
    assert first is not None
    assert bucket.write("a/b", b"2", over=None) is None
    second = bucket.write("a/b", b"2", over=first)
    assert second is not None
    assert bucket.write("a/b", b"3", over=first) is None
    found = bucket.read("a/b")
    assert found is not None and (found.data, found.tag) == (b"2", second)
    with pytest.raises(UnchangedError):
        bucket.read("a/b", unless=second)
    assert bucket.tags("a/") == {"a/b": second}
    bucket.remove("a/b")
    assert (bucket.tags(""), bucket.write("a/b", b"4", over=second)) == ({}, None)
    bucket.require_conditions()
    assert bucket.tags("") == {}


def test_files_go_there_and_come_back(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    assert bucket.send(tmp_path / "a", "files/a") == bucket.tag("files/a")
    assert bucket.fetch("files/a", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not bucket.fetch("files/c", tmp_path / "c")


def test_a_fork_uses_the_bucket_of_its_parent(bucket: Bucket) -> None:
    bucket.write("a", b"1", over=None)
    if (pid := os.fork()) == 0:
        found = bucket.read("a")
        os._exit(0 if found is not None and found.data == b"1" else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_bucket_that_is_not_there_is_named(s3_url: str) -> None:
    with pytest.raises(
        StorageError, match=r"s3://no-such-bucket/a cannot be read: .* Is the store up, and are MODEL_DIR"
    ):
        Bucket("s3://no-such-bucket").read("a")


def test_a_store_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="s3://bucket/a cannot be written"):
        Bucket("s3://bucket").write("a", b"", over=None)


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=r"s3://bucket needs the package s3fs, .* pip install 'boxstrap\[s3\]'"):
        Bucket("s3://bucket").read("a")


@pytest.mark.parametrize("text", ["s3:/bucket", "s3://", "s3://UP", "s3://bucket/a b"])
def test_an_address_without_meaning_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"MODEL_DIR is .*; write a folder, s3://BUCKET"):
        Settings.from_env({"MODEL_DIR": text})


def test_copies_of_a_bucket_lie_at_home(tmp_path: Path) -> None:
    settings = Settings.from_env({"MODEL_DIR": "s3://bucket/a/", "BOXSTRAP_HOME": str(tmp_path)})
    assert (settings.bucket, settings.models) == ("s3://bucket/a", tmp_path / "shared" / "bucket_a" / "models")
    assert Settings.from_env({"MODEL_DIR": str(tmp_path)}).bucket is None

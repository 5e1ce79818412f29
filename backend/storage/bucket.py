"""Objects on S3-compatible storage, by s3fs: each is there whole or not at all, and is replaced under a condition.

Credentials and endpoint are botocore's own settings: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol_core.errors import ConfigError, StorageError

ATTEMPTS = 2  # of a request; whoever asks tries again in his own time
CONNECT_S, ANSWER_S = 3, 20
NOT_MODIFIED, NOT_FOUND, CONFLICT, CONDITION_FAILED = 304, 404, 409, 412


@dataclass(frozen=True, slots=True)
class Content:
    """What an object holds, and the tag (ETag) by which the store knows just this content."""

    data: bytes
    tag: str


class Bucket:
    """The objects whose names begin with a prefix. For any number of threads, and for forks.

    Every method raises StorageError where the store is away or refuses.
    """

    def __init__(self, url: str) -> None:
        """Args: url: s3://BUCKET or s3://BUCKET/PREFIX."""
        self.url = url.rstrip("/")
        self._name, _, prefix = self.url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._opened: tuple[int, Any] | None = None  # process, file system: its thread does not survive a fork

    def read(self, name: str, unless: str | None = None) -> Content | None:
        """Return an object's content; None if there is none. Raises: UnchangedError where its tag is still `unless`."""
        condition = {"IfNoneMatch": unless} if unless else {}
        with self._errors(name, "read"):
            try:
                answer = self._call("get_object", name, **condition)
                return Content(self._body(answer), answer["ETag"])
            except OSError as error:
                if _status(error) == NOT_MODIFIED:
                    raise UnchangedError(name) from None
                if _status(error) == NOT_FOUND and _code(error) != "NoSuchBucket":
                    return None
                raise

    def write(self, name: str, data: bytes, over: str | None) -> str | None:
        """Replace the content of tag `over`, or make an object that is not there where that is None.

        Returns: the new content's tag; None, and nothing is changed, where the object has another content by now.
        """
        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        with self._errors(name, "written"):
            try:
                tag: str = self._call("put_object", name, Body=data, **condition)["ETag"]
                return tag
            except OSError as error:
                if _status(error) in (CONDITION_FAILED, CONFLICT) or (over and _status(error) == NOT_FOUND):
                    return None
                raise

    def send(self, path: Path, name: str) -> str:
        """Make an object of a file, over whatever there is, and return its tag."""
        with self._errors(name, "written"):
            self._s3().put_file(str(path), self._path(name))
            tag: str = self._call("head_object", name)["ETag"]
            return tag

    def fetch(self, name: str, path: Path) -> bool:
        """Write an object's content into the file `path`; return whether there is such an object."""
        with self._errors(name, "read"):
            try:
                self._s3().get_file(self._path(name), str(path))
            except FileNotFoundError:
                return False
            return True

    def tag(self, name: str) -> str | None:
        """Return the tag of an object's content; None if there is none."""
        return self.tags(name).get(name)

    def tags(self, begin: str) -> dict[str, str]:
        """Return the tags of all objects whose names begin like that, by name."""
        found: dict[str, str] = {}
        more: dict[str, str] = {}
        with self._errors(begin, "listed"):
            while True:
                answer = self._s3().call_s3(
                    "list_objects_v2", Bucket=self._name, Prefix=f"{self._prefix}{begin}", **more
                )
                for each in answer.get("Contents", ()):
                    found[each["Key"].removeprefix(self._prefix)] = each["ETag"]
                if not answer.get("IsTruncated"):
                    return found
                more = {"ContinuationToken": answer["NextContinuationToken"]}

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        with self._errors(name, "removed"):
            self._call("delete_object", name)

    def require_conditions(self) -> None:
        """Raise StorageError unless the store can be written, and refuses what it has to: some ignore conditions."""
        name = f".probe-{uuid.uuid4().hex}"
        try:
            if self.write(name, b"1", None) is None or self.write(name, b"2", None) is not None:
                raise StorageError(
                    f"{self.url} ignores conditions on writing (If-None-Match), so two machines could publish over "
                    "each other; choose a store that knows them, or a folder that all machines share."
                )
        finally:
            with suppress(StorageError):
                self.remove(name)

    def _path(self, name: str) -> str:
        return f"{self._name}/{self._prefix}{name}"

    def _call(self, method: str, name: str, **more: Any) -> Any:
        return self._s3().call_s3(method, Bucket=self._name, Key=f"{self._prefix}{name}", **more)

    def _body(self, answer: Any) -> bytes:
        from fsspec.asyn import sync

        data: bytes = sync(self._s3().loop, answer["Body"].read)
        return data

    def _s3(self) -> Any:
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                from s3fs import S3FileSystem
            except ImportError as error:
                raise ConfigError(
                    f"{self.url} needs the package {error.name}, which is not installed: pip install 'boxstrap[s3]'."
                ) from error
            patience = {"connect_timeout": CONNECT_S, "read_timeout": ANSWER_S, "retries": {"max_attempts": 0}}
            s3 = S3FileSystem(config_kwargs=patience, use_listings_cache=False, skip_instance_cache=True)
            s3.retries = ATTEMPTS
            self._opened = (os.getpid(), s3)
        return self._opened[1]

    @contextmanager
    def _errors(self, name: str, what: str) -> Iterator[None]:
        """Inside, whatever the store or the network raises is a StorageError."""
        try:
            yield
        except (StorageError, ConfigError, UnchangedError):
            raise
        except Exception as error:  # botocore's own are no OSErrors, and s3fs raises both
            if isinstance(error, OSError) and error.filename is not None:  # the file here, not the object
                raise
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise StorageError(
                f"{self.url}/{name} cannot be {what}: {reason.rstrip('.')}. Is the store up, and are MODEL_DIR, "
                "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right?"
            ) from error


@functools.cache
def open_bucket(url: str) -> Bucket:
    """Return the one bucket of that address in this process: its client takes a while to make."""
    return Bucket(url)


class UnchangedError(Exception):
    """An object's content is still what the caller knows."""


def _response(error: BaseException) -> Any:
    return getattr(error.__cause__, "response", None) or {}


def _status(error: BaseException) -> int | None:
    """The HTTP status of the store's answer; None where it gave none."""
    status: int | None = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))

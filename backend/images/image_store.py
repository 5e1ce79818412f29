"""Fetch the pictures that tasks refer to, into files. The only place that follows an address from task data.

See url_guard.py for which addresses are allowed, and disk_cache.py for the files.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self
from urllib.parse import unquote

import httpcore
import httpx

from backend.errors import (
    UNTRUSTED,
    ImageError,
    ImageNotNowError,
    LabelStudioError,
    UnreachableError,
    is_untrusted_certificate,
)
from backend.images.content_encoding import unpacked
from backend.images.disk_cache import DiskCache, check_picture
from backend.images.references import is_in_storage, plain_reference
from backend.images.url_guard import AllowedHosts, CheckedNetwork, LabelStudioSite, Resolver, parse_url, resolve
from backend.settings import Settings
from backend.storage.stores import open_stores
from wsol_core.config import MAX_IMAGE_PIXELS

MB, GB = 2**20, 2**30
MAX_REDIRECTS = 5
PAUSES_S = (0.3, 1.0)  # before the second and the third attempt
_TEMPORARY = frozenset((408, 425, 429))  # and everything from 500
_IN_BASE64 = re.compile(r"data:(image/[^,]*|application/octet-stream|);\s*base64\s*", re.IGNORECASE)
_WITH_PICTURE = (200, 203)  # the second through a proxy that changed something
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_NOT_IN_STORAGE = (400, 404, 424)  # Label Studio's answers where it has no storage for a URI, or that one fails
_NEXT_STEPS = {
    401: "check LABEL_STUDIO_API_KEY, or who may read the picture",
    403: "check LABEL_STUDIO_API_KEY, or who may read the picture",
    404: "put it back, or correct the task",
    410: "put it back, or correct the task",
}


class LabelStudioAccess(Protocol):
    """What the pictures need of the Label Studio client."""

    @property
    def base_url(self) -> str:
        """Such as http://localhost:8080 or https://host/prefix, without a trailing slash."""

    def authorization(self) -> str:
        """The value of the Authorization header; LabelStudioError if there is none to be had."""


@dataclass(frozen=True, slots=True)
class ImageRules:
    """What a picture may be. `timeout_s` is for one attempt from start to end, redirects included."""

    max_bytes: int
    max_pixels: int
    timeout_s: float
    private_hosts: tuple[str, ...] = ()  # hosts, IPs or networks with private addresses that are allowed


class ImageStore:
    """The pictures of all projects, fetched once and kept in files; for any number of threads and processes."""

    def __init__(
        self,
        folder: Path,
        rules: ImageRules,
        max_cache_bytes: int,
        label_studio: LabelStudioAccess | None,
        *,
        hostname_of: Callable[[str], str] = lambda _: "",
        sleep: Callable[[float], None] = time.sleep,
        resolver: Resolver = resolve,
    ) -> None:
        """Args: hostname_of: the address that Label Studio gives itself, by project; "" where it gives none."""
        self._cache = DiskCache(folder, max_cache_bytes)
        self._rules = rules
        self._label_studio = label_studio
        self._site = LabelStudioSite(label_studio.base_url) if label_studio else None
        self._hosts = AllowedHosts(self._site, rules.private_hosts, resolver)
        self._hostname_of, self._sleep = hostname_of, sleep
        self._tls = httpx.create_ssl_context()

    @classmethod
    def from_settings(cls, settings: Settings, label_studio: LabelStudioAccess | None) -> Self:
        """The store that all processes of one installation share."""
        rules = ImageRules(
            max_bytes=settings.image_max_mb * MB,
            max_pixels=min(settings.image_max_megapixels * 1_000_000, MAX_IMAGE_PIXELS),
            timeout_s=settings.image_timeout_s,
            private_hosts=settings.image_hosts,
        )
        projects, room_bytes = open_stores(settings).projects, int(settings.image_cache_gb * GB)

        def hostname_of(project_id: str) -> str:
            project = projects.find(project_id)
            return project.hostname if project else ""

        return cls(settings.home / "pictures", rules, room_bytes, label_studio, hostname_of=hostname_of)

    def fetch(self, reference: str, project_id: str, task_id: int | None) -> Path:
        """The picture's file in the cache; whoever asks has to open it within `disk_cache.KEEP_S` seconds.

        `reference` is what stands in the task's data: a path of Label Studio, an http(s) URL, the URI of a storage
        such as s3:// (which needs `task_id`), whether Label Studio has resolved it or not, or a data: URI. ImageError
        if the picture cannot be used, ImageNotNowError if it cannot be had for now, after three attempts.
        """
        reference = plain_reference(reference, self._hostname_of(project_id))
        key = self._key(reference)
        if found := self._cache.find(project_id, key):
            return found
        try:
            return self._cache.add(project_id, key, self._writer(reference, task_id), self._rules.max_pixels)
        except (ImageNotNowError, UnreachableError) as error:
            raise ImageNotNowError(f"Picture {shown(reference)}: {str(error).rstrip('.')}.") from error
        except (ImageError, LabelStudioError) as error:
            raise ImageError(f"Picture {shown(reference)}: {str(error).rstrip('.')}.") from error

    def cached(self, references: Sequence[str], project_id: str) -> list[Path | None]:
        """The files of those pictures that are in the cache, as `fetch` gives them; None of all others."""
        hostname = self._hostname_of(project_id)
        return [self._cache.find(project_id, self._key(plain_reference(each, hostname))) for each in references]

    def path_of(self, reference: str, project_id: str) -> Path:
        """Where the cache has a picture, or will have it; `reference` as in `fetch`."""
        return self._cache.path(project_id, self._key(plain_reference(reference, self._hostname_of(project_id))))

    def _key(self, reference: str) -> str:
        base_url = self._label_studio.base_url if self._label_studio else ""
        return hashlib.sha256(f"{base_url}\n{reference}".encode(errors="surrogatepass")).hexdigest()

    def keep(self, reference: str, project_id: str) -> Path:
        """The file of a data: URI's content, in the cache; nothing of it is decoded. `checked` has to see it first."""
        content = self._decode(reference)
        key = "unchecked-" + hashlib.sha256(content).hexdigest()
        found = self._cache.find(project_id, key)
        return found or self._cache.add(project_id, key, lambda file: file.write(content), None)

    def checked(self, path: Path) -> Path:
        """The file that `keep` gave, perhaps in another process. Raises: ImageError if it is no usable picture."""
        try:
            check_picture(path, self._rules.max_pixels)
        except ImageError as error:
            raise ImageError(f"Picture in the task's data: {str(error).rstrip('.')}.") from error
        return path

    def _writer(self, reference: str, task_id: int | None) -> Callable[[IO[bytes]], object]:
        """A function that writes the picture into a file. Errors of all below do not name the picture; `fetch` does."""
        if reference.startswith("data:"):
            content = self._decode(reference)
            return lambda file: file.write(content)
        url = self._url(reference, task_id)
        return lambda file: self._download(url, file)

    def _url(self, reference: str, task_id: int | None) -> httpx.URL:
        if reference.startswith("//"):  # by whatever the page came by
            reference = f"{self._site.scheme if self._site else 'https'}:{reference}"
        if reference.lower().startswith(("http://", "https://")):
            return parse_url(reference)
        in_storage = is_in_storage(reference)
        if not in_storage and not reference.startswith("/"):
            raise ImageError("pictures come from http, https, s3, gs, azure-blob and data: addresses; correct the task")
        if self._site is None:
            raise ImageError("only Label Studio can serve it; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY")
        if not in_storage:
            return self._site.url(reference)
        if task_id is None:
            raise ImageError("Label Studio serves cloud storage by task, and this one has no id; import it first")
        return self._site.presign_url(task_id, reference)

    def _decode(self, reference: str) -> bytes:
        header, _, body = reference.partition(",")
        if not _IN_BASE64.fullmatch(header):
            raise ImageError("a data: address has to begin with data:image/...;base64; correct the task")
        if len(body) > 4 * self._rules.max_bytes:  # not worth decoding, however much of it is percent-encoding
            raise self._too_large()
        try:
            text = "".join(unquote(body).split()).rstrip("=")
            content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError as error:
            raise ImageError("its base64 text is torn; import the task again") from error
        if len(content) > self._rules.max_bytes:
            raise self._too_large()
        return content

    def _download(self, url: httpx.URL, file: IO[bytes]) -> None:
        for pause_s in PAUSES_S:
            try:
                return self._attempt(url, file)
            except ImageNotNowError:
                self._sleep(pause_s)
        return self._attempt(url, file)

    def _attempt(self, url: httpx.URL, file: IO[bytes]) -> None:
        network = CheckedNetwork(self._hosts, time.monotonic() + self._rules.timeout_s)
        try:
            with httpcore.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool:
                self._follow(pool, url, file)
        except httpcore.TimeoutException as error:
            raise ImageNotNowError(
                f"it did not arrive within {self._rules.timeout_s:g} s (IMAGE_TIMEOUT); try again later"
            ) from error
        except httpcore.NetworkError as error:
            if is_untrusted_certificate(error):
                raise ImageError(f"{url.host}: {UNTRUSTED}") from error
            raise ImageNotNowError(f"the connection failed ({str(error)[:200]}); try again later") from error
        except httpcore.ProtocolError as error:
            raise ImageNotNowError("the answer broke off, or is no HTTP; try again later") from error

    def _follow(self, pool: httpcore.ConnectionPool, url: httpx.URL, file: IO[bytes]) -> None:
        for _ in range(MAX_REDIRECTS + 1):
            address = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            with pool.stream("GET", address, headers=self._headers(url)) as response:
                location = _header(response, b"location") if response.status in _REDIRECTS else None
                if location is None:
                    return self._receive(response, url, file)
            try:
                url = parse_url(str(url.join(location)))
            except httpx.InvalidURL as error:
                raise ImageError("it is redirected to no valid URL; correct its address in the task") from error
        raise ImageError(f"it is redirected more than {MAX_REDIRECTS} times; write the final address into the task")

    def _headers(self, url: httpx.URL) -> list[tuple[bytes, bytes]]:
        headers = [(b"Host", url.netloc), (b"User-Agent", b"boxstrap"), (b"Accept", b"*/*")]
        headers.append((b"Accept-Encoding", b"identity"))  # so that the bytes counted are the picture's
        if self._label_studio and self._site and self._site.gets_token(url):
            headers.append((b"Authorization", self._label_studio.authorization().encode()))
        return headers

    def _receive(self, response: httpcore.Response, url: httpx.URL, file: IO[bytes]) -> None:
        status = response.status
        if status in _TEMPORARY or status >= 500:
            raise ImageNotNowError(f"{url.host} answered {status}; try again later")
        if status in _NOT_IN_STORAGE and self._site is not None and self._site.asks_storage(url):
            raise ImageError(
                f"Label Studio answered {status}: no source storage of the project can read it; add that of its bucket "
                "(Settings, Cloud Storage), or correct its credentials"
            )
        if status not in _WITH_PICTURE:
            raise ImageError(f"{url.host} answered {status}; {_NEXT_STEPS.get(status, 'correct its address')}")
        if int(_header(response, b"content-length") or 0) > self._rules.max_bytes:
            raise self._too_large()
        file.seek(0)  # an earlier attempt may have left its part
        file.truncate()
        for chunk in unpacked(response.iter_stream(), _header(response, b"content-encoding") or ""):
            file.write(chunk)
            if file.tell() > self._rules.max_bytes:
                raise self._too_large()

    def _too_large(self) -> ImageError:
        return ImageError(
            f"it has more than {self._rules.max_bytes:,} bytes (IMAGE_MAX_MB); make it smaller, or raise the limit"
        )


def shown(reference: str) -> str:
    """A reference as messages show it: short, on one line, without passwords, signatures and image bytes."""
    if reference.startswith("data:"):
        kind = re.match(r"data:([a-z]+/[a-z0-9.+-]{1,20}(?=[;,]))?", reference)
        return f"{kind[0] if kind else ''},... ({len(reference):,} characters)"
    text = re.sub(r"//[^/?#]*@", "//", reference)
    if not text.startswith("/data/local-files/"):  # there the query is the file's name
        text = re.split(r"[?#]", text)[0]
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= 120 else f"{text[:60]}...{text[-57:]}"


def _header(response: httpcore.Response, name: bytes) -> str | None:
    return next((value.decode("utf-8", "replace") for key, value in response.headers if key.lower() == name), None)

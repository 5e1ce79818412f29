"""The one form of a picture's reference, of the many in which Label Studio and people write it.

Label Studio 1.23 stores `s3://bucket/a.png` and hands it out as `/tasks/7/resolve/?fileuri=...`, with its HOSTNAME in
front where it has one; it writes that HOSTNAME into the addresses of local files, too. Neither needs to be an address
that this machine reaches, so what is Label Studio's own is asked for at LABEL_STUDIO_URL. Nothing is fetched here.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_RESOLVER = re.compile(r"(?:/[^?#]*)?/(?:tasks|projects)/[0-9]+/(?:resolve|presign)/?")
_OWN_PATH = re.compile(r"/(data|storage-data|tasks/[0-9]+|projects/[0-9]+)/")
_OF_THE_WEB = ("http", "https")
_OF_NO_STORAGE = (*_OF_THE_WEB, "data", "file", "ftp", "ftps")


def plain_reference(reference: str, hostname: str = "") -> str:
    """Return what the picture is called in its storage, or its path in Label Studio, or the reference as it is.

    Args: hostname: the address that Label Studio gives itself, as /setup says it; with it go addresses below it.

    Example:
        >>> plain_reference("https://labels.example/tasks/7/resolve/?fileuri=czM6Ly9iL2EucG5n")
        's3://b/a.png'
        >>> plain_reference("https://labels.example/data/local-files/?d=a.png", "https://labels.example")
        '/data/local-files/?d=a.png'
    """
    text = reference.strip()
    if text.startswith("data:"):
        return text
    text = _with_slashes(text)
    return _resolved(text) or _below(text, hostname.strip().rstrip("/")) or text


def is_in_storage(reference: str) -> bool:
    """Return whether it is a URI of a storage that only Label Studio can read: s3, gs, azure-blob and their like."""
    found = _SCHEME.match(reference)
    return found is not None and found[1].lower() not in _OF_NO_STORAGE


def _resolved(text: str) -> str | None:
    """Return the URI inside of an address that asks Label Studio to resolve it; None where it is none."""
    try:
        address = urlsplit(text)
    except ValueError:
        return None
    if address.scheme not in ("", *_OF_THE_WEB) or not _RESOLVER.fullmatch(address.path):
        return None
    code = parse_qs(address.query).get("fileuri", [""])[0]
    try:
        uri = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode()
    except ValueError:
        uri = unquote(code)  # as older versions wrote it
    return uri if is_in_storage(uri) else None


def _with_slashes(text: str) -> str:
    """Return an address, or a path, as browsers read one that was made on Windows."""
    if not text.startswith(("/", "http://", "https://")):
        return text
    end = min((place for place in map(text.find, "?#") if place >= 0), default=len(text))
    return text[:end].replace("\\", "/") + text[end:]


def _below(text: str, hostname: str) -> str | None:
    """Return the path of an address that Label Studio made of its hostname, by http or https; None of another's."""
    address, own = (_SCHEME.sub("", each) for each in (text, hostname))
    if not own or address == text or not address.startswith(f"{own}/"):
        return None
    path = address.removeprefix(own)
    return path if _OWN_PATH.match(path) else None

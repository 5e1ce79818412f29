"""Decide which addresses pictures may be fetched from, and which of them get Label Studio's token.

Task data comes from people whom the operator need not trust, so an address in it must not lead into the intranet.
Errors here name no picture; image_store.py adds it. Our own code, since a check before a URL is handed to an HTTP
client is no protection: the client resolves the name again, and may be told another address. Here the address that was
checked is the one connected to.
"""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from ssl import SSLContext
from urllib.parse import unquote

import httpcore
import httpx

from backend.errors import ImageError

Resolver = Callable[[str, int], Sequence[str]]  # host, port -> its IP addresses; OSError if there are none

_PICTURES = re.compile(r"/(data|storage-data)/.|/tasks/[0-9]+/presign/")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_DOTS = {".", ".."}
_MOST_LAYERS = 3  # of percent-encoding


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, best first. OSError if there are none; the system limits how long it takes."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def parse_url(text: str) -> httpx.URL:
    """An http(s) URL, normalised; ImageError if it is none or carries a user or password."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ImageError("its address is no valid URL; correct it in the task") from error
    if url.scheme not in ("http", "https") or not url.host or not 0 < (url.port or 80) < 65536:
        raise ImageError("its address is no valid http or https URL; correct it in the task")
    if url.userinfo:
        raise ImageError("its address holds a user or password; take them out, or use a storage of Label Studio")
    return url


class LabelStudioSite:
    """Label Studio's own addresses. `base_url` may have a path, and has no trailing slash."""

    def __init__(self, base_url: str) -> None:
        base = httpx.URL(base_url)
        self._origin = f"{base.scheme}://{base.netloc.decode('ascii')}"
        self._prefix = base.raw_path.decode("ascii").rstrip("/")
        self.scheme = base.scheme
        self.host_and_port = _host_and_port(base)

    def url(self, path: str) -> httpx.URL:
        """Where a path from task data such as /data/upload/7/a.png is; ImageError if pictures do not lie there."""
        for root in (self._origin, self._origin + self._prefix):  # the path may carry the prefix, or lack it
            url = parse_url(root + path)
            if self.gets_token(url):
                return url
        raise ImageError("it is no path of Label Studio's pictures, /data/ or /storage-data/; correct it in the task")

    def presign_url(self, task_id: int, uri: str) -> httpx.URL:
        """Where Label Studio says how a task's s3://, gs:// or azure-blob:// URI can be read."""
        code = base64.urlsafe_b64encode(uri.encode(errors="surrogatepass")).decode()
        return parse_url(f"{self._origin}{self._prefix}/tasks/{task_id}/presign/?fileuri={code}")

    def asks_storage(self, url: httpx.URL) -> bool:
        """Whether it is an address as `presign_url` makes it."""
        return self.gets_token(url) and "/presign/" in url.path

    def gets_token(self, url: httpx.URL) -> bool:
        """Whether it is an address of Label Studio's pictures, however a server decodes its path."""
        if (url.scheme, *_host_and_port(url)) != (self.scheme, *self.host_and_port):
            return False
        path = _plain_path(url)
        prefix = unquote(self._prefix)
        return path is not None and path.startswith(prefix) and _PICTURES.match(path, len(prefix)) is not None


class AllowedHosts:
    """Says to which IP addresses of a host one may connect.

    Public ones; any of Label Studio's own host and port; private ones if the host, IP or a network around it is among
    `private_hosts`, where `*.example.com` stands for every host below example.com.
    """

    def __init__(
        self, site: LabelStudioSite | None, private_hosts: Iterable[str] = (), resolver: Resolver = resolve
    ) -> None:
        self._label_studio = site.host_and_port if site else None
        self._resolve = resolver
        hosts = [_named_host(name) for name in private_hosts]
        self._names = set(hosts)
        self._networks = [network for name, port in hosts if not port and (network := _network(name)) is not None]

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """The host's IP addresses, best first. ImageError if one is not allowed; httpcore.ConnectError if unknown."""
        try:
            found = self._resolve(host, port)
        except UnicodeError as error:
            raise ImageError(f"{host[:80]} is no valid host name; correct the address in the task") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host} is not known ({error.strerror or error})") from error
        names = _name_and_patterns(host.lower())
        named = {(name, each) for name in names for each in (None, port)}
        if (host.lower(), port) == self._label_studio or not named.isdisjoint(self._names):
            return found
        for text in found:
            address = ip_address(text)
            if (text, port) in self._names:
                continue
            if not is_public(address) and not any(address in network for network in self._networks):
                raise ImageError(
                    f"{host}:{port} is at {text}, which is no public address; if pictures may come from there, add the"
                    " host to IMAGE_HOSTS, and if it is Label Studio, write its address as in LABEL_STUDIO_URL"
                )
        return found


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is a host's address in the open internet; IPv6 addresses that stand for an IPv4 one count as that."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_UNICAST and address.is_global


class CheckedNetwork(httpcore.NetworkBackend):
    """Connects to allowed addresses only, and ends everything at `deadline` (seconds of time.monotonic).

    The address that was checked is the one connected to, so a name that resolves differently the next time gains
    nothing. TLS still verifies the host's name. httpcore's own timeouts are between bytes, and are not used.
    """

    def __init__(self, hosts: AllowedHosts, deadline: float) -> None:
        self._hosts = hosts
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._hosts.addresses(host, port)
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError(f"{host} has no address")
        for index, address in enumerate(addresses):
            share_s = _left(self._deadline) / (len(addresses) - index)  # a dead one leaves time for the next
            try:
                stream = self._network.connect_tcp(address, port, share_s, local_address, socket_options)
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """Seconds until the deadline, more than 0; httpcore.ReadTimeout after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


def _host_and_port(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _plain_path(url: httpx.URL) -> str | None:
    """The path without percent-encoding; None where that hides what it is: dots, backslashes, layers of encoding."""
    path = url.raw_path.split(b"?")[0].decode("ascii")
    for _ in range(_MOST_LAYERS):
        path = unquote(path)
    if unquote(path) != path:
        return None
    hidden = any(part.split(";")[0] in _DOTS for part in re.split(r"[/\\]", path))
    return None if hidden else path


def _name_and_patterns(host: str) -> list[str]:
    """A host as IMAGE_HOSTS may name it: a.b.c, *.b.c, *.c."""
    parts = host.split(".")
    return [host, *(f"*.{'.'.join(parts[number:])}" for number in range(1, len(parts)))]


def _named_host(name: str) -> tuple[str, int | None]:
    """A host of IMAGE_HOSTS with its port, None where every port is meant; people paste whole addresses, too."""
    text = re.sub(r"^[a-z]+://", "", name.strip().lower())
    text = f"*{text}" if text.startswith(".") else text
    if _network(text) is None:
        text = text.split("/")[0]
    found = re.fullmatch(r"\[?([^\]]*?)\]?:([0-9]{1,5})", text) if text.count(":") == 1 or "]:" in text else None
    return (found[1], int(found[2])) if found else (text.strip("[]"), None)


def _network(name: str) -> IPv4Network | IPv6Network | None:
    """An IP or a network as such; None for a host's name."""
    try:
        return ip_network(name, strict=False)
    except ValueError:
        return None

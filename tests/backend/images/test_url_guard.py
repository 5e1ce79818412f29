"""Which addresses are allowed; without a network."""

from __future__ import annotations

import socket
import ssl
import time
from ipaddress import ip_address

import httpcore
import httpx
import pytest

from backend.errors import ImageError
from backend.images.url_guard import AllowedHosts, CheckedNetwork, LabelStudioSite, is_public, resolve

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize("text", [PUBLIC, "2606:2800:220:1::1", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}"])
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "2001:db8::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001:0:7f00:1::",
    ],
)
def test_an_address_of_this_machine_or_a_private_network_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "::1"])
def test_a_host_is_judged_by_what_it_resolves_to(host: str) -> None:
    with pytest.raises(ImageError, match="no public address"):
        AllowedHosts(None).addresses(host, 80)


def test_one_private_address_among_several_is_enough_to_refuse() -> None:
    hosts = AllowedHosts(None, (), lambda host, port: [PUBLIC, "10.0.0.1"])
    with pytest.raises(ImageError, match=r"pictures\.example:80 is at 10\.0\.0\.1"):
        hosts.addresses("pictures.example", 80)


@pytest.mark.parametrize("entry", ["minio.internal", "MinIO.internal", "10.0.0.5", "10.0.0.0/8", "10.0.0.5/8"])
def test_a_private_host_can_be_allowed_by_name_address_or_network(entry: str) -> None:
    hosts = AllowedHosts(None, (entry,), lambda host, port: ["10.0.0.5"])
    assert hosts.addresses("minio.internal", 9000) == ["10.0.0.5"]


def test_label_studio_is_allowed_on_its_own_port_only() -> None:
    hosts = AllowedHosts(LabelStudioSite("http://label-studio:8080"), (), lambda host, port: ["172.18.0.3"])
    assert hosts.addresses("label-studio", 8080) == ["172.18.0.3"]
    with pytest.raises(ImageError, match="LABEL_STUDIO_URL"):
        hosts.addresses("label-studio", 6379)


def test_an_unknown_host_is_a_connection_error_and_a_senseless_one_is_not() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(httpcore.ConnectError, match=r"nowhere\.example is not known \(Name or service"):
        AllowedHosts(None, (), unknown).addresses("nowhere.example", 80)
    with pytest.raises(ImageError, match="no valid host name"):
        AllowedHosts(None, (), resolve).addresses("a" * 64, 80)


@pytest.mark.parametrize(
    ("url", "gets_token"),
    [
        ("https://ls.example/p/data/upload/7/a.png", True),
        ("https://LS.example:443/p/storage-data/uploaded/?filepath=upload/7/a.png", True),
        ("https://ls.example/p/tasks/12/presign/?fileuri=czM6", True),
        ("https://ls.example/p/data/upload/7/50%25.png", True),
        ("https://ls.example/data/upload/7/a.png", False),
        ("https://ls.example/pp/data/upload/7/a.png", False),
        ("https://ls.example/p/data/", False),
        ("https://ls.example/p/tasks/12/", False),
        ("https://ls.example/p/tasks/x/presign/", False),
        ("https://ls.example/p/data/../api/token", False),
        ("https://ls.example/p/data/%2e%2e/api/token", False),
        ("https://ls.example/p/data/%25252525252e/a.png", False),
        ("http://ls.example/p/data/upload/7/a.png", False),
        ("https://ls.example:8443/p/data/upload/7/a.png", False),
        ("https://ls.example.evil.example/p/data/upload/7/a.png", False),
    ],
)
def test_only_label_studios_picture_paths_get_the_token(url: str, gets_token: bool) -> None:
    assert LabelStudioSite("https://ls.example/p").gets_token(httpx.URL(url)) is gets_token


def test_a_base_path_that_looks_like_a_picture_path_is_not_swallowed() -> None:
    site = LabelStudioSite("https://ls.example/data")
    assert str(site.url("/data/upload/7/a.png")) == "https://ls.example/data/data/upload/7/a.png"
    assert str(site.url("/data/data/upload/7/a.png")) == "https://ls.example/data/data/upload/7/a.png"


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[PUBLIC, "93.184.216.35"], ["127.0.0.1"]])  # a name that changes its mind
    tried: list[str] = []

    def connect(self: object, host: str, port: int, *rest: object) -> None:
        tried.append(host)
        raise httpcore.ConnectError("refused")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    network = CheckedNetwork(AllowedHosts(None, (), lambda host, port: next(answers)), time.monotonic() + 5)
    with pytest.raises(httpcore.ConnectError, match="refused"):
        network.connect_tcp("pictures.example", 443)
    assert tried == [PUBLIC, "93.184.216.35"]


def test_tls_still_verifies_the_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str | None] = []

    class Stream(httpcore.MockStream):
        def start_tls(
            self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore.NetworkStream:
            verified.append(server_hostname)
            return self

    answer = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", lambda *_: Stream(answer))
    network = CheckedNetwork(AllowedHosts(None, (), lambda host, port: [PUBLIC]), time.monotonic() + 5)
    with httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=network) as pool:
        assert pool.request("GET", "https://pictures.example/a.png").status == 204
    assert verified == ["pictures.example"]


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hosts = AllowedHosts(None, ("two.example",), lambda host, port: ["127.0.0.2", "127.0.0.1"])
        stream = CheckedNetwork(hosts, time.monotonic() + 5).connect_tcp("two.example", port)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        stream.close()


def test_nothing_begins_after_the_deadline() -> None:
    hosts = AllowedHosts(None, ("127.0.0.1",))
    with pytest.raises(httpcore.TimeoutException):
        CheckedNetwork(hosts, time.monotonic() - 1).connect_tcp("127.0.0.1", 80)

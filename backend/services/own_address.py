"""Where Label Studio finds the service, as far as this machine can know it."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from backend.settings import Settings

ANY = ("0.0.0.0", "::")  # addresses to listen on that are none to call


def own_address(settings: Settings) -> str:
    """Return the service's address: localhost beside Label Studio, else that of the network towards it."""
    host = settings.host
    if host in ANY:
        host = _towards(urlsplit(settings.label_studio_url or "").hostname or "localhost")
    return f"http://{'localhost' if _is_loopback(host) else host}:{settings.port}"


def _towards(host: str) -> str:
    """Return this machine's address on the way to a host; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "localhost"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

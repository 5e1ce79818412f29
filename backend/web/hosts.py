"""The names under which this server may be called: a web page elsewhere can make its own host's name lead here."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from backend.settings import Settings


def own_names(settings: Settings) -> frozenset[str]:
    """Return this machine's names, the address that is listened on, and those that the settings allow.

    The second is how containers call their machine; no name below `internal` exists in the internet.
    """
    names = ("localhost", "host.docker.internal", socket.gethostname(), settings.host, *settings.allowed_hosts)
    return frozenset(name.casefold().rstrip(".") for name in names)


def which_host(header: str) -> str | None:
    """Return the name in a Host header, without its port; None for an IP address, which nobody can lead elsewhere."""
    host = header.strip().casefold()
    if host.startswith("["):
        address, _, port = host[1:].partition("]")
        return None if _is_address(address) and port[:1] in ("", ":") else host
    name = host.partition(":")[0].rstrip(".")
    return None if not host or _is_address(name) else name


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

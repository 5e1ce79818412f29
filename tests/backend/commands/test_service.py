"""`boxstrap serve` and `up`: addresses that cannot be used are said in a sentence, before anything is started."""

from __future__ import annotations

import socket

import pytest

from backend.commands.service import check_address
from backend.errors import BackendError
from demo.local_servers import free_port


def test_a_port_that_is_in_use_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            BackendError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use.*--port"
        ):
            check_address("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 9090), ("no-such-host.invalid", 9090), ("127.0.0.1", 70000)])
def test_an_address_that_is_not_of_this_machine_is_named(host: str, port: int) -> None:
    with pytest.raises(BackendError, match=f"cannot listen on {host}:{port}: "):
        check_address(host, port)


def test_a_free_port_can_be_used() -> None:
    check_address("127.0.0.1", free_port())

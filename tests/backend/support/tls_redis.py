"""A real Redis that is reached over TLS alone, with a password.

The embedded server is built without TLS, so it stands behind a relay that has it, as behind stunnel.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.processes.redis_server import server_command
from backend.queueing.connection import socket_path
from tests.backend.support.real_services import end, wait_for

PASSWORD = "a-password"


@contextmanager
def tls_redis(home: Path) -> Iterator[str]:
    """Its address, with the password and the certificate that it trusts."""
    key, certificate = home / "key.pem", home / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    names = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = subprocess.Popen([*server_command(home), "--requirepass", PASSWORD], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket_path(home).exists, 10)
        with _relay(context, socket_path(home)) as port:
            yield f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={certificate}"
    finally:
        end(server)


@contextmanager
def _relay(context: ssl.SSLContext, target: Path) -> Iterator[int]:
    """The port of a relay to a socket."""
    ports, stops, began = list[int](), list[Callable[[], object]](), threading.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(str(target))
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    async def serve() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        async with await asyncio.start_server(connected, "localhost", 0, ssl=context) as server:
            ports.append(server.sockets[0].getsockname()[1])
            stops.append(lambda: loop.call_soon_threadsafe(done.set))
            began.set()
            await done.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.2)  # connections close

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert began.wait(10)
    try:
        yield ports[0]
    finally:
        stops[0]()
        thread.join(10)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()

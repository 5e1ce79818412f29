"""Limit connections before anything of a request is known: how many there are, and how long a header may take.

Whoever opens more than `most` loses the connection that has waited longest without a request; so a flood ends its own
connections, and a request that comes at once is answered. uvicorn has neither limit.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import time
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from h11 import IDLE, SEND_RESPONSE
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

logger = logging.getLogger(__name__)

UNREAD_S = 30.0  # that a caller may leave what it asked for unread
HEADER_S = 10.0  # from a connection's beginning, or a further request's first byte, to the end of the header
MOST, FEWEST = 1000, 16
# A chunk of one byte takes as long to read as one of thousands; so what comes at a time may not have many tiny ones.
READ_BYTES, MOST_LINES, FEWEST_BYTES_A_LINE = 65536, 4000, 8
PENDING = 1024  # connections that the system holds until they are accepted
AT_A_TIME = 8  # connections that are accepted before those in excess are closed: each needs a descriptor
LOG_EVERY_S = 10.0


class Importance(IntEnum):
    """How late a connection is closed where there are too many."""

    NOTHING = 0  # of a request has come, or the answer is left unread
    HALF = 1  # a request without the end of its body
    PIPELINED = 2  # further requests were sent before an answer was read, as no browser does
    ANSWERED = 3
    NEW = 4  # it has had no time to send anything
    WAITING = 5  # a whole request, for its answer


class FloodLog:
    """Logs a sentence once, and then how often it came again, at most every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, int]] = {}

    def say(self, sentence: str) -> None:
        """Args: sentence: one of a few; what callers send may not be in it."""
        last_s, count = self._kept.get(sentence, (-LOG_EVERY_S, 0))
        now_s = self._clock()
        if now_s - last_s < LOG_EVERY_S:
            self._kept[sentence] = (last_s, count + 1)
            return
        again = f" ({count} times more since the last such line)" if count else ""
        logger.warning("%s%s", sentence, again)
        self._kept[sentence] = (now_s, 0)


class _CallersLogger(logging.Logger):
    """uvicorn's, for what a connection does: its warnings are about callers, who can cause any number of them."""

    def __init__(self, flood: FloodLog) -> None:
        super().__init__(logger.name)
        self.parent, self._flood = logging.getLogger(), flood

    def warning(self, msg: object, *args: object, **_: Any) -> None:
        """As any logger's."""
        self._flood.say(str(msg) % args if args else str(msg))


class Connections:
    """The connections of one server."""

    def __init__(self, most: int | None = None) -> None:
        """Args: most: by default, less than half of the descriptors that the process may have."""
        self.most = _as_many_as_descriptors_allow() if most is None else most
        self.flood = FloodLog()
        self._open: dict[LimitedProtocol, None] = {}  # in the order of coming

    def add(self, connection: LimitedProtocol) -> None:
        """Take in a new one; another one goes where there are too many."""
        self._open[connection] = None
        if len(self._open) > self.most:
            self.flood.say(f"There are more than {self.most} connections; those that send no request are closed.")
            victim = min(self._open, key=lambda each: Importance.NEW if each is connection else each.importance)
            self.remove(victim)
            victim.end()

    def remove(self, connection: LimitedProtocol) -> None:
        """Forget one that has ended."""
        self._open.pop(connection, None)

    def handle_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the event loop says when it cannot accept connections: a line where it would write a traceback each."""
        if "socket.accept" in str(context.get("message")):
            self.flood.say("No connection can be accepted: the process has no descriptors left. Raise `ulimit -n`.")
        elif isinstance(context.get("exception"), ConnectionError):
            self.flood.say("A connection broke off.")
        else:
            loop.default_exception_handler(context)


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP with a limit on the time for headers, and one line for what is no HTTP."""

    def __init__(self, limits: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self.logger = _CallersLogger(limits.flood)
        self._header_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    @property
    def importance(self) -> Importance:
        """Where it stands, once it has had time."""
        if (cycle := self._request) is None or self._unread_timer is not None:
            return Importance.NOTHING
        if cycle.response_complete:
            return Importance.ANSWERED
        if cycle.more_body:
            return Importance.HALF
        return Importance.PIPELINED if self.flow.read_paused else Importance.WAITING

    @property
    def _request(self) -> RequestResponseCycle | None:
        return self.cycle  # which uvicorn declares without None, that it begins with

    def end(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio's."""
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # for each time that asyncio reads
        self._limits.add(self)
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._limits.remove(self)
        self._forget_header()
        self._forget_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """asyncio's: the caller does not read what is sent to it."""
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_S, self._unread)

    def resume_writing(self) -> None:
        """asyncio's."""
        self._forget_unread()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        lines = data.count(b"\r\n")
        if lines > MOST_LINES and lines * FEWEST_BYTES_A_LINE > len(data):
            self._limits.flood.say("A connection sent thousands of tiny chunks or headers, and is closed.")
            self.end()
            return
        super().data_received(data)
        if self.importance in (Importance.HALF, Importance.PIPELINED, Importance.WAITING):
            self._forget_header()
        elif self._header_timer is None and not self.transport.is_closing():
            self._watch_header()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless an answer has begun: then all that is left is to end the connection."""
        if (cycle := self._request) is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (IDLE, SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _watch_header(self) -> None:
        self._forget_header()
        self._header_timer = self.loop.call_later(HEADER_S, self._too_slow)

    def _forget_header(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _forget_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _unread(self) -> None:
        self._limits.flood.say(f"A connection left its answer unread for {UNREAD_S:g} s, and is closed.")
        self.end()

    def _too_slow(self) -> None:
        self._limits.flood.say(f"A connection sent no whole header within {HEADER_S:g} s, and is closed.")
        self.end()


class Server(uvicorn.Server):
    """uvicorn's server for our connections."""

    def __init__(self, config: uvicorn.Config, limits: Connections) -> None:
        super().__init__(config)
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's."""
        asyncio.get_running_loop().set_exception_handler(self._limits.handle_loop_error)
        await super().startup(sockets)
        for listening in (each for server in self.servers for each in server.sockets):
            with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
                same.listen(PENDING)  # uvicorn's `backlog` is also how many are accepted without a pause


def make_server(app: FastAPI, host: str, port: int, most: int | None = None) -> Server:
    """A server of `app`. Args: port: 0 for any that is free. most: connections."""
    limits = Connections(most)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="asyncio",
        http=partial(LimitedProtocol, limits),  # type: ignore[arg-type]  # uvicorn calls it as it would the class
        ws="none",
        backlog=AT_A_TIME,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    return Server(config, limits)


def _as_many_as_descriptors_allow() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(FEWEST, min(MOST, soft // 2 - 16))

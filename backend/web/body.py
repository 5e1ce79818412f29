"""Read a request's body while checking it: its size, its time, its depth, and how much memory it will need as values.

JSON of a few megabytes can stand for gigabytes of empty objects, or be deeper than a parser can go. Both are seen in
the bytes, before anything is parsed.
"""

from __future__ import annotations

import re
import time
from typing import Final

import anyio
from anyio.to_thread import run_sync
from starlette.types import Message, Receive

from backend.errors import BusyError, RequestError, TooLargeError, TooSlowError

MB: Final = 2**20
BODY_S: Final = 30.0  # from the end of the header to the end of the body
MOST_MEMORY: Final = 96 * MB  # that the values of one request need
MOST_IN_ALL: Final = 128 * MB  # that those of all requests need that are being answered
ROOM_S: Final = 5.0  # that a request waits for others to be done
SMALL: Final = 64 * 1024  # bytes, with which nobody waits
DEEPEST: Final = 100
# Bytes of memory: for a list or an object, for an entry of one, for a string, for a byte of it, raw and decoded.
OF_CONTAINER, OF_ENTRY, OF_STRING, OF_BYTE = 120, 32, 50, 2

_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_STRING = re.compile(rb'"[^"]*"?')
_DEPTHS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class MemoryBudget:
    """The memory that all requests of a server may need together."""

    def __init__(self, most: int = MOST_IN_ALL) -> None:
        self._left, self._freed = most, anyio.Condition()

    async def take(self, amount: int) -> None:
        """Wait for room. Raises: BusyError where there is none in time."""
        with anyio.move_on_after(ROOM_S):
            async with self._freed:
                while self._left < amount:
                    await self._freed.wait()
                self._left -= amount
                return
        raise BusyError("Other large requests are being answered; ask again.")

    async def give_back(self, amount: int) -> None:
        """Let others have it."""
        if amount:
            with anyio.CancelScope(shield=True):
                async with self._freed:
                    self._left += amount
                    self._freed.notify_all()


class BodyReader:
    """Reads one request's body. What it has `taken` of the budget goes back when the request is answered."""

    def __init__(self, receive: Receive, max_bytes: int, budget: MemoryBudget) -> None:
        self._receive, self._max_bytes, self._budget = receive, max_bytes, budget
        self.taken = 0

    async def read(self) -> bytes | None:
        """Return the whole body; None if the caller has gone.

        Raises: TooLargeError, TooSlowError, BusyError, RequestError where it is no JSON that could be read.
        """
        body, needed = bytearray(), 0
        deadline_s = time.monotonic() + BODY_S
        while True:
            message = await self._next(deadline_s)
            if message is None or message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            body += chunk
            needed += memory_needed(chunk)
            if len(body) > self._max_bytes:
                raise too_large(self._max_bytes)
            if needed > MOST_MEMORY:
                raise TooLargeError("The request's JSON holds too many values; send fewer tasks at a time.")
            if needed > self.taken and len(body) > SMALL:
                await self._budget.take(needed - self.taken)
                self.taken = needed
            if not message.get("more_body", False):
                break
        whole = bytes(body)
        del body
        if len(whole) > SMALL:
            await run_sync(check_depth, whole)
        else:
            check_depth(whole)
        return whole

    async def _next(self, deadline_s: float) -> Message | None:
        with anyio.move_on_after(max(0.0, deadline_s - time.monotonic())):
            return await self._receive()
        raise TooSlowError(f"The request's body did not arrive within {BODY_S:g} s; send it faster, or less.")


def memory_needed(chunk: bytes) -> int:
    """Return about how many bytes of memory the values in a piece of JSON need; text counts as if it were JSON."""
    containers, entries, quotes = chunk.count(b"{") + chunk.count(b"["), chunk.count(b","), chunk.count(b'"')
    return containers * OF_CONTAINER + entries * OF_ENTRY + quotes // 2 * OF_STRING + len(chunk) * OF_BYTE


def check_depth(body: bytes) -> None:
    """Raise RequestError for JSON that is nested deeper than any of Label Studio's, and for what is not UTF-8.

    UTF-16 and UTF-32, which Python's parser would take too, have zeros in them.
    """
    if b"\0" in body:
        raise RequestError("The request's JSON is not UTF-8; send it as UTF-8.")
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE)
    depth = 0
    for character in _STRING.sub(b"", bare):
        depth += _DEPTHS[character]
        if depth > DEEPEST:
            raise RequestError(f"The request's JSON is nested more than {DEEPEST} deep; send it flatter.")


def too_large(max_bytes: int) -> TooLargeError:
    """Return what is wrong with a body of more than `max_bytes`."""
    return TooLargeError(f"The request is larger than {max_bytes // MB} MB; set MAX_BODY_MB, or send less.")


def whole_body(body: bytes, receive: Receive) -> Receive:
    """Return what an application receives of a body that was read before it was called."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message

"""Fork workers from a process that has loaded what they need, and fork anew whenever one dies.

Loading torch takes seconds, and on a busy machine a minute; a fork is there at once. The guardian itself does nothing
that could kill it: no CUDA, no images, no network but a word to Redis about who died.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from backend.errors import BackendError
from backend.processes.parent_death import die_with_parent

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
QUICK_S = 10.0  # a worker that dies sooner counts as failing to start
WAITS_S = (0.0, 1.0, 2.0, 5.0, 10.0)  # before it is forked again


@dataclass(slots=True)
class _Ward:
    """A worker that should always run. `pid` is None while it waits to be forked, from `again_s` on."""

    queues: tuple[str, ...]
    pid: int | None = None
    forked_s: float = 0.0
    failures: int = 0
    again_s: float = 0.0


class Guardian:
    """Runs a worker for each of several groups of queues, until SIGTERM or Ctrl-C."""

    def __init__(
        self,
        queues: Sequence[tuple[str, ...]],
        work: Callable[[tuple[str, ...]], None],
        on_death: Callable[[int], None],
    ) -> None:
        """Args: work: what a worker of some queues does, in its own process. on_death: is told the id of a dead one."""
        self._wards = [_Ward(group) for group in queues]
        self._work, self._on_death = work, on_death
        self._signal: int | None = None

    def run(self) -> None:
        """Return when it was told to end and all workers have: they finish predictions, and save trainings."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        while self._signal is None or any(ward.pid for ward in self._wards):
            self._reap()
            for ward in self._wards:
                if ward.pid is None and self._signal is None and time.monotonic() >= ward.again_s:
                    self._fork(ward)
            time.sleep(LOOK_EVERY_S)

    def _hear(self, _number: int, _frame: object) -> None:
        """Pass every signal on: a worker that is told twice ends at once."""
        self._signal = signal.SIGTERM
        for ward in self._wards:
            if ward.pid is not None:
                os.kill(ward.pid, signal.SIGTERM)

    def _fork(self, ward: _Ward) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        guardian = os.getpid()
        signals = (signal.SIGTERM, signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until it is known whom to pass them on to
        pid = os.fork()
        if pid == 0:
            for number in signals:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            os.setsid()  # a Ctrl-C on the terminal reaches the guardian alone
            die_with_parent(guardian, signal.SIGTERM)
            self._be(ward)
        ward.pid, ward.forked_s = pid, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def _be(self, ward: _Ward) -> None:
        """Work in the forked process, which never returns."""
        code = 1
        try:
            self._work(ward.queues)
            code = 0
        except (BackendError, RedisError) as error:  # such as a Redis whose memory is full
            logger.error("%s", error)
        except BaseException:
            logger.exception("a worker ended")
        finally:
            logging.shutdown()
            os._exit(code)

    def _reap(self) -> None:
        for ward in self._wards:
            if ward.pid is None or os.waitpid(ward.pid, os.WNOHANG) == (0, 0):
                continue
            dead, ward.pid, now_s = ward.pid, None, time.monotonic()
            ward.failures = ward.failures + 1 if now_s - ward.forked_s < QUICK_S else 0
            ward.again_s = now_s + WAITS_S[min(max(0, ward.failures - 1), len(WAITS_S) - 1)]
            if self._signal is None:
                logger.warning("worker %d for %s died; another one is forked", dead, " and ".join(ward.queues))
                try:
                    self._on_death(dead)
                except BackendError as error:  # the janitor finds out by itself, later
                    logger.warning("%s", error)

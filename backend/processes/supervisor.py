"""`boxstrap up`: the processes of one machine, started together, restarted when they die, stopped together.

Our own code, since the order matters: each process is started when the one before does its work (a Redis that answers,
a web server that is healthy), and they are stopped the other way round.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from backend.errors import BackendError
from backend.processes.parent_death import die_with_parent

logger = logging.getLogger(__name__)

QUICK_S = 10.0  # a process that dies sooner counts as failing to start
WAITS_S = (0.0, 1.0, 2.0, 5.0, 10.0)  # before it is started again
GRACE_S = 10.0  # between asking to end and ending
SPARE_AFTER_S = 15.0  # when a machine that has just started has time to load one more
LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class Child:
    """A process that should always run. `ready` says whether it does its work; later children wait for that.

    mend: is called when it has failed to start; returns whether it has changed anything, so that trying again helps.
    standby: it begins when it gets a line, so that another one, which has loaded everything, can take over at once.
    grace_s: between asking it to end and insisting.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = field(default=lambda: True)
    mend: Callable[[], bool] = field(default=lambda: False)
    standby: bool = False
    grace_s: float | None = None
    process: subprocess.Popen[bytes] | None = None
    spare: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    failures: int = 0
    again_s: float = 0.0


class Supervisor:
    """Runs its children until `stop` is called."""

    def __init__(self, children: Sequence[Child]) -> None:
        """Args: children: in the order of starting; they are stopped the other way round."""
        self.children = list(children)
        self._stopping = False

    def start(self, timeout_s: float = 60.0) -> None:
        """Starts every child and waits until it is ready; BackendError names the one that is not, all are stopped."""
        try:
            for child in self.children:
                if not self._stopping:
                    self._start(child, time.monotonic() + timeout_s)
        except BaseException:
            self.end()
            raise

    def run(self) -> None:
        """Watches the children until `stop`, then ends them."""
        try:
            while not self._stopping:
                for child in self.children:
                    self._look_after(child)
                time.sleep(LOOK_EVERY_S)
        finally:
            self.end()

    def stop(self) -> None:
        """Ends `run` soon; may be called by a signal handler."""
        self._stopping = True

    def end(self) -> None:
        """Ends every child: asks first, and after a while insists."""
        for child in reversed(self.children):
            if child.spare is not None:
                child.spare.kill()
                child.spare.communicate()  # waits, and closes its pipe
            process = child.process
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=GRACE_S if child.grace_s is None else child.grace_s)
            except subprocess.TimeoutExpired:
                logger.warning("%s does not end, so it is killed", child.name)
                process.kill()
                process.wait()

    def _start(self, child: Child, deadline_s: float) -> None:
        self._launch_first(child)
        while not self._stopping and not child.ready():
            process = child.process
            if process is not None and process.poll() is not None:
                if child.mend():
                    self._launch_first(child)
                    continue
                raise BackendError(f"{child.name} ended with code {process.returncode}; its message stands above.")
            if time.monotonic() > deadline_s:
                raise BackendError(f"{child.name} was not ready in time; its log stands above.")
            time.sleep(LOOK_EVERY_S / 2)

    def _launch_first(self, child: Child) -> None:
        try:
            self._launch(child)
        except OSError as error:
            raise BackendError(f"{child.name} cannot be started: {error}.") from error

    def _launch(self, child: Child) -> None:
        if child.spare is not None and child.spare.poll() is None:
            child.process, child.spare = child.spare, None
        else:
            child.process = self._process_of(child)
        if child.process.stdin is not None:
            # It may have died already, which is noticed as with any other.
            with suppress(BrokenPipeError), child.process.stdin as begins:
                begins.write(b"begin\n")
        child.started_s = time.monotonic()
        logger.info("%s runs as process %d", child.name, child.process.pid)

    def _process_of(self, child: Child) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(child.command),
            stdin=subprocess.PIPE if child.standby else subprocess.DEVNULL,
            # A Ctrl-C on the terminal reaches this process alone, which ends its children in order.
            start_new_session=True,
            # So that, after a kill -9 of this process, no second Redis comes up beside the first.
            preexec_fn=functools.partial(die_with_parent, os.getpid(), signal.SIGTERM),
        )

    def _look_after(self, child: Child) -> None:
        process, now_s = child.process, time.monotonic()
        if process is None:
            if now_s >= child.again_s:
                try:
                    if child.failures:
                        child.mend()
                    self._launch(child)
                except OSError as error:
                    self._plan_restart(child, f"cannot be started ({error})", 0.0)
        elif process.poll() is not None:
            self._plan_restart(child, f"ended with code {process.returncode}", now_s - child.started_s)
        elif child.standby and now_s - child.started_s > SPARE_AFTER_S:
            self._keep_spare(child)

    def _keep_spare(self, child: Child) -> None:
        if child.spare is None or child.spare.poll() is not None:
            with suppress(OSError):  # looked after again at once
                child.spare = self._process_of(child)

    def _plan_restart(self, child: Child, what: str, lived_s: float) -> None:
        child.failures = child.failures + 1 if lived_s < QUICK_S else 0
        wait_s = WAITS_S[min(child.failures, len(WAITS_S) - 1)]
        logger.warning("%s %s; it is started again in %g s", child.name, what, wait_s)
        child.process, child.again_s = None, time.monotonic() + wait_s

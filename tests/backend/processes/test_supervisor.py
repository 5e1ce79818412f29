"""Processes that are kept running together, however they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import BackendError
from backend.processes import supervisor as supervisor_module
from backend.processes.supervisor import Child, Supervisor
from tests.backend.support.real_services import ROOT, is_running, pid_of, supervised, wait_for

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(600)"]


@pytest.mark.slow
def test_a_child_is_started_when_the_one_before_is_ready(tmp_path: Path) -> None:
    made = tmp_path / "made"
    first = Child("first", ["sh", "-c", f"sleep 0.3; touch {made}; exec sleep 600"], made.exists)
    second = Child("second", ["sh", "-c", f"test -e {made} && exec sleep 600"])
    with supervised([first, second]):
        assert first.started_s < second.started_s
        assert is_running(pid_of(second))


@pytest.mark.slow
def test_a_child_that_is_killed_is_started_again_sooner_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "WAITS_S", (0.0, 0.2, 0.4))
    child, other = Child("child", SLEEPS), Child("other", SLEEPS)
    with supervised([child, other]):
        untouched, seen = pid_of(other), []
        for _ in range(3):
            seen.append(pid_of(child))
            os.kill(seen[-1], signal.SIGKILL)
            wait_for(lambda: child.process is not None and child.process.pid not in seen)
        assert (child.failures, pid_of(other)) == (3, untouched)
    assert not is_running(pid_of(child))


@pytest.mark.slow
def test_a_child_that_lived_long_enough_is_started_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "QUICK_S", 0.0)
    child = Child("child", SLEEPS)
    with supervised([child]):
        before = pid_of(child)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: child.process is not None and child.process.pid != before, 0.9)


@pytest.mark.slow
def test_all_children_are_stopped_the_last_one_first_and_the_stubborn_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "GRACE_S", 0.3)
    children = [Child("first", SLEEPS), Child("stubborn", STUBBORN), Child("last", SLEEPS)]
    with supervised(children):
        pids = [pid_of(child) for child in children]
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("child", "said"),
    [
        (Child("broken", ["/no/such/program"]), "broken cannot be started: .*No such file"),
        (Child("broken", [sys.executable, "-c", "raise SystemExit(3)"], lambda: False), "broken ended with code 3"),
        (Child("broken", SLEEPS, lambda: False), "broken was not ready in time"),
    ],
)
def test_a_child_that_cannot_start_is_named_and_the_others_are_stopped(child: Child, said: str) -> None:
    before, after = Child("before", SLEEPS), Child("after", SLEEPS)
    with pytest.raises(BackendError, match=said):
        Supervisor([before, child, after]).start(timeout_s=1)
    assert not is_running(pid_of(before))
    assert after.process is None


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
from backend.processes.supervisor import Child, Supervisor
children = [Child("child", {SLEEPS!r})]
supervisor = Supervisor(children)
supervisor.start()
print(children[0].process.pid, flush=True)
supervisor.run()
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert is_running(child)
        process.kill()
    wait_for(lambda: not is_running(child), 5)


@pytest.mark.slow
def test_a_child_that_dies_is_replaced_by_one_that_has_loaded_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "SPARE_AFTER_S", 0.0)
    code = f"""
import os, sys, time
from pathlib import Path
Path({str(tmp_path)!r}, f"{{os.getpid()}} loaded").touch()
if sys.stdin.readline():
    Path({str(tmp_path)!r}, f"{{os.getpid()}} works").touch()
    time.sleep(600)
"""
    child = Child("child", [sys.executable, "-c", code], standby=True)
    with supervised([child]):
        first = pid_of(child)
        wait_for(lambda: len(list(tmp_path.glob("* loaded"))) == 2)
        spare = next(int(path.name.split()[0]) for path in tmp_path.glob("* loaded") if str(first) not in path.name)
        assert not (tmp_path / f"{spare} works").exists()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: (tmp_path / f"{spare} works").exists(), 5)
        assert pid_of(child) == spare
    assert not is_running(spare)


@pytest.mark.slow
def test_a_child_that_has_to_save_gets_its_own_time_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "GRACE_S", 0.2)
    saved, ready = tmp_path / "saved", tmp_path / "ready"
    code = f"""
import signal, time
from pathlib import Path
def save(*_):
    time.sleep(1)
    Path({str(saved)!r}).touch()
    raise SystemExit
signal.signal(15, save)
Path({str(ready)!r}).touch()
time.sleep(600)
"""
    saving = Child("saving", [sys.executable, "-c", code], ready.exists, grace_s=20)
    with supervised([saving, Child("stubborn", STUBBORN)]):
        pass
    assert saved.exists()

"""What all tests share: one thread of arithmetic per process, and how processes divide the tests among them.

`make test` runs two processes more than there are cores. A file's tests stay in one process, for what they share is
made once there; most tests against a real Label Studio share a server, in two halves, each of which stays in one
process.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from wsol_core.cores import usable_cores

# Before anything loads torch, numpy or OpenCV: two processes with a thread per core each would wait for one another.
# Processes that tests start inherit it.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}

LABEL_STUDIO = "tests/label_studio"
# Its files, but for those with servers of their own. The second half takes about as long.
FIRST_HALF = ("test_kills.py", "test_label_studio.py", "test_importing.py")
OWN_SERVER = ("test_storages.py",)
SLOW_FIXTURES = {"place", "nursery"}  # Label Studio, and worker processes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs slow processes, and begin with the longest, so that no process is left with it at the end."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    # Those with a Label Studio of their own come later: all three would wait for the first one to make its database.
    items.sort(key=lambda item: (not shared_by(item.nodeid).startswith(f"{LABEL_STUDIO}:"), item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores, since tests wait for servers and workers a third of their time."""
    return usable_cores() + 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Scheduler(config, log)


class _Scheduler(LoadScopeScheduling):
    """Gives a process all tests of a file, or of the files that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        return shared_by(nodeid)


def shared_by(nodeid: str) -> str:
    """The file of a test, or the half of its room where files share a server."""
    room, _, name = nodeid.partition("::")[0].rpartition("/")
    if room != LABEL_STUDIO or name in OWN_SERVER:
        return f"{room}/{name}"
    return f"{room}: {'first' if name in FIRST_HALF else 'second'} half"

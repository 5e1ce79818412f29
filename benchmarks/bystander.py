"""Somebody who asks for something harmless ten times a second, while others attack; in a process of his own.

    python -m benchmarks.bystander URL

In a thread of the attacker he would wait for whatever that one does with the interpreter, too. A line on stdin ends it,
and one on stdout says how long he waited at most, in seconds, and how many requests were refused.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time

import httpx

EVERY_S = 0.1


class Bystander:
    """The process, which asks as soon as this is made."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "benchmarks.bystander", url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def end(self) -> tuple[float, int]:
        """The longest wait in seconds, and how many requests were refused."""
        said, _ = self._process.communicate("end\n", timeout=70)
        longest_s, refused = said.split()
        return float(longest_s), int(refused)


def main() -> None:
    """Asks until a line comes."""
    longest_s, refused = 0.0, 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        begin_s = time.monotonic()
        try:
            refused += httpx.get(f"{sys.argv[1]}/api/status", timeout=60, trust_env=False).status_code != 200
        except httpx.HTTPError:
            refused += 1
        longest_s = max(longest_s, time.monotonic() - begin_s)
    print(longest_s, refused)


if __name__ == "__main__":
    main()

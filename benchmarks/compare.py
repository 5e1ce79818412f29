"""Whether this checkout is slower than another: the ratios of both, measured in turns on the same machine.

    git worktree add /tmp/before HEAD~1
    python -m benchmarks.compare --against /tmp/before [--rounds 2] [--tolerance 0.03]

Runs `benchmarks.training_step` and `benchmarks.localize` in the other checkout, here, and so on in turns, with the same
interpreter, and prints the median of every ratio in their tables, and the new over the old. Exits with 1 where one is
worse by more than the tolerance. Each command measures against the stock backbone in the same process, so that a slower
minute of the machine matters little; a busy machine still does.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("training_step", "localize")
RATIO = re.compile(r"\d+\.\d+")


def main() -> int:
    """Prints the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT", help="the other checkout")
    parser.add_argument("--rounds", type=int, default=2, help="runs in each checkout")
    parser.add_argument("--tolerance", type=float, default=0.03, help="of a ratio that is no loss")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(given.rounds):
        for command in COMMANDS:
            for side, checkout in (("before", given.against.resolve()), ("now", ROOT)):
                for row, ratio in ratios(checkout, command).items():
                    found[row, side].append(ratio)
    print("| what | ratio before | now | now / before |\n|---|---|---|---|")
    worse = False
    for row in dict.fromkeys(row for row, _ in found):
        before, now = (statistics.median(found[row, side] or [float("nan")]) for side in ("before", "now"))
        print(f"| {row} | {before:.2f} | {now:.2f} | {now / before:.3f} |")
        worse |= now < before * (1 - given.tolerance)
    return int(worse)


def ratios(checkout: Path, command: str) -> dict[str, float]:
    """The ratio to the stock backbone of each row that the checkout's benchmark prints."""
    # An inherited PYTHONPATH would put one checkout's code before the other's.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    call = [sys.executable, "-m", f"benchmarks.{command}"]
    done = subprocess.run(call, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in done.stdout.splitlines()]
    return {row[0]: float(row[2]) for row in rows if len(row) > 2 and RATIO.fullmatch(row[2]) and row[2] != "1.00"}


if __name__ == "__main__":
    sys.exit(main())

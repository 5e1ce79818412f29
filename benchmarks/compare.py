"""Whether this checkout is slower than another: the ratios of both, measured in turns on the same machine.

    git worktree add /tmp/before HEAD~1
    python -m benchmarks.compare --against /tmp/before [--rounds 2] [--quick]

Runs `benchmarks.training_step` and `benchmarks.localize` in the other checkout, here, and so on in turns, with the same
interpreter, and prints the median of every ratio in their tables, and the new over the old. Exits with 1 where one is
worse by more than the tolerance. Each command measures against the stock backbone in the same process, so that a slower
minute of the machine matters little; a busy machine still does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("training_step", "localize")
ROUNDING = 0.005  # ratios were printed to two places once
QUICK = {"training_step": ["--batch", "8"], "localize": ["--pictures", "64"]}


def main() -> int:
    """Prints the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT", help="the other checkout")
    parser.add_argument("--rounds", type=int, default=2, help="runs in each checkout")
    parser.add_argument("--tolerance", type=float, default=0.03, help="of a ratio that is no loss")
    parser.add_argument("--quick", action="store_true", help="small batches and few images")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(given.rounds):
        for command in COMMANDS:
            for side, checkout in (("before", given.against.resolve()), ("now", ROOT)):
                for row, ratio in ratios(checkout, command, QUICK[command] if given.quick else []).items():
                    found[row, side].append(ratio)
    print("| what | ratio before | now | now / before |\n|---|---|---|---|")
    worse = False
    for row in dict.fromkeys(row for row, _ in found):
        before, now = (statistics.median(found[row, side] or [float("nan")]) for side in ("before", "now"))
        print(f"| {row} | {before:.3f} | {now:.3f} | {now / before:.3f} |")
        worse |= now < before * (1 - given.tolerance) - ROUNDING
    return int(worse)


def ratios(checkout: Path, command: str, options: Sequence[str]) -> dict[str, float]:
    """The ratio to the stock backbone of each row that the checkout's benchmark prints."""
    call = [sys.executable, "-m", f"benchmarks.{command}", *options]
    done = subprocess.run(call, cwd=checkout, check=True, capture_output=True, text=True)
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    return {row[0]: float(row[2]) for row in rows[1:] if not row[0].startswith("stock")}


if __name__ == "__main__":
    sys.exit(main())

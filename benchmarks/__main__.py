"""All benchmarks, one after the other: python -m benchmarks."""

from __future__ import annotations

import subprocess
import sys

for name in ("training_step", "localize", "growth", "serving", "bulk"):
    print(f"\n## {name}\n", flush=True)
    # A process each, so that the peak memory is its own.
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)

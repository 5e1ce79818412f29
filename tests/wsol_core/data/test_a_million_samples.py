"""ILSVRC's 1.28 million images: the first batch comes soon, later ones cost no more than of few, memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
IMAGES = 1_280_000
# In a process of its own, whose memory is that of the samples alone.
PROGRAM = """
import json, statistics, sys, time
from pathlib import Path
from wsol_core.data.loader import BatchLoader
from wsol_core.records import Sample
from wsol_core.training.training_data import prepare_data

folder, classes = sys.argv[1], [f"n{number:08d}" for number in range(1000)]

def batches(count, timed=9):
    samples = [
        Sample(f"train/{classes[i % 1000]}/{i}.JPEG", Path(f"{folder}/{i % 16}.jpg"), (classes[i % 1000],))
        for i in range(count)
    ]
    start = time.process_time()  # other processes do not count
    data = prepare_data(samples, classes, holdout=0.0)
    loader = BatchLoader(data.train, classes, side_px=64, batch_size=32, seed=0, workers=0)
    loader.batch(0)
    first = time.process_time() - start
    times = []
    for index in range(1, timed + 1):
        start = time.process_time()
        loader.batch(index)
        times.append(time.process_time() - start)
    return first, statistics.median(times)

_, few = batches(1000)
first, many = batches(int(sys.argv[2]))
# Of this program alone: ru_maxrss is inherited from the process that started it.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps({"first": first, "few": few, "many": many, "peak": peak}))
"""


@pytest.mark.slow
def test_a_million_images_cost_no_more_a_batch_than_a_thousand(tmp_path: Path) -> None:
    for number in range(16):
        pixels = np.random.default_rng(number).integers(0, 255, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(IMAGES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["first"] < 20
    assert found["many"] < 1.5 * found["few"] + 0.01  # a shuffle of all images takes ten times as long
    assert found["peak"] < 2 * 2**30

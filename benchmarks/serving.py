"""What the service costs on top of the model: /predict of one cached picture, of 250 tasks, and the web process.

    python -m benchmarks.serving [--calls 500] [--tasks 250] [--backbone mobilenet_v2]

A real `boxstrap serve` and `boxstrap worker predict` on an embedded Redis; the pictures come from a web server on
127.0.0.1 and are in the cache before anything is timed. The model is trained for a minute, since the regions of random
weights are ragged and many.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import torch

from backend.processes.redis_server import server_command
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from benchmarks.timing import machine
from demo.local_servers import comes_up
from tests.local_http import web_server
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.devices import autocast
from wsol_core.localization.predictions_file import write_predictions
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Sample
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

PORT = 19190
PROJECT = "1"
CLASSES = ("crab", "fish", "ladybird", "starfish")
LABELS = "".join(f'<Label value="{name}"/>' for name in CLASSES)
URL = f"http://127.0.0.1:{PORT}"
CLIENT = httpx.Client(base_url=URL, timeout=300, trust_env=False)
CONFIG = f"""<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>
<BrushLabels name="mask" toName="image">{LABELS}</BrushLabels></View>"""


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=250)
    parser.add_argument("--backbone", default="mobilenet_v2")
    arguments = parser.parse_args()
    print(f"{machine()}, {arguments.backbone}")
    with tempfile.TemporaryDirectory(prefix="bx") as folder, ExitStack() as running:
        home = Path(folder)
        pictures = draw_pictures(home / "drawn", arguments.tasks)
        version = publish(home, arguments.backbone)
        predictor = Predictor.open(version)
        samples = [Sample(path.name, path, (path.parent.name,)) for path in pictures]
        alone = localize(predictor, samples, home / "out")
        forward_ms, localize_ms = single(predictor, samples[0])
        environment = {**os.environ, "BOXSTRAP_HOME": folder, "BOXSTRAP_PORT": str(PORT), "IMAGE_HOSTS": "127.0.0.1"}
        running.enter_context(process(server_command(home), environment))
        web = running.enter_context(web_server(home / "drawn"))
        begin = time.monotonic()
        serve = running.enter_context(process([sys.executable, "-m", "backend", "serve"], environment))
        if not comes_up(URL, serve, 60, every_s=0.02):
            raise TimeoutError("serve did not answer within 60 s")
        ready_s, ready_mib = time.monotonic() - begin, memory_mib(serve.pid)
        running.enter_context(process([sys.executable, "-m", "backend", "worker", "predict"], environment))
        tasks = [
            {"id": index, "data": {"image": f"{web}/{path.relative_to(home / 'drawn')}", "label": path.parent.name}}
            for index, path in enumerate(pictures)
        ]
        predict(tasks)  # fills the cache, loads the model
        begin = time.monotonic()
        predict(tasks)
        many_s = time.monotonic() - begin
        times_ms = sorted(timed_ms(tasks[:1]) for _ in range(arguments.calls))
        print(f"| what | |\n|---|---|\n| web process ready | {ready_s:.2f} s |")
        print(f"| its memory, then and at the end | {ready_mib:.0f} / {memory_mib(serve.pid):.0f} MiB |")
        print(f"| /predict of one picture, {arguments.calls} calls, p50 / p99 | {percentiles(times_ms)} |")
        print(f"| bare forward pass of one picture, p50 | {forward_ms:.1f} ms |")
        print(f"| Predictor.localize of one picture, p50 | {localize_ms:.1f} ms |")
        print(f"| p50 less the forward pass | {np.median(times_ms) - forward_ms:.1f} ms |")
        print(f"| {len(tasks)} tasks in one /predict | {many_s:.1f} s, {len(tasks) / many_s:.1f} images/s |")
        print(f"| the same files through localize | {alone:.1f} images/s |")
        print(f"| ratio | {len(tasks) / many_s / alone:.2f} |")


def draw_pictures(folder: Path, count: int) -> list[Path]:
    """Drawn pictures, enlarged to 800 x 600."""
    draw_folder(folder, classes=len(CLASSES), images=count, seed=0)
    paths = sorted((folder / "images").glob("*/*.jpg"))
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None
        cv2.imwrite(str(path), cv2.resize(picture, (800, 600), interpolation=cv2.INTER_CUBIC))
    return paths


def publish(home: Path, backbone: str, project: str = PROJECT) -> Path:
    """A version that learned for a minute from the pictures in `home`/drawn; its folder."""
    data = read_folder(home / "drawn")
    weights = Settings.from_env().weights_dir
    config = TrainConfig(backbone=backbone, minutes=1, pretrained=weights is not None)
    fit(config, data.samples, data.classes, home / "model", weights_dir=weights)
    models = open_stores(Settings(home=home)).models
    return models.folder(project, models.publish(project, home / "model", VersionFacts(run="none")))


def localize(predictor: Predictor, samples: list[Sample], out: Path) -> float:
    """Images a second of what `boxstrap localize` does, from files to predictions.jsonl, the start left out."""
    list(predictor.localize(samples[:32]))
    begin = time.monotonic()
    write_predictions(predictor.localize(samples, lambda sample: sample.labels), out, False)
    return len(samples) / (time.monotonic() - begin)


def single(predictor: Predictor, sample: Sample) -> tuple[float, float]:
    """Median milliseconds of the bare network and of `Predictor.localize` for one picture."""
    images = torch.rand(1, 3, 224, 224).to(memory_format=torch.channels_last)
    forward, whole = [], []
    for _ in range(60):
        begin = time.perf_counter()
        with torch.inference_mode(), autocast(predictor.device, predictor.precision):
            predictor.method(images)
        forward.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        list(predictor.localize([sample], lambda one: one.labels))
        whole.append(time.perf_counter() - begin)
    return float(np.median(forward[10:]) * 1000), float(np.median(whole[10:]) * 1000)


def predict(tasks: list[dict[str, Any]]) -> None:
    """One /predict, which has to answer for every task."""
    body = {"tasks": tasks, "project": PROJECT, "label_config": CONFIG, "params": {}}
    answer = CLIENT.post("/predict", json=body)
    answer.raise_for_status()
    assert len(answer.json()["results"]) == len(tasks)


def timed_ms(tasks: list[dict[str, Any]]) -> float:
    begin = time.perf_counter()
    predict(tasks)
    return (time.perf_counter() - begin) * 1000


def percentiles(times_ms: list[float]) -> str:
    p50, p99 = np.percentile(times_ms, [50, 99])
    return f"{p50:.1f} / {p99:.1f} ms"


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child that ends with the benchmark."""
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(timeout=30)


if __name__ == "__main__":
    main()

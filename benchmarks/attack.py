"""Attack a real `boxstrap serve` and `boxstrap worker predict`, and say what it did to everybody else.

    python -m benchmarks.attack [--requests 10000] [--connections 1200] [--pictures 1000]

Malformed, deep and odd requests, idle and half-open connections at a limit of 128 descriptors, hostile pictures and
labeling configs. Meanwhile somebody asks for /api/status ten times a second. tests/backend/web has small samples of the
same; nothing here may answer 500, keep that somebody waiting for more than two seconds, or write a traceback.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from backend.processes.redis_server import server_command
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from benchmarks.bystander import Bystander
from benchmarks.serving import CONFIG, PROJECT, process
from demo.local_servers import comes_up, free_port
from tests.backend.web.malformed import malformed
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

DESCRIPTORS = 128
MOST_WAIT_S, MOST_SERVE_MIB, MOST_WORKER_MIB = 2.0, 300, 2048
JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Prints a row for each attack, and ends with 1 if one of them did any harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=1200)
    parser.add_argument("--pictures", type=int, default=1000)
    asked = parser.parse_args()
    kinds = _pictures()  # before anybody waits: that alone takes half a minute
    with installation() as (url, log, pids):
        attacks: dict[str, Callable[[], Iterator[int]]] = {
            f"{asked.requests} malformed requests": lambda: malformed_requests(url, asked.requests),
            "200 deep or odd ones": lambda: odd_requests(url),
            f"{asked.connections} idle connections": lambda: idle_connections(url, asked.connections),
            "16 hostile labeling configs": lambda: hostile_configs(url),
            f"{asked.pictures} hostile pictures": lambda: hostile_pictures(url, asked.pictures, kinds),
        }
        print("| attack | answers | longest wait of others | serve | worker |\n|---|---|---|---|---|")
        harm = [_attack(url, pids, name, attack) for name, attack in attacks.items()]
        written = log.read_text(errors="replace")
        tracebacks = written.count("Traceback")
        print(f"\n{tracebacks} tracebacks, {log.stat().st_size / 1e6:.1f} MB of log")
        if tracebacks:
            print(written[max(0, written.index("Traceback") - 500) :][:3000])
    sys.exit(1 if any(harm) or tracebacks else 0)


def _attack(url: str, pids: dict[str, int], name: str, attack: Callable[[], Iterator[int]]) -> bool:
    """Prints the row; returns whether there was harm."""
    bystander, peak, answers = Bystander(url), Counter[str](), Counter[int]()
    for index, status in enumerate(attack()):
        answers[status] += 1
        if index % 20 == 0:
            for kind, pid in pids.items():
                peak[kind] = max(peak[kind], _family_mib(pid))
    longest_s, refused = bystander.end()
    counted = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(answers.items()))
    print(f"| {name} | {counted} | {longest_s:.2f} s | {peak['serve']} MiB | {peak['worker']} MiB |", flush=True)
    too_much = peak["serve"] > MOST_SERVE_MIB or peak["worker"] > MOST_WORKER_MIB
    return bool(answers[500] or refused or longest_s > MOST_WAIT_S or too_much)


def malformed_requests(url: str, count: int) -> Iterator[int]:
    """Those of the tests, more of them."""
    generator = random.Random(17)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for _ in range(count):
            made = malformed(generator)
            yield _status(partial(client.request, made.method, made.path, content=made.body, headers=made.headers))


def odd_requests(url: str) -> Iterator[int]:
    """Deep, wide and torn JSON, in several encodings, on every address that takes some."""
    bodies = [
        *(b'{"tasks": ' + b"[" * depth + b"]" * depth + b"}" for depth in (50, 99, 101, 600, 975, 5000, 1_000_000)),
        *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (99, 101, 600, 975, 100_000)),
        *(b'{"tasks": [' + item * 5_000_000 + b"1]}" for item in (b"{},", b"[],", b"1,", b'"",', b"1.5,")),
        b'{"project": ' + b"9" * 1_000_000 + b"}",
        b'{"project": 1e99999, "tasks": []}',
        b'{"project": "' + b"\\u0000" * 1000 + b'"}',
        b'{"project": "7", "project": "8", "tasks": [{}]}',
        '{"project": "7"}'.encode("utf-32"),
        b"\xef\xbb\xbf{}",
        b"[" * 1000 + b'"' + b"[" * 1000,
    ]
    paths = ("/setup", "/predict", "/webhook", "/train", "/job_status", "/api/projects/7/activate")
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for index in range(200):
            path, body = paths[index % len(paths)], bodies[index % len(bodies)]
            yield _status(partial(client.post, path, content=body, headers=JSON))


def idle_connections(url: str, count: int) -> Iterator[int]:
    """Connections that send nothing, half a header, or half a body, all kept open."""
    head = b"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    begun = (b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
    sent = (b"", b"G", head, *(head + rest for rest in begun))
    where = httpx.URL(url)
    with ExitStack() as stack:
        for index in range(count):
            try:
                made = stack.enter_context(socket.create_connection((where.host, where.port or 80), timeout=10))
                made.sendall(sent[index % len(sent)])
            except OSError:
                pass
            yield 0
        time.sleep(3)


def hostile_configs(url: str) -> Iterator[int]:
    """Nested, huge, self-referring and torn XML."""
    nested = "".join(f'<RectangleLabels name="b{n}" toName="image"><Label value="l{n}"/>' for n in range(20_000))
    wide = "".join(f'<Choice value="l{n}" predicted_values="{n},{n + 1}"/>' for n in range(4_000))
    entities = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(30))
    configs = [
        f'<View><Image name="image" value="$image"/>{nested}',
        f'<View><Image name="image" value="$image"/>{nested[:250_000]}{"</RectangleLabels>" * 100}</View>',
        f'<View><Image name="image" value="$image"/><Choices name="c" toName="image">{wide}</Choices></View>',
        f'<!DOCTYPE a [<!ENTITY a0 "a">{entities}]><View>&a30;</View>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><View/>',
        "<View " + " ".join(f'a{n}="{n}"' for n in range(20_000)) + "/>",
        "<a>" * 100_000,
        "<a>" * 90 + "</a>" * 90,
        "",
        "\x00<View/>",
        "<View>" + "&#xD800;" + "</View>",
        "<View>" + "x" * 1_000_000 + "</View>",
        CONFIG.replace("toName", "toName" * 5000),
        CONFIG.replace('toName="image"', 'toName="' + ",".join(f"n{n}" for n in range(20_000)) + '"'),
        '<?xml version="1.0" encoding="utf-7"?>' + CONFIG,
        CONFIG.replace("$image", "$" + "image." * 20_000),
    ]
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for config in configs:
            body = {"tasks": [{"id": 1, "data": {"image": "data:,"}}], "project": PROJECT, "label_config": config}
            yield _status(partial(client.post, "/predict", json=body))


def hostile_pictures(url: str, count: int, kinds: Sequence[bytes]) -> Iterator[int]:
    """Pictures inside of tasks, four at a time: bombs, torn files, and what is no picture."""
    generator = random.Random(17)
    with httpx.Client(base_url=url, timeout=100, trust_env=False) as client:
        for begin in range(0, count, 4):
            uris = []
            for index in range(begin, begin + 4):
                content = bytearray(kinds[index % len(kinds)])
                if index >= len(kinds):  # each time torn elsewhere
                    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
                uris.append("data:image/png;base64," + base64.b64encode(content).decode())
            tasks = [{"id": index, "data": {"image": uri}} for index, uri in enumerate(uris)]
            body = {"tasks": tasks, "project": PROJECT, "label_config": CONFIG}
            yield _status(partial(client.post, "/predict", json=body))


def _pictures() -> list[bytes]:
    def saved(image: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    flat = Image.new("RGB", (9900, 9900), (90, 60, 30))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    bomb = _png_header(60_000, 60_000) + b"\0" * 64
    return [
        *(saved(flat, kind) for kind in ("WEBP", "PNG", "JPEG")),
        saved(flat, "JPEG", progressive=True),
        saved(flat.convert("RGBA"), "PNG"),
        saved(flat, "TIFF", compression="tiff_deflate"),
        saved(flat, "GIF"),
        *(saved(noise, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")),
        bomb,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\0" * 1000,
    ]


def _png_header(width: int, height: int) -> bytes:
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + data
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))


@contextmanager
def installation() -> Iterator[tuple[str, Path, dict[str, int]]]:
    """The address, the log and the process ids of a service with a tiny model."""
    with tempfile.TemporaryDirectory(prefix="bx") as folder, ExitStack() as running:
        home, port = Path(folder), free_port()
        url, log = f"http://127.0.0.1:{port}", home / "log"
        _publish(home)
        environment = {**os.environ, "BOXSTRAP_HOME": folder, "BOXSTRAP_PORT": str(port), "DEVICE": "cpu"}
        own = [sys.executable, "-m", "backend"]
        running.enter_context(process(server_command(Settings(home=home).home), environment))
        with log.open("ab") as file:
            serve = subprocess.Popen(
                [*own, "serve"], env=environment, stdout=file, stderr=file, preexec_fn=_few_descriptors
            )
            running.callback(_end, serve)
            worker = subprocess.Popen([*own, "worker", "predict"], env=environment, stdout=file, stderr=file)
            running.callback(_end, worker)
        if not comes_up(url, serve, 120):
            raise TimeoutError(f"serve did not answer; its log: {log.read_text(errors='replace')[-2000:]}")
        yield url, log, {"serve": serve.pid, "worker": worker.pid}


def _publish(home: Path) -> None:
    """A version that has hardly learned anything."""
    draw_folder(home / "drawn", classes=4, images=24, seed=0)
    data = read_folder(home / "drawn")
    fit(TrainConfig(backbone="tiny", epochs=1, pretrained=False), data.samples, data.classes, home / "model")
    open_stores(Settings(home=home)).models.publish(PROJECT, home / "model", VersionFacts(run="none"))


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _family_mib(pid: int) -> int:
    """The most resident memory that a process, or one that it has forked, has ever had."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max(_highest_mib(member) for member in (pid, *map(int, children)))


def _highest_mib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def _status(ask: Callable[[], httpx.Response]) -> int:
    """The answer's status; 0 where the connection was closed without one."""
    try:
        return ask().status_code
    except httpx.HTTPError:
        return 0


if __name__ == "__main__":
    main()

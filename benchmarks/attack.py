"""Attack a real `boxstrap serve` and `boxstrap worker predict`, and say what it did to everybody else.

    python -m benchmarks.attack [--requests 10000] [--connections 1200] [--pictures 1000]

Malformed, deep and odd requests, idle and half-open connections and those that read no answer, at a limit of 128
descriptors, hostile pictures in tasks, as uploads and behind addresses, and hostile labeling configs. Meanwhile
somebody asks for /api/status ten times a second. tests/backend/web has small samples of the same; nothing here may
answer 500, keep that somebody waiting for more than two seconds, or write a traceback.
"""

from __future__ import annotations

import argparse
import base64
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path

import httpx

from benchmarks.attacked_service import AttackedService, attacked_service
from benchmarks.bystander import Bystander
from benchmarks.hostile_pictures import hostile_pictures, picture_kinds
from benchmarks.serving import CONFIG, PROJECT
from tests.backend.web.malformed import malformed

MOST_WAIT_S, MOST_SERVE_MIB, MOST_WORKER_MIB = 2.0, 300, 2048
JSON = {"Content-Type": "application/json"}
WAYS = ("in tasks", "as uploads", "behind addresses")


def main() -> None:
    """Prints a row for each attack, and ends with 1 if one of them did any harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=1200)
    parser.add_argument("--pictures", type=int, default=1000, help="in three equal parts, one for each way they come")
    asked = parser.parse_args()
    kinds = picture_kinds()  # before anybody waits: that alone takes half a minute
    with attacked_service() as service:
        url, each = service.url, -(-asked.pictures // len(WAYS))
        pictures = hostile_pictures(kinds)
        attacks: dict[str, Callable[[], Iterator[int]]] = {
            f"{asked.requests} malformed requests": lambda: malformed_requests(url, asked.requests),
            "200 deep or odd ones": lambda: odd_requests(url),
            f"{asked.connections} idle connections": lambda: idle_connections(url, asked.connections),
            f"{asked.connections} that read nothing": lambda: deaf_connections(url, asked.connections),
            "16 hostile labeling configs": lambda: hostile_configs(url),
            **{
                f"{each} hostile pictures {way}": partial(shown_pictures, service, list(islice(pictures, each)), way)
                for way in WAYS
            },
        }
        print("| attack | answers | longest wait of others | serve | worker |\n|---|---|---|---|---|")
        harm = [_attack(service, name, attack) for name, attack in attacks.items()]
        tracebacks = sum(map(_tracebacks, service.logs))
        print(f"\n{tracebacks} tracebacks in {len(service.logs)} logs of {_megabytes(service.logs):.1f} MB")
    sys.exit(1 if any(harm) or tracebacks else 0)


def _attack(service: AttackedService, name: str, attack: Callable[[], Iterator[int]]) -> bool:
    """Prints the row; returns whether there was harm."""
    bystander, peak, answers = Bystander(service.url), Counter[str](), Counter[int]()
    for index, status in enumerate(attack()):
        answers[status] += 1
        if index % 20 == 0:
            for kind, pid in service.pids.items():
                peak[kind] = max(peak[kind], _family_mib(pid))
    longest_s, refused = bystander.end()
    counted = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(answers.items()))
    print(f"| {name} | {counted} | {longest_s:.2f} s | {peak['serve']} MiB | {peak['worker']} MiB |", flush=True)
    too_much = peak["serve"] > MOST_SERVE_MIB or peak["worker"] > MOST_WORKER_MIB
    return bool(answers[500] or refused or longest_s > MOST_WAIT_S or too_much)


def _tracebacks(log: Path) -> int:
    """How many a log has; the first one is shown."""
    written = log.read_text(errors="replace")
    if found := written.count("Traceback"):
        print(written[max(0, written.index("Traceback") - 500) :][:3000])
    return found


def _megabytes(files: Sequence[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


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


def deaf_connections(url: str, count: int) -> Iterator[int]:
    """Connections that ask for one page after the other and read none of it, all kept open."""
    ask = b"GET /static/page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    where = httpx.URL(url)
    with ExitStack() as stack:
        for _ in range(count):
            made = stack.enter_context(socket.socket())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.settimeout(10)
            try:
                made.connect((where.host, where.port or 80))
                made.sendall(ask * 500)
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


def shown_pictures(service: AttackedService, contents: Sequence[bytes], way: str) -> Iterator[int]:
    """Have pictures predicted, four at a time."""
    with httpx.Client(base_url=service.url, timeout=100, trust_env=False) as client:
        for begin in range(0, len(contents), 4):
            places = [_place(service, content, way) for content in contents[begin : begin + 4]]
            tasks = [{"id": begin + index, "data": {"image": place}} for index, place in enumerate(places)]
            body = {"tasks": tasks, "project": PROJECT, "label_config": CONFIG}
            yield _status(partial(client.post, "/predict", json=body))


def _place(service: AttackedService, content: bytes, way: str) -> str:
    """What a task says of where the picture is."""
    if way == "in tasks":
        return "data:image/png;base64," + base64.b64encode(content).decode()
    return service.uploaded(content) if way == "as uploads" else service.elsewhere(content)


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

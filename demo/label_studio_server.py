"""A real Label Studio of one's own on 127.0.0.1, with the settings that let it call a backend there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.local_servers import comes_up

VERSION = "1.23.2"
READY_S = 240.0  # the first start migrates the database: half a minute on two idle cores
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Login:
    """The user that the first start makes. `token` is a legacy one."""

    email: str
    password: str
    token: str


def kept_login(path: Path, email: str) -> Login:
    """The login in the file, made up and kept there for this user alone the first time."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        made = {"email": email, "password": secrets.token_urlsafe(9), "token": secrets.token_hex(20)}
        path.write_text(json.dumps(made), encoding="utf-8")
    return Login(**json.loads(path.read_text(encoding="utf-8")))


def install(folder: Path, package: str = f"label-studio=={VERSION}", name: str = "label-studio") -> Path:
    """Label Studio, or another server, in an environment of its own, quick when it is there already; its program."""
    program = folder / "bin" / name
    if (folder / ".installed").is_file():
        return program
    shutil.rmtree(folder, ignore_errors=True)
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", package], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", package], check=True)
    (folder / ".installed").touch()
    return program


class LabelStudioServer:
    """A process on `port`; what it keeps is in `data`, so a second start is a matter of seconds."""

    def __init__(
        self,
        program: Path,
        data: Path,
        port: int,
        login: Login,
        pictures: Path | None = None,
        hostname: str | None = None,
    ) -> None:
        """Args: pictures: folder that it may serve as local files; `?d=` is relative to the folder that holds it.
        hostname: the address that it gives itself, "" for none; by default its own.
        """
        self.url = f"http://127.0.0.1:{port}"
        self.log = data / "label-studio.log"
        self._program, self._data, self._port, self._login, self._pictures = program, data, port, login, pictures
        self.hostname = self.url if hostname is None else hostname
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; RuntimeError with the log's end if it does not."""
        self._data.mkdir(parents=True, exist_ok=True)
        where = ["--no-browser", "--internal-host", "127.0.0.1", "--port", str(self._port), "--log-level", "WARNING"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "start", *where, "--enable-legacy-api-token"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(os.environ),
                cwd=self._data,
                start_new_session=True,  # a Ctrl-C is for us; we stop it in order
            )
        if not comes_up(self.url, self._process, READY_S):
            self.stop()
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"Label Studio did not start; the end of {self.log}:\n{tail}")

    def runs(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def cpu_s(self) -> float:
        """Seconds of processors that it has used; Linux only."""
        assert self._process is not None
        times = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:15]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def stop(self, kill: bool = False) -> None:
        """Ends the process."""
        if self._process is None or self._process.poll() is not None:
            return
        if kill:
            self._process.kill()
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Little of ours: Label Studio reads even HOST, PORT, DEBUG and PASSWORD."""
        settings = {
            "USERNAME": self._login.email,  # not on the command line, which every user of the machine can read
            "PASSWORD": self._login.password,
            "USER_TOKEN": self._login.token,
            "BASE_DATA_DIR": str(self._data),
            "HOST": self.hostname,
            "ML_BLOCK_LOCAL_IP": "false",  # else a backend on this machine is refused
            "SSRF_PROTECTION_ENABLED": "false",  # else its webhook is
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }
        if self._pictures is not None:
            settings |= {"LOCAL_FILES_SERVING_ENABLED": "true", "LOCAL_FILES_DOCUMENT_ROOT": str(self._pictures.parent)}
        kept = {name: ours[name] for name in KEPT if name in ours}
        return kept | {f"LABEL_STUDIO_{name}": value for name, value in settings.items()}

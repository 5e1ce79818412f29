"""All settings that Boxstrap reads from environment variables or boxstrap.toml; no other module reads the environment.

Every variable stands with its meaning in `Settings`, and docs/settings.md is generated from there. torch itself reads
MASTER_ADDR and MASTER_PORT, which torchrun sets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend.schedules import cron_expression, quiet_hours
from wsol_core.errors import ConfigError
from wsol_core.flat_toml import read_flat_toml
from wsol_core.registry import BACKBONES, METHODS, TIMM, is_backbone

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
CONFIG_FILE, TRACKERS = "boxstrap.toml", ("tensorboard", "mlflow")
LOG_LEVELS, PREANNOTATE_AS = ("DEBUG", "INFO", "WARNING", "ERROR"), ("draft", "prediction")


class GateMode(StrEnum):
    """How a new version goes live: if it is not worse, or when a person says so."""

    AUTO = "auto"
    SUGGEST = "suggest"
    MANUAL = "manual"


Parser = Callable[[str, str], Any]  # variable, its text -> value


def _text(_name: str, text: str) -> str:
    return text


def _flag(name: str, text: str) -> bool:
    if text.lower() not in YES + NO:
        raise ConfigError(f"{name} is {text!r}; set it to 1 or 0, or unset it.")
    return text.lower() in YES


def _path(_name: str, text: str) -> Path:
    return Path(text).expanduser().absolute()


class S3Url(str):
    """An address such as s3://BUCKET/FOLDER."""


def _model_store(name: str, text: str) -> Path | S3Url:
    if not text.startswith("s3:"):
        return _path(name, text)
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.-]+)*/?", text):
        raise ConfigError(f"{name} is {text!r}; write s3://BUCKET, or s3://BUCKET/FOLDER.")
    return S3Url(text.rstrip("/"))


def _folder(name: str, text: str) -> Path:
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{name} is {text!r}, which is no folder; correct the variable or unset it.")
    return folder


def _url(name: str, text: str) -> str:
    if "@" in text:  # which is not shown
        raise ConfigError(f"{name} holds a user or a password; take them out, a token is all that is needed.")
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text, re.IGNORECASE):
        raise ConfigError(f"{name} is {text!r}; write the whole address, such as http://localhost:8080.")
    return text.rstrip("/")


def _names(_name: str, text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,;\s]+", text) if part)


def _count(at_least: int) -> Parser:
    def parse(name: str, text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or int(text) < at_least:
            raise ConfigError(f"{name} is {text!r}; it has to be a whole number, {at_least} or more.")
        return int(text)

    return parse


def _number(above: float) -> Parser:
    def parse(name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not above < value < float("inf"):
            raise ConfigError(f"{name} is {text!r}; it has to be a number above {above:g}.")
        return value

    return parse


def _share(name: str, text: str) -> float:
    value = _number(-1)(name, text)
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {text!r}; it has to be a number from 0 to 1.")
    return float(value)


def _one_of(*choices: str) -> Parser:
    def parse(name: str, text: str) -> str:
        if text not in choices:
            raise ConfigError(f"{name} is {text!r}; choose one of {', '.join(choices)}.")
        return text

    return parse


def _backbone(name: str, text: str) -> str:
    if not is_backbone(text):
        raise ConfigError(f"{name} is {text!r}; choose one of {', '.join(BACKBONES)}, or {TIMM}NAME for one of timm's.")
    return text


def _variable(
    names: str, parse: Parser, default: Any, meaning: str, *, secret: bool = False, shown: str | None = None
) -> Any:
    """A field read from the first variable of `names` (separated by blanks) that is set.

    `shown` is what the table says of the default where its value is not enough.
    """
    metadata = {"names": tuple(names.split()), "parse": parse, "meaning": meaning, "shown": shown}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment's settings, checked. `rank` is below `world_size`. Secrets are left out of the repr."""

    label_studio_url: str | None = _variable(
        "LABEL_STUDIO_URL LABEL_STUDIO_HOST", _url, None, "Label Studio's address, as this machine reaches it"
    )
    label_studio_api_key: str | None = _variable(
        "LABEL_STUDIO_API_KEY LABEL_STUDIO_ACCESS_TOKEN",
        _text,
        None,
        "access token of a Label Studio user, personal or legacy",
        secret=True,
    )
    host: str = _variable("BOXSTRAP_HOST", _text, "127.0.0.1", "address that `serve` listens on")
    allowed_hosts: tuple[str, ...] = _variable(
        "BOXSTRAP_ALLOWED_HOSTS",
        _names,
        (),
        "names under which callers reach `serve` where it has no password, separated by commas",
        shown="localhost, this machine's name and every IP address",
    )
    port: int = _variable("BOXSTRAP_PORT PORT", _count(1), 9090, "port that `serve` listens on")
    basic_auth_user: str | None = _variable("BASIC_AUTH_USER", _text, None, "name that callers of `serve` have to give")
    basic_auth_pass: str | None = _variable("BASIC_AUTH_PASS", _text, None, "password that goes with it", secret=True)
    home: Path = _variable(
        "BOXSTRAP_HOME",
        _path,
        Path("~/.local/share/boxstrap").expanduser(),
        "folder for runs, projects, the picture cache and the embedded Redis",
        shown="~/.local/share/boxstrap",
    )
    model_dir: Path | S3Url | None = _variable(
        "MODEL_DIR",
        _model_store,
        None,
        "folder of the model registry; or `s3://BUCKET/FOLDER`, what several machines share",
        shown="$BOXSTRAP_HOME/models",
    )
    redis_url: str | None = _variable(
        "REDIS_URL", _text, None, "Redis or Valkey of your own", secret=True, shown="embedded in `boxstrap up`"
    )
    weights_dir: Path | None = _variable(
        "WSOL_WEIGHTS_DIR",
        _folder,
        None,
        "folder with pretrained weights, <backbone>.pt or .safetensors",
        shown="torchvision downloads them",
    )
    method: str = _variable("BOXSTRAP_METHOD", _one_of(*METHODS), "boxstrap", "method that jobs train")
    backbone: str = _variable("BOXSTRAP_BACKBONE", _backbone, "mobilenet_v2", "backbone that jobs train, or timm:NAME")
    train_minutes: float | None = _variable(
        "TRAIN_MINUTES", _number(0), None, "how long a training lasts", shown="as many steps as so many pictures need"
    )
    train_epochs: int | None = _variable("TRAIN_EPOCHS NUM_TRAIN_EPOCHS", _count(1), None, "epochs, where not minutes")
    train_every: int = _variable(
        "START_TRAINING_EACH_N_UPDATES", _count(0), 0, "a training starts after so many new corrections; 0: never"
    )
    train_cron: str = _variable(
        "TRAIN_CRON", cron_expression, "", "a training starts at these times of this machine, such as `0 3 * * *`"
    )
    train_quiet_hours: str = _variable(
        "TRAIN_QUIET_HOURS", quiet_hours, "", "no training starts by itself in them, such as `22:00-07:00`"
    )
    train_min_per_class: int = _variable(
        "TRAIN_MIN_PER_CLASS", _count(1), 5, "pictures of every class before the first training starts by itself"
    )
    train_log: str = _variable("TRAIN_LOG", _one_of(*TRACKERS), "", "tensorboard or mlflow: where jobs log trainings")
    gate: str = _variable(
        "BOXSTRAP_GATE", _one_of(*GateMode), "auto", "auto, suggest or manual: how a new version goes live"
    )
    device: str = _variable("DEVICE", _text, "auto", "auto, cpu, cuda or cuda:N; for training and prediction")
    preannotate_as: str = _variable(
        "PREANNOTATE_AS",
        _one_of(*PREANNOTATE_AS),
        "draft",
        "draft: tasks open with boxes in place also where the token's user submitted classes alone; or prediction",
    )
    preannotate: bool = _variable(
        "PREANNOTATE", _flag, True, "1: a new version's boxes and masks are written into Label Studio at once"
    )
    score_threshold: float | None = _variable(
        "MODEL_SCORE_THRESHOLD",
        _share,
        None,
        "regions that score less are left out; a control's attribute goes first",
        shown="what saves time is shown",
    )
    predict_timeout_s: float = _variable(
        "PREDICT_TIMEOUT", _number(0), 90.0, "seconds that /predict waits for a worker; Label Studio waits 100"
    )
    max_tasks: int = _variable("MAX_TASKS", _count(1), 2000, "most tasks in one /predict")
    max_body_mb: int = _variable("MAX_BODY_MB", _count(1), 32, "most megabytes in one request")
    image_max_mb: int = _variable("IMAGE_MAX_MB", _count(1), 64, "most megabytes of one picture")
    image_max_megapixels: int = _variable("IMAGE_MAX_MEGAPIXELS", _count(1), 100, "most million pixels of one picture")
    image_timeout_s: float = _variable("IMAGE_TIMEOUT", _number(0), 20.0, "seconds in which a picture has to arrive")
    image_hosts: tuple[str, ...] = _variable(
        "IMAGE_HOSTS",
        _names,
        (),
        "hosts (also *.pictures.local) or networks with private addresses that pictures may come from, by commas",
        shown="none but Label Studio's own",
    )
    image_cache_gb: float = _variable("IMAGE_CACHE_GB", _number(0), 10.0, "most gigabytes of the picture cache")
    model_cache_mb: int = _variable("MODEL_CACHE_MB", _count(1), 2048, "most megabytes of models a worker keeps loaded")
    log_level: str = _variable("LOG_LEVEL", _one_of(*LOG_LEVELS), "INFO", "DEBUG, INFO, WARNING or ERROR")
    debug: bool = _variable(
        "BOXSTRAP_DEBUG", _flag, False, "1: unexpected errors of a command show their traceback, and all logs"
    )
    rank: int = _variable("RANK", _count(0), 0, "torchrun's: this process among all, from 0")
    world_size: int = _variable("WORLD_SIZE", _count(1), 1, "torchrun's: how many processes train together")
    local_rank: int = _variable("LOCAL_RANK", _count(0), 0, "torchrun's: this process on its machine, from 0")

    def __post_init__(self) -> None:
        if self.rank >= self.world_size:
            raise ConfigError(
                f"RANK is {self.rank} and WORLD_SIZE {self.world_size}; ranks count from 0. Let torchrun set both."
            )
        if (self.basic_auth_user is None) != (self.basic_auth_pass is None):
            raise ConfigError("Only one of BASIC_AUTH_USER and BASIC_AUTH_PASS is set; set both, or neither.")
        if self.train_minutes is not None and self.train_epochs is not None:
            raise ConfigError("TRAIN_MINUTES and TRAIN_EPOCHS are both set; each rules how long a training lasts.")

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that talks to the user."""
        return self.rank == 0

    @property
    def models(self) -> Path:
        """The folder of the model registry; of its copies, where that is in a bucket."""
        if isinstance(self.model_dir, S3Url):
            return self.home / "shared" / re.sub("[^A-Za-z0-9.-]", "_", self.model_dir.removeprefix("s3://")) / "models"
        return self.model_dir or self.home / "models"

    @property
    def bucket(self) -> str | None:
        """The address of what several machines share; None where they share a folder."""
        return str(self.model_dir) if isinstance(self.model_dir, S3Url) else None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings of `environ`; None: the process's own environment, and where that says nothing, boxstrap.toml.

        BOXSTRAP_CONFIG names the file, else it is the working folder's. ConfigError names what has no meaning.
        """
        values = _with_config_file(os.environ, cls) if environ is None else environ
        found = {}
        for part in fields(cls):
            for name in part.metadata["names"]:
                if text := values.get(name, "").strip():
                    found[part.name] = part.metadata["parse"](name, text)
                    break
        return cls(**found)


def _with_config_file(environ: Mapping[str, str], settings: type[Settings]) -> Mapping[str, str]:
    """The environment, and what the file says of settings that are not in it by any of their names."""
    file = Path(environ.get("BOXSTRAP_CONFIG", "").strip() or CONFIG_FILE).expanduser()
    names = [part.metadata["names"] for part in fields(settings)]
    found = read_flat_toml(file, {name for several in names for name in several})
    decided = {name for several in names if any(environ.get(each, "").strip() for each in several) for name in several}
    return {**environ, **{name: text for name, text in found.items() if name not in decided}}

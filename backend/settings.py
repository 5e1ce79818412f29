"""All settings that Boxstrap reads from environment variables or boxstrap.toml; no other module reads the environment.

Every variable stands with its meaning in `Settings`, and docs/settings.md is generated from there. torch itself reads
MASTER_ADDR and MASTER_PORT, which torchrun sets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend import setting_values as read
from backend.schedules import cron_expression, quiet_hours
from wsol_core.errors import ConfigError
from wsol_core.flat_toml import read_flat_toml
from wsol_core.registry import METHODS

CONFIG_FILE, TRACKERS = "boxstrap.toml", ("tensorboard", "mlflow")
LOG_LEVELS, PREANNOTATE_AS = ("DEBUG", "INFO", "WARNING", "ERROR"), ("draft", "prediction")


class GateMode(StrEnum):
    """How a new version goes live: if it is not worse, or when a person says so."""

    AUTO = "auto"
    SUGGEST = "suggest"
    MANUAL = "manual"


def _variable(
    names: str, parse: read.Parser, default: Any, meaning: str, *, secret: bool = False, shown: str | None = None
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
        "LABEL_STUDIO_URL LABEL_STUDIO_HOST", read.url, None, "Label Studio's address, as this machine reaches it"
    )
    label_studio_api_key: str | None = _variable(
        "LABEL_STUDIO_API_KEY LABEL_STUDIO_ACCESS_TOKEN",
        read.token,
        None,
        "access token of a Label Studio user, personal or legacy",
        secret=True,
    )
    host: str = _variable("BOXSTRAP_HOST", read.listening_host, "127.0.0.1", "address that `serve` listens on")
    allowed_hosts: tuple[str, ...] = _variable(
        "BOXSTRAP_ALLOWED_HOSTS",
        read.names,
        (),
        "names under which callers reach `serve` where it has no password, separated by commas",
        shown="localhost, this machine's name and every IP address",
    )
    port: int = _variable("BOXSTRAP_PORT PORT", read.port, 9090, "port that `serve` listens on")
    basic_auth_user: str | None = _variable(
        "BASIC_AUTH_USER", read.any_text, None, "name that callers of `serve` have to give"
    )
    basic_auth_pass: str | None = _variable(
        "BASIC_AUTH_PASS", read.any_text, None, "password that goes with it", secret=True
    )
    home: Path = _variable(
        "BOXSTRAP_HOME",
        read.any_path,
        Path("~/.local/share/boxstrap").expanduser(),
        "folder for runs, projects, the picture cache and the embedded Redis",
        shown="~/.local/share/boxstrap",
    )
    model_dir: Path | read.S3Url | None = _variable(
        "MODEL_DIR",
        read.model_store,
        None,
        "folder of the model registry; or `s3://BUCKET/FOLDER`, what several machines share",
        shown="$BOXSTRAP_HOME/models",
    )
    redis_url: str | None = _variable(
        "REDIS_URL", read.any_text, None, "Redis or Valkey of your own", secret=True, shown="embedded in `boxstrap up`"
    )
    weights_dir: Path | None = _variable(
        "WSOL_WEIGHTS_DIR",
        read.folder,
        None,
        "folder with pretrained weights, <backbone>.pt or .safetensors",
        shown="torchvision downloads them",
    )
    method: str = _variable("BOXSTRAP_METHOD", read.one_of(*METHODS), "boxstrap", "method that jobs train")
    backbone: str = _variable(
        "BOXSTRAP_BACKBONE", read.backbone, "mobilenet_v2", "backbone that jobs train, or timm:NAME"
    )
    train_minutes: float | None = _variable(
        "TRAIN_MINUTES",
        read.number(0),
        None,
        "how long a training lasts",
        shown="as many steps as so many pictures need",
    )
    train_epochs: int | None = _variable(
        "TRAIN_EPOCHS NUM_TRAIN_EPOCHS", read.count(1), None, "epochs, where not minutes"
    )
    train_every: int = _variable(
        "START_TRAINING_EACH_N_UPDATES", read.count(0), 0, "a training starts after so many new corrections; 0: never"
    )
    train_cron: str = _variable(
        "TRAIN_CRON", cron_expression, "", "a training starts at these times of this machine, such as `0 3 * * *`"
    )
    train_quiet_hours: str = _variable(
        "TRAIN_QUIET_HOURS", quiet_hours, "", "no training starts by itself in them, such as `22:00-07:00`"
    )
    train_min_per_class: int = _variable(
        "TRAIN_MIN_PER_CLASS", read.count(1), 5, "pictures of every class before the first training starts by itself"
    )
    train_log: str = _variable(
        "TRAIN_LOG", read.one_of(*TRACKERS), "", "tensorboard or mlflow: where jobs log trainings"
    )
    gate: str = _variable(
        "BOXSTRAP_GATE", read.one_of(*GateMode), "auto", "auto, suggest or manual: how a new version goes live"
    )
    device: str = _variable("DEVICE", read.any_text, "auto", "auto, cpu, cuda or cuda:N; for training and prediction")
    preannotate_as: str = _variable(
        "PREANNOTATE_AS",
        read.one_of(*PREANNOTATE_AS),
        "draft",
        "draft: tasks open with boxes in place also where the token's user submitted classes alone; or prediction",
    )
    preannotate: bool = _variable(
        "PREANNOTATE", read.flag, True, "1: a new version's boxes and masks are written into Label Studio at once"
    )
    score_threshold: float | None = _variable(
        "MODEL_SCORE_THRESHOLD",
        read.share,
        None,
        "regions that score less are left out; a control's attribute goes first",
        shown="what saves time is shown",
    )
    predict_timeout_s: float = _variable(
        "PREDICT_TIMEOUT",
        read.number(0, read.LONGEST_S),
        90.0,
        "seconds that /predict waits for a worker; Label Studio waits 100",
    )
    max_tasks: int = _variable("MAX_TASKS", read.count(1), 2000, "most tasks in one /predict")
    max_body_mb: int = _variable("MAX_BODY_MB", read.count(1), 32, "most megabytes in one request")
    image_max_mb: int = _variable("IMAGE_MAX_MB", read.count(1), 64, "most megabytes of one picture")
    image_max_megapixels: int = _variable(
        "IMAGE_MAX_MEGAPIXELS", read.count(1), 100, "most million pixels of one picture"
    )
    image_timeout_s: float = _variable(
        "IMAGE_TIMEOUT", read.number(0, read.LONGEST_S), 20.0, "seconds in which a picture has to arrive"
    )
    image_hosts: tuple[str, ...] = _variable(
        "IMAGE_HOSTS",
        read.hosts,
        (),
        "hosts (also *.pictures.local) or networks with private addresses that pictures may come from, by commas",
        shown="none but Label Studio's own",
    )
    image_cache_gb: float = _variable("IMAGE_CACHE_GB", read.number(0), 10.0, "most gigabytes of the picture cache")
    model_cache_mb: int = _variable(
        "MODEL_CACHE_MB", read.count(1), 2048, "most megabytes of models a worker keeps loaded"
    )
    log_level: str = _variable("LOG_LEVEL", read.one_of(*LOG_LEVELS), "INFO", "DEBUG, INFO, WARNING or ERROR")
    debug: bool = _variable(
        "BOXSTRAP_DEBUG", read.flag, False, "1: unexpected errors of a command show their traceback, and all logs"
    )
    rank: int = _variable("RANK", read.count(0), 0, "torchrun's: this process among all, from 0")
    world_size: int = _variable("WORLD_SIZE", read.count(1), 1, "torchrun's: how many processes train together")
    local_rank: int = _variable("LOCAL_RANK", read.count(0), 0, "torchrun's: this process on its machine, from 0")

    def __post_init__(self) -> None:
        if self.rank >= self.world_size:
            raise ConfigError(
                f"RANK is {self.rank} and WORLD_SIZE {self.world_size}; ranks count from 0. Let torchrun set both."
            )
        if (self.basic_auth_user is None) != (self.basic_auth_pass is None):
            raise ConfigError("Only one of BASIC_AUTH_USER and BASIC_AUTH_PASS is set; set both, or neither.")
        if ":" in (self.basic_auth_user or ""):  # where a browser sends it, the name ends there
            raise ConfigError("BASIC_AUTH_USER has a colon in it; choose another name.")
        if self.train_minutes is not None and self.train_epochs is not None:
            raise ConfigError("TRAIN_MINUTES and TRAIN_EPOCHS are both set; each rules how long a training lasts.")

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that talks to the user."""
        return self.rank == 0

    @property
    def models(self) -> Path:
        """The folder of the model registry; of its copies, where that is in a bucket."""
        if isinstance(self.model_dir, read.S3Url):
            return self.home / "shared" / re.sub("[^A-Za-z0-9.-]", "_", self.model_dir.removeprefix("s3://")) / "models"
        return self.model_dir or self.home / "models"

    @property
    def bucket(self) -> str | None:
        """The address of what several machines share; None where they share a folder."""
        return str(self.model_dir) if isinstance(self.model_dir, read.S3Url) else None

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

"""Checks of this machine: settings, Redis, workers, device, pretrained weights, the model store."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from redis.exceptions import AuthenticationError, RedisError

from backend.doctor.checks import Finding, failed, ok, warning
from backend.queueing.connection import connect, socket_path, where
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.settings import Settings
from backend.storage.bucket import Bucket
from wsol_core.errors import ConfigError, StorageError
from wsol_core.registry import TIMM, backbone_info

OLDEST_REDIS = 5
GB = 2**30
LITTLE_BYTES, TOO_LITTLE_BYTES = 5 * GB, GB // 2
WORKERS = {TRAIN: "boxstrap worker train", PREDICT: "boxstrap worker predict", BULK: "boxstrap worker predict"}


def impatient_queue(settings: Settings) -> JobQueue:
    """The queues, over a connection that gives up soon: a job's result is worth a longer wait than an answer here."""
    return JobQueue(connect(replace(settings, predict_timeout_s=1)))


def settings_read(settings: Settings) -> Finding:
    """The environment; one without meaning ends every command before this."""
    return ok(f"method {settings.method}, backbone {settings.backbone}, data in {settings.home}")


def redis_server(settings: Settings) -> Finding:
    """Reachable, and not too old."""
    if settings.redis_url is None and not socket_path(settings.home).exists():
        return failed(
            f"the embedded Redis of {settings.home} is not running",
            "Start `boxstrap up`, or set REDIS_URL to a Redis of your own.",
        )
    try:
        facts = impatient_queue(settings).connection.info("server")
    except AuthenticationError:
        return failed(f"{where(settings)} refuses the password", "Correct the password in REDIS_URL.")
    except RedisError as error:
        return failed(
            f"{where(settings)} does not answer ({type(error).__name__})",
            "Start it, or correct REDIS_URL." if settings.redis_url else "Start `boxstrap up` again.",
        )
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get("valkey_version") or facts.get("redis_version", "0"))
    if int(version.partition(".")[0] or 0) < OLDEST_REDIS:
        return failed(
            f"{name} {version} at {where(settings)} is too old", f"Install version {OLDEST_REDIS} or newer, or Valkey."
        )
    return ok(f"{name} {version} at {where(settings)}")


def workers(settings: Settings, queue: str) -> Finding:
    """Somebody works on the queue."""
    count = len(impatient_queue(settings).workers(queue))
    if not count:
        return failed(f"nobody works on {queue}", f"Start `{WORKERS[queue]}`, or `boxstrap up`, which does.")
    return ok(f"{count} running")


def device(settings: Settings) -> Finding:
    """Where trainings and predictions of a worker on this machine compute."""
    import torch

    from wsol_core.devices import choose_device

    chosen = choose_device(settings.device)
    if chosen.type == "cuda":
        facts = torch.cuda.get_device_properties(chosen)
        return ok(f"{facts.name}, {facts.total_memory / GB:.0f} GiB of memory (DEVICE={settings.device})")
    if settings.device == "cpu":
        return warning("DEVICE=cpu, so trainings are slow", "Set DEVICE=auto if this machine has an NVIDIA GPU.")
    if torch.version.cuda is None:
        return warning(
            "only the CPU: this torch was built without CUDA, so trainings are slow",
            "If there is an NVIDIA GPU, install torch from https://pytorch.org with CUDA.",
        )
    return warning(
        "only the CPU: torch sees no CUDA device, so trainings are slow",
        "If there is an NVIDIA GPU, check `nvidia-smi`, and in Docker `--gpus all`.",
    )


def weights(settings: Settings) -> Finding:
    """ImageNet weights of the backbone that jobs train: a file, torchvision's cache, or a download."""
    name = settings.backbone
    if not backbone_info(name).has_weights:
        return ok(f"the backbone {name} learns from scratch and needs none")
    import torch
    import torchvision

    from wsol_core.networks.pretrained import find_weights, load_weights

    if (path := find_weights(name, settings.weights_dir)) is not None:
        load_weights(path)
        return ok(f"{name} in {path}")
    if name.startswith(TIMM):
        from wsol_core.networks.timm_backbones import check_timm

        check_timm(name)
        return ok(f"{name} is looked for by timm in its cache and at its own address")
    url = torchvision.models.get_model_weights(name)[backbone_info(name).version].url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if cached.is_file():
        return ok(f"{name} in torchvision's cache, {cached}")
    try:
        reachable = httpx.head(url, timeout=5, follow_redirects=True).status_code == 200
    except httpx.HTTPError:
        reachable = False
    if reachable:
        return ok(f"{name} will be downloaded from {urlsplit(url).hostname} by the first training")
    return warning(
        f"ImageNet weights of {name} are neither here nor to be had from {urlsplit(url).hostname}, so trainings start "
        "from scratch and need far more pictures",
        f"Put {name}.pt into a folder and name it in WSOL_WEIGHTS_DIR, or train with BOXSTRAP_BACKBONE=tiny.",
    )


def model_store(settings: Settings) -> Finding:
    """Versions can be written, and there is room for them."""
    if settings.bucket:
        try:
            Bucket(settings.bucket).require_conditions()
        except (StorageError, ConfigError) as error:
            return failed(str(error), "Correct MODEL_DIR, or what the message names.")
    folder = settings.models
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".boxstrap-doctor-"):
            pass
    except OSError as error:
        return failed(
            f"{nearest} cannot be written to ({error.strerror or error})",
            "Correct its permissions, or set MODEL_DIR to another folder.",
        )
    free = shutil.disk_usage(nearest).free
    found = f"{folder} has {free / GB:.1f} GB left"
    if free < TOO_LITTLE_BYTES:
        return failed(found, "Make room, or set MODEL_DIR to a folder on another disk.")
    if free < LITTLE_BYTES:
        return warning(found, "Make room soon; `boxstrap models delete` removes old versions.")
    return ok(found)

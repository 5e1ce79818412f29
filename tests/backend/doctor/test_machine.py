"""Redis, workers, device, weights and the model store: each failure has its sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rq import Worker
from rq.serializers import JSONSerializer

from backend.doctor import machine
from backend.doctor.checks import CheckList
from backend.queueing.queue import BULK, TRAIN, JobQueue
from backend.setting_values import S3Url
from backend.settings import Settings
from tests.backend.doctor.expectations import says


def test_an_embedded_redis_that_does_not_run_is_started_by_up(tmp_path: Path) -> None:
    says(
        machine.redis_server(Settings(home=tmp_path)),
        "failed",
        "embedded Redis",
        "Start `boxstrap up`, or set REDIS_URL",
    )


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    finding = machine.redis_server(Settings(redis_url="redis://:s3cret@127.0.0.1:9/0"))
    says(finding, "failed", "redis://127.0.0.1:9/0 does not answer", "correct REDIS_URL")
    assert "s3cret" not in str(finding)


def test_a_running_redis_says_its_version(settings: Settings) -> None:
    says(machine.redis_server(settings), "ok", f"at unix://{settings.home}/redis/socket")


def test_an_old_redis_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class OldRedis:
        def info(self, _section: str) -> dict[str, str]:
            return {"redis_version": "4.0.14"}

    old = JobQueue.__new__(JobQueue)
    old.connection = OldRedis()  # type: ignore[assignment]
    monkeypatch.setattr(machine, "impatient_queue", lambda _settings: old)
    says(machine.redis_server(settings), "failed", "Redis 4.0.14", "Install version 5 or newer")


def test_a_queue_without_workers_names_the_command_for_one(settings: Settings, queue: JobQueue) -> None:
    says(machine.workers(settings, TRAIN), "failed", "nobody works on boxstrap-train", "`boxstrap worker train`")
    worker = Worker([TRAIN], connection=queue.connection, serializer=JSONSerializer)
    worker.register_birth()
    says(machine.workers(settings, TRAIN), "ok", "1 running")
    says(machine.workers(settings, BULK), "failed", "nobody works on boxstrap-bulk", "`boxstrap worker predict`")
    worker.register_death()


def test_the_device_is_said_in_words(settings: Settings) -> None:
    says(machine.device(settings), "warning", "DEVICE=cpu, so trainings are slow", "Set DEVICE=auto")
    checks = CheckList()
    wrong = checks.check("device", lambda: machine.device(replace(settings, device="cuda:77")))
    says(wrong, "failed", "Device 'cuda:77' is not here")


def test_weights_are_looked_for_in_the_folder_then_in_the_cache_then_online(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    import torch

    says(machine.weights(settings), "ok", "tiny learns from scratch")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(httpx, "head", lambda *_, **__: httpx.Response(403))
    wanted = replace(settings, backbone="mobilenet_v2", weights_dir=tmp_path)
    says(machine.weights(wanted), "warning", "neither here nor to be had", "WSOL_WEIGHTS_DIR")
    monkeypatch.setattr(httpx, "head", lambda *_, **__: httpx.Response(200))
    says(machine.weights(wanted), "ok", "will be downloaded from download.pytorch.org")
    (tmp_path / "mobilenet_v2.pt").write_bytes(b"torn")
    torn = CheckList().check("weights", lambda: machine.weights(wanted))
    says(torn, "failed", "cannot be read as weights")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "mobilenet_v2.pt")
    says(machine.weights(wanted), "ok", f"mobilenet_v2 in {tmp_path / 'mobilenet_v2.pt'}")


def test_a_model_store_needs_room(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10 * machine.GB, "ok"), (2 * machine.GB, "warning"), (machine.GB // 4, "failed")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _path, free=free: type("Usage", (), {"free": free}))
        assert machine.model_store(settings).state == state
    assert not settings.models.exists()  # looking makes nothing


@pytest.mark.slow
def test_a_bucket_is_written_to(s3_url: str, tmp_path: Path) -> None:
    assert machine.model_store(Settings(home=tmp_path, model_dir=S3Url(s3_url))).state == "ok"
    finding = machine.model_store(Settings(home=tmp_path, model_dir=S3Url("s3://no-such-bucket")))
    says(finding, "failed", "s3://no-such-bucket/.probe", "Correct MODEL_DIR")


def test_a_model_store_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = machine.model_store(Settings(model_dir=tmp_path / "file"))
    says(finding, "failed", f"{tmp_path / 'file'} cannot be written to", "set MODEL_DIR")

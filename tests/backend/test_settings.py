"""What the environment may say, and what is said back when it makes no sense."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from backend.settings import Settings
from docs.settings import table
from wsol_core.errors import ConfigError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings(weights_dir=None, debug=False, rank=0, world_size=1, local_rank=0)
    assert settings.is_main


def test_every_variable_is_read(tmp_path: Path) -> None:
    values = {"WSOL_WEIGHTS_DIR": str(tmp_path), "BOXSTRAP_DEBUG": "1"}
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    settings = Settings.from_env({**values, **torchrun})
    assert settings == Settings(weights_dir=tmp_path, debug=True, rank=3, world_size=4, local_rank=1)
    assert not settings.is_main


def test_without_a_mapping_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXSTRAP_DEBUG", "yes")
    assert Settings.from_env().debug


@pytest.mark.parametrize("name", ["WSOL_WEIGHTS_DIR", "BOXSTRAP_DEBUG", "RANK", "WORLD_SIZE", "LOCAL_RANK"])
def test_a_blank_variable_counts_as_unset(name: str) -> None:
    assert Settings.from_env({name: " "}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WSOL_WEIGHTS_DIR", "/no/such/folder"),
        ("BOXSTRAP_DEBUG", "maybe"),
        ("RANK", "-1"),
        ("WORLD_SIZE", "0"),
        ("LOCAL_RANK", "one"),
    ],
)
def test_a_value_without_meaning_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is '{value}'"):
        Settings.from_env({name: value})


@pytest.mark.parametrize("written", ["10.0.0.0/8,minio:9000", " 10.0.0.0/8 minio:9000\n", "10.0.0.0/8; minio:9000;"])
def test_names_have_commas_or_what_people_write_instead_between_them(written: str) -> None:
    assert Settings.from_env({"IMAGE_HOSTS": written}).image_hosts == ("10.0.0.0/8", "minio:9000")


def test_a_rank_beyond_the_world_is_refused() -> None:
    with pytest.raises(ConfigError, match="RANK is 2 and WORLD_SIZE 2"):
        Settings.from_env({"RANK": "2", "WORLD_SIZE": "2"})


def test_a_tilde_in_the_weights_folder_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    assert Settings.from_env({"WSOL_WEIGHTS_DIR": "~/weights"}).weights_dir == tmp_path / "weights"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABEL_STUDIO_URL", "localhost:8080"),
        ("BOXSTRAP_PORT", "web"),
        ("TRAIN_MINUTES", "nan"),
        ("MODEL_SCORE_THRESHOLD", "1.5"),
        ("BOXSTRAP_METHOD", "yolo"),
        ("LOG_LEVEL", "loud"),
        ("START_TRAINING_EACH_N_UPDATES", "-1"),
        ("TRAIN_CRON", "at night"),
        ("TRAIN_QUIET_HOURS", "22-7"),
        ("TRAIN_MIN_PER_CLASS", "0"),
        ("BOXSTRAP_GATE", "open"),
    ],
)
def test_a_value_of_the_service_without_meaning_is_named_too(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is '{value}'"):
        Settings.from_env({name: value})


def test_what_decides_when_to_train_is_read() -> None:
    settings = Settings.from_env(
        {
            "START_TRAINING_EACH_N_UPDATES": "20",
            "TRAIN_CRON": "0  3 * * *",
            "TRAIN_QUIET_HOURS": "22:00-07:00",
            "TRAIN_MIN_PER_CLASS": "3",
            "BOXSTRAP_GATE": "suggest",
        }
    )
    found = (settings.train_every, settings.train_cron, settings.train_quiet_hours, settings.train_min_per_class)
    assert (*found, settings.gate) == (20, "0 3 * * *", "22:00-07:00", 3, "suggest")


def test_the_first_name_of_a_variable_goes_before_its_other_names() -> None:
    both = {"LABEL_STUDIO_HOST": "http://old", "LABEL_STUDIO_URL": "http://new/"}
    assert Settings.from_env(both).label_studio_url == "http://new"
    assert Settings.from_env({"LABEL_STUDIO_HOST": "http://old"}).label_studio_url == "http://old"


@pytest.mark.parametrize(
    "url", ["localhost:8080", "http://", "http://a b", "http://host/?x=1", "'http://host'", "ftp://h"]
)
def test_what_is_no_address_of_a_label_studio_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match=r"LABEL_STUDIO_URL is .* write the whole address"):
        Settings.from_env({"LABEL_STUDIO_URL": url})


@pytest.mark.parametrize("path", ["projects-x", "api-gateway/labels", "user/labels", "projects/labels", "api/labels"])
def test_a_label_studio_may_be_served_below_any_folder(path: str) -> None:
    assert Settings.from_env({"LABEL_STUDIO_URL": f"http://host/{path}/"}).label_studio_url == f"http://host/{path}"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("LABEL_STUDIO_URL", "http://host:99999", "its port has to be a number up to 65535"),
        ("LABEL_STUDIO_URL", "http://[::1", "write the whole address"),
        ("LABEL_STUDIO_URL", "http://host/labels/projects/7/data", "leave out /projects/7/data"),
        ("LABEL_STUDIO_API_KEY", "abc\ndef", "characters that no token has"),
        ("LABEL_STUDIO_API_KEY", "abc…def", "characters that no token has"),
        ("BOXSTRAP_PORT", "65536", "1 to 65535"),
        ("BOXSTRAP_PORT", "9" * 5000, "has 5000 digits"),
        ("BOXSTRAP_HOST", "http://0.0.0.0", "write the address alone"),
        ("BOXSTRAP_HOST", "localhost:9090", "the port in BOXSTRAP_PORT"),
        ("MODEL_DIR", "gs://bucket/models", "write a folder, s3://BUCKET"),
        ("MODEL_SCORE_THRESHOLD", "40%", "a number from 0 to 1"),
        ("IMAGE_CACHE_GB", "1e300", "up to 1,000,000,000"),
        ("IMAGE_TIMEOUT", "1e18", "up to 1,000,000"),
        ("IMAGE_HOSTS", "*", "names no host"),
        ("IMAGE_HOSTS", "minio, 10.0.0.0/99", "10.0.0.0/99', which is no network"),
        ("BOXSTRAP_HOME", "~nobody-of-that-name/x", "write the whole path"),
    ],
)
def test_what_looks_like_a_value_and_has_no_meaning_is_named(variable: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        Settings.from_env({variable: text})
    assert variable in str(caught.value) and "def" not in str(caught.value)


def test_what_people_copy_with_a_value_is_left_out() -> None:
    assert Settings.from_env({"LABEL_STUDIO_API_KEY": '"Token abc"'}).label_studio_api_key == "abc"
    assert Settings.from_env({"BOXSTRAP_HOST": "[::1]"}).host == "::1"
    assert Settings.from_env({"LOG_LEVEL": "debug", "BOXSTRAP_GATE": "Suggest"}).log_level == "DEBUG"


def test_a_name_with_a_colon_cannot_be_sent_with_a_password() -> None:
    with pytest.raises(ConfigError, match="BASIC_AUTH_USER has a colon"):
        Settings.from_env({"BASIC_AUTH_USER": "a:b", "BASIC_AUTH_PASS": "c"})


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="holds a user or a password") as caught:
        Settings.from_env({"LABEL_STUDIO_URL": "https://me:s3cret@host"})
    assert "s3cret" not in str(caught.value)
    assert Settings.from_env({"LABEL_STUDIO_URL": "HTTPS://host/prefix/"}).label_studio_url == "HTTPS://host/prefix"


def test_half_a_pair_of_name_and_password_is_refused() -> None:
    with pytest.raises(ConfigError, match="Only one of BASIC_AUTH_USER and BASIC_AUTH_PASS"):
        Settings.from_env({"BASIC_AUTH_USER": "me"})


def test_secrets_are_not_in_the_text_of_the_settings() -> None:
    secrets = {"LABEL_STUDIO_API_KEY": "s3cret", "BASIC_AUTH_USER": "me", "BASIC_AUTH_PASS": "s3cret"}
    assert "s3cret" not in repr(Settings.from_env({**secrets, "REDIS_URL": "redis://:s3cret@redis:6379"}))


def test_the_table_has_a_row_for_every_variable() -> None:
    assert "| `LABEL_STUDIO_API_KEY` or `LABEL_STUDIO_ACCESS_TOKEN` |" in table()
    assert "| `PREANNOTATE` |" in table() and "| 1 |" in table()


def test_a_file_in_the_working_folder_says_what_the_environment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["TRAIN_MINUTES = 20", "PREANNOTATE = false", 'IMAGE_HOSTS = ["10.0.0.0/8", "b"]', "PORT = 9191"]
    (tmp_path / "boxstrap.toml").write_text("\n".join([*lines, 'DEVICE = "cpu"']))
    monkeypatch.chdir(tmp_path)
    for name in ("TRAIN_MINUTES", "PREANNOTATE", "IMAGE_HOSTS", "PORT", "BOXSTRAP_PORT", "BOXSTRAP_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVICE", "auto")
    settings = Settings.from_env()
    assert (settings.train_minutes, settings.preannotate, settings.port) == (20, False, 9191)
    assert settings.image_hosts == ("10.0.0.0/8", "b")
    assert settings.device == "auto"
    monkeypatch.setenv("BOXSTRAP_PORT", "9292")  # another name of the same setting
    assert Settings.from_env().port == 9292


def test_a_file_may_begin_with_the_mark_of_windows_editors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("DEVICE = 'cuda'", encoding="utf-8-sig")
    monkeypatch.setenv("BOXSTRAP_CONFIG", str(tmp_path / "mine.toml"))
    monkeypatch.delenv("DEVICE", raising=False)
    assert Settings.from_env().device == "cuda"


def test_a_pipe_in_the_place_of_the_file_is_named_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "mine.toml")
    monkeypatch.setenv("BOXSTRAP_CONFIG", str(tmp_path / "mine.toml"))
    with pytest.raises(ConfigError, match="it is no file"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("DEVICE = " + "[" * 100_000, "cannot be read", id="deep"),
        ("train_minute = 3", "train_minute is no setting; is TRAIN_MINUTES meant?"),
        ("TRAIN_MINUTES = nothing", "cannot be read"),
        ("[TRAIN_MINUTES]", "TRAIN_MINUTES is {}; it has to be a text, a number, true, false or a list of texts"),
        ("TRAIN_MINUTES = -1", "TRAIN_MINUTES is '-1'; it has to be a number above 0"),
    ],
)
def test_a_file_without_meaning_is_a_sentence_that_names_it(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    monkeypatch.setenv("BOXSTRAP_CONFIG", str(file))
    monkeypatch.delenv("TRAIN_MINUTES", raising=False)
    with pytest.raises(ConfigError) as raised:
        Settings.from_env()
    assert sentence in str(raised.value)

"""BoxstrapModel under label-studio-ml: the server of 1.0.9, in this process and as a real one, and 2.x's base class."""

from __future__ import annotations

import base64
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from backend import model, model_server
from backend.queueing.queue import TRAIN, JobQueue
from backend.settings import Settings
from demo.local_servers import comes_up, free_port
from tests.backend.support.embedded_redis import redis_in, short_home
from tests.backend.support.fake_label_studio_ml_v2 import FakeBaseV2

ROOT = Path(__file__).parents[2]
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="box" toName="image"><Label value="fish"/></RectangleLabels></View>'
)
SETUP = {
    "project": "7.1795206333",
    "schema": CONFIG,
    "hostname": "http://localhost:8080",
    "access_token": "s3cret",
    "extra_params": {"threshold": 0.5},
}
TASKS = [{"id": 1, "project": 7, "data": {"image": "/data/upload/7/a.png"}, "annotations": []}]
PARAMS = {"login": None, "password": None, "context": None}
START = {"action": "START_TRAINING", "project": {"id": 7, "label_config": CONFIG}}
UNTRAINED = "boxstrap-7-untrained"
EMPTY = {"result": [], "score": 0.0, "model_version": UNTRAINED}


@pytest.fixture(scope="module")
def queue() -> Iterator[JobQueue]:
    with short_home() as home, redis_in(home) as queue:
        yield queue


@pytest.fixture(autouse=True)
def home(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test begins with an empty Redis and an empty home, and reads its own environment."""
    queue.connection.flushall()
    folder = Path(str(queue.connection.config_get("dir")["dir"])).parent
    for name in ("REDIS_URL", "MODEL_DIR", "BASIC_AUTH_USER", "BASIC_AUTH_PASS"):
        monkeypatch.delenv(name, raising=False)
    with short_home() as other:
        monkeypatch.setenv("BOXSTRAP_HOME", str(other))
        monkeypatch.setenv("REDIS_URL", f"unix://{folder}/redis/socket")
        model.parts.cache_clear()
        yield other
    model.parts.cache_clear()


@pytest.fixture(scope="module")
def app() -> Any:
    return model_server.make_app()


@pytest.fixture
def client(app: Any) -> FlaskClient:
    client: FlaskClient = app.test_client()
    return client


def waiting(queue: JobQueue) -> int:
    return queue.counts()[TRAIN]["queued"]


def test_health_is_up_and_names_no_folder(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json == {"status": "UP", "model_dir": None, "v2": False}


def test_setup_gives_the_version_as_text_and_remembers_the_project(client: FlaskClient) -> None:
    assert client.post("/setup", json=SETUP).json == {"model_version": UNTRAINED}
    project = model.parts().stores.projects.find("7")
    assert project is not None and project.label_config == CONFIG and project.hostname == "http://localhost:8080"


def test_predict_before_any_setup_and_training_is_empty_and_of_the_version_of_setup(client: FlaskClient) -> None:
    call = {"tasks": TASKS * 2, "project": "7.1795206333", "label_config": CONFIG, "params": PARAMS}
    answer = client.post("/predict", json=call)
    assert answer.status_code == 200
    assert answer.json == {"results": [EMPTY, EMPTY], "model_version": UNTRAINED}


def test_the_project_of_a_predict_without_one_is_its_tasks(client: FlaskClient) -> None:
    assert client.post("/predict", json={"tasks": TASKS, "label_config": CONFIG}).json == {
        "results": [EMPTY],
        "model_version": UNTRAINED,
    }


def test_a_predict_whose_labeling_config_was_never_heard_of_says_so_without_a_traceback(client: FlaskClient) -> None:
    answer = client.post("/predict", json={"tasks": TASKS, "project": "7.1"})
    assert answer.status_code == 422
    assert "call /setup first" in answer.json["detail"]
    assert answer.json["result"] == {"traceback": ""}


def test_context_and_tasks_go_to_the_service(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def predict(*call: Any) -> list[Any]:
        asked.append(call)
        return [EMPTY]

    monkeypatch.setattr(type(model.parts().services.predictions), "predict", lambda _self, *call: predict(*call))
    context = {"result": [{"type": "rectanglelabels"}]}
    call = {"tasks": TASKS, "project": "7.1", "label_config": CONFIG, "params": {**PARAMS, "context": context}}
    assert client.post("/predict", json=call).status_code == 200
    assert asked == [("7", CONFIG, TASKS, context)]


def test_start_training_puts_one_run_on_the_queue_however_often_it_comes(client: FlaskClient, queue: JobQueue) -> None:
    answers = [client.post("/webhook", json=START) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    jobs = {answer.json["job"] for answer in answers}
    assert len(jobs) == 1 and queue.status(jobs.pop()) == "queued"
    assert waiting(queue) == 1


def test_a_changed_labeling_config_is_taken_over_and_other_events_are_not(client: FlaskClient, queue: JobQueue) -> None:
    client.post("/setup", json=SETUP)
    changed = {"action": "PROJECT_UPDATED", "project": {"id": 7, "label_config": "<View/>"}}
    assert client.post("/webhook", json=changed).json == {"status": "noted"}
    project = model.parts().stores.projects.find("7")
    assert project is not None and project.label_config == "<View/>"
    assert client.post("/webhook", json={"action": "TASKS_CREATED", "project": {"id": 7}}).json == {"status": "noted"}
    assert client.post("/webhook", json={"action": "TASKS_CREATED"}).json == {"status": "ignored"}
    assert waiting(queue) == 0


def test_the_old_routes_answer_too(client: FlaskClient, queue: JobQueue) -> None:
    assert client.post("/train", json={"project": "7.1", "annotations": [{}]}).status_code == 201
    assert waiting(queue) == 1
    assert client.get("/is_training?project=7.1").json == {"is_training": False}
    assert client.post("/versions", json={"project": "7.1"}).json["versions"] == []


def test_a_caller_needs_the_password_where_one_is_set(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASIC_AUTH_USER", "me")
    monkeypatch.setenv("BASIC_AUTH_PASS", "s3cret")
    model.parts.cache_clear()
    right = {"Authorization": "Basic " + base64.b64encode(b"me:s3cret").decode()}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"me:guess").decode()}
    assert client.get("/health").status_code == 200
    assert client.post("/setup", json=SETUP).status_code == 401
    assert client.post("/setup", json=SETUP, headers=wrong).status_code == 401
    assert client.post("/setup", json=SETUP, headers=right).json == {"model_version": UNTRAINED}


def test_under_the_managers_own_hands_predictions_carry_no_version_of_ours() -> None:
    """1.0.9's manager names the version itself, in /setup; another one in predictions would duplicate them."""
    made = model.BoxstrapModel(label_config=CONFIG, hostname="http://x", access_token="s3cret", model_version=None)
    assert made.predict(TASKS, login=None, password=None, context=None) == [{"result": [], "score": 0.0}]


def test_1_0_9_calls_fit_for_the_button_and_gets_a_dictionary(queue: JobQueue) -> None:
    data = {name: value for name, value in START.items() if name != "action"}
    made = model.BoxstrapModel(label_config=CONFIG)
    done = made.process_event("START_TRAINING", data, "1795206333", {"workdir": "/nowhere"})
    assert done["status"] == "queued" and queue.status(done["job"]) == "queued"
    assert made.process_event("ANNOTATION_CREATED", data, "1795206334", {}) is None


def test_importing_it_changes_no_start_method_of_processes() -> None:
    """label_studio_ml sets torch's to "spawn", for everybody in the process."""
    assert multiprocessing.get_start_method(allow_none=True) in (None, "fork")
    assert sys.modules.get("torch", "never loaded") is not None


@pytest.mark.slow
def test_without_the_extra_importing_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['label_studio_ml'] = None; import backend.model"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'boxstrap[label-studio-ml]'" in done.stderr.splitlines()[-1]


@pytest.fixture
def v2(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """backend.model as it is where label-studio-ml is 2.x."""
    base = ModuleType("label_studio_ml.model")
    base.LabelStudioMLBase = FakeBaseV2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "label_studio_ml.model", base)
    spec = importlib.util.spec_from_file_location("boxstrap_model_v2", ROOT / "backend/model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.IS_V2
    return module


def test_2_x_gets_its_version_from_the_registry_and_the_project_from_the_constructor(v2: ModuleType) -> None:
    made = v2.BoxstrapModel("7", label_config=CONFIG)
    made.set("extra_params", {"threshold": 0.5})  # 2.x itself takes text only
    assert made.get("model_version") == UNTRAINED
    assert v2.parts().services.projects.label_config("7") == CONFIG
    assert made.predict(TASKS, context={}, login=None, password=None) == [EMPTY]


def test_2_x_calls_fit_with_event_and_data_in_the_request(v2: ModuleType, queue: JobQueue) -> None:
    done = v2.BoxstrapModel("7", label_config=CONFIG).fit("START_TRAINING", {"project": START["project"]})
    assert queue.status(done["job"]) == "queued"
    assert waiting(queue) == 1


@pytest.mark.slow
def test_label_studio_ml_start_serves_the_folder_backend(queue: JobQueue, home: Path) -> None:
    """As a user starts it, and without torch in the process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(Path(sys.executable).with_name("label-studio-ml")), "start", "backend", "-p", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PATH": path}, start_new_session=True)
    try:
        assert comes_up(url, process, 60)
        with httpx.Client(base_url=url, timeout=10) as http:
            assert http.get("/health").json()["status"] == "UP"
            assert http.post("/setup", json=SETUP).json() == {"model_version": UNTRAINED}
            call = {"tasks": TASKS, "project": "7.1795206333", "label_config": CONFIG, "params": PARAMS}
            assert http.post("/predict", json=call).json()["results"] == [EMPTY]
            done = http.post("/webhook", json=START)
            assert done.status_code == 201
            assert queue.status(done.json()["job"]) == "queued"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # label-studio-ml starts a shell, which starts Python
        process.wait(timeout=10)


@pytest.mark.slow
def test_a_wsgi_server_finds_the_application_in_the_folder(home: Path) -> None:
    code = "import sys, _wsgi; sys.exit(_wsgi.app.test_client().get('/health').status_code != 200)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "backend", env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0


@pytest.mark.slow
def test_a_wsgi_servers_log_has_no_addresses_of_label_studio(home: Path) -> None:
    code = "import sys, logging, _wsgi; sys.exit(logging.getLogger('httpx').isEnabledFor(logging.INFO))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "backend", env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0


def test_a_project_is_named_by_a_number_that_can_name_a_file(client: FlaskClient) -> None:
    for project in ("9" * 19, "../7", "٧"):
        assert client.post("/setup", json={**SETUP, "project": project}).status_code == 422
    assert client.post("/setup", json={**SETUP, "project": "007.5"}).status_code == 200
    assert [project.id for project in model.parts().stores.projects.all()] == ["7"]


def test_the_settings_of_these_tests_are_their_own(home: Path) -> None:
    assert Settings.from_env().home == home == model.parts().settings.home

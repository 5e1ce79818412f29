"""Methods by name: built in, registered in the process, and named by other packages, whole and broken ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, draw
from wsol_core import registry
from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.bas import Bas
from wsol_core.methods.cam import Cam
from wsol_core.registry import BUILT_IN, METHODS, register_method
from wsol_core.training.fit import fit

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """
from wsol_core.methods.cam import Cam
from wsol_core.registry import register_method

@register_method("theirs")
class Theirs(Cam):
    pass
"""
TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from wsol_core.config import TrainConfig
from wsol_core.registry import METHODS

assert "theirs" in METHODS and list(METHODS)[0] == "boxstrap"
config = TrainConfig(method="theirs", backbone="tiny", epochs=1, batch_size=4, side_px=64, device="cpu", workers=0)
assert "torch" not in sys.modules

from wsol_core.localization.predictor import Predictor
from wsol_core.training.fit import fit
from tests.wsol_core.training.training_doubles import CLASSES, draw

folder = Path(sys.argv[1])
samples = draw(folder, 4)
fit(config, samples, CLASSES, folder / "model")
print(type(Predictor.open(folder / "model").method).__module__)
"""


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is unknown again after it."""
    before = set(registry._registered)
    yield
    for name in set(registry._registered) - before - set(BUILT_IN):
        del registry._registered[name]
    registry._plugins.cache_clear()


def package(site: Path, name: str, method: str, source: str) -> Path:
    """An installed package of one module, whose entry point names that module for `method`."""
    facts = site / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / f"{name}.py").write_text(source, encoding="utf-8")
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(f"[boxstrap.methods]\n{method} = {name}\n", encoding="utf-8")
    return site


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_method_is_the_class_in_the_file_of_its_name(name: str) -> None:
    assert METHODS[name].__module__ == f"wsol_core.methods.{name}"


def test_no_other_name_is_a_method() -> None:
    assert "adl" not in METHODS
    with pytest.raises(KeyError):
        METHODS["adl"]
    with pytest.raises(ConfigError, match=r"'adl' is unknown; choose one of boxstrap, .*cam"):
        TrainConfig(method="adl")


@pytest.mark.usefixtures("registered")
def test_a_method_registered_in_the_process_is_trained_saved_and_opened(tmp_path: Path) -> None:
    @register_method("mine")
    class Mine(Cam):
        pass

    config = TrainConfig(**{**CONFIG.to_dict(), "method": "mine", "epochs": 1})
    fit(config, draw(tmp_path, 4), CLASSES, tmp_path / "model")
    assert type(Predictor.open(tmp_path / "model", device="cpu").method) is Mine
    assert list(METHODS)[-1] == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
def test_the_method_of_another_package_is_trained_saved_and_opened(tmp_path: Path) -> None:
    site = package(tmp_path / "site", "their_package", "theirs", PLUGIN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    command = [sys.executable, "-c", TRAIN, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "their_package\n"), done.stderr
    with pytest.raises(CheckpointError, match=r"'theirs' is unknown.*import the module that registers it"):
        Predictor.open(tmp_path / "model", device="cpu")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "broken_package fails to import .*ModuleNotFoundError: No module named"),
        ("1 / 0", "broken_package fails to import .*ZeroDivisionError"),
        ("", "broken_package does not register it; decorate its class"),
    ],
)
def test_a_broken_package_is_named_when_its_method_is_asked_for_and_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    monkeypatch.syspath_prepend(package(tmp_path, "broken_package", "broken", source))
    registry._plugins.cache_clear()
    sys.modules.pop("broken_package", None)
    assert list(METHODS) == [*BUILT_IN, "broken"]
    assert METHODS["cam"] is Cam
    with pytest.raises(ConfigError, match=f"'broken' cannot be used: broken_package of the package {reason}"):
        METHODS["broken"]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["cam", "mine"])
def test_a_name_that_another_class_has_is_refused(name: str) -> None:
    if name == "mine":
        register_method("mine")(Cam)
    with pytest.raises(ConfigError, match=rf"'{name}' is wsol_core\.methods\.cam.* already"):
        register_method(name)(Bas)


@pytest.mark.usefixtures("registered")
def test_a_class_that_is_defined_again_takes_the_place_of_the_one_before() -> None:
    for _ in range(2):

        @register_method("mine")
        class Mine(Cam):
            pass

    assert METHODS["mine"] is Mine


@pytest.mark.usefixtures("registered")
def test_a_class_without_stages_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mine' cannot be registered: Mine has no `stages`"):

        @register_method("mine")
        class Mine:
            pass

"""Log trainings to TensorBoard or MLflow, by their own libraries, which are loaded only where they are named.

    <stage>/loss, <stage>/losses/<term>, <stage>/lr, <stage>/validation     over the steps of the stage
    <stage>/<file>                                                          a few pictures with what is found, by epoch

TensorBoard's files go into the folder `tensorboard` of the training. MLflow's own variables say where its server is;
a training that goes on after a break goes on in the same run. What logging fails at does not stop a training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wsol_core.config import TrainConfig
from wsol_core.data.images import RgbPixels, open_image
from wsol_core.errors import ConfigError
from wsol_core.evaluation.overlay import draw_overlay
from wsol_core.files import write_whole
from wsol_core.training.progress import EpochSamples, TrainingHooks

logger = logging.getLogger(__name__)

LARGEST_SIDE = 320  # of a sample picture, in pixels
MLFLOW_RUN = "mlflow_run"  # file with the id of the run, beside the model


class Tracker(Protocol):
    """Where a training is logged."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name."""

    def picture(self, name: str, pixels: RgbPixels, step: int) -> None:
        """A picture (H, W, 3)."""

    def close(self) -> None:
        """The training has ended, well or not."""


class TensorBoardTracker:
    """Event files, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard", error) from error
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        text = "\n".join(f"    {name}: {value}" for name, value in config.to_dict().items())
        self._writer.add_text("settings", text)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Each with its own curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, pixels: RgbPixels, step: int) -> None:
        """With a slider over the epochs."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


class MlflowTracker:
    """A run in MLflow, with the settings as its parameters."""

    def __init__(self, folder: Path, name: str, config: TrainConfig) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise _missing("mlflow", error) from error
        self._mlflow, known = mlflow, folder / MLFLOW_RUN
        run_id = known.read_text(encoding="utf-8").strip() if known.is_file() else None
        run = mlflow.start_run(run_id=run_id, run_name=name, nested=False)
        if run_id is None:
            mlflow.log_params(config.to_dict())
            write_whole(known, run.info.run_id.encode())

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """As metrics of the run."""
        self._mlflow.log_metrics(dict(values), step=step)

    def picture(self, name: str, pixels: RgbPixels, step: int) -> None:
        """As an artifact; MLflow's names have no slashes."""
        self._mlflow.log_image(pixels, key=name.replace("/", "."), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()


@contextmanager
def tracked(hooks: TrainingHooks, kind: str, folder: Path, name: str, config: TrainConfig) -> Iterator[TrainingHooks]:
    """Hooks that log a training besides what they do.

    Args: kind: "tensorboard", "mlflow" or "" for nowhere. folder: for files of the log. name: of the training.
    Raises: ConfigError where the library is not installed.
    """
    if not kind:
        yield hooks
        return
    tracker: Tracker = (
        TensorBoardTracker(folder, config) if kind == "tensorboard" else MlflowTracker(folder, name, config)
    )
    log = _Log(tracker)
    try:
        yield replace(
            hooks,
            on_record=_both(hooks.on_record, log.record),
            on_samples=_both(hooks.on_samples, log.samples),
        )
    finally:
        log.attempt(tracker.close)


class _Log:
    """Gives a tracker what a training tells; one that fails is not asked again."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker, self._works = tracker, True

    def record(self, line: Mapping[str, Any]) -> None:
        """A line of the history."""
        stage, losses = line["stage"], line.get("losses", {})
        values = {f"{stage}/losses/{name}": float(value) for name, value in losses.items()}
        if losses:
            values |= {f"{stage}/loss": sum(values.values()), f"{stage}/lr": float(line["lr"])}
        if "validation" in line:
            values[f"{stage}/validation"] = float(line["validation"])
        self.attempt(lambda: self._tracker.scalars(values, int(line["step"])))

    def samples(self, samples: EpochSamples) -> None:
        """Pictures with what is found in them."""
        for sample, found in samples.found:
            pixels = open_image(sample.path)
            masks = [region.mask for region in found.regions]
            mask = np.logical_or.reduce(masks) if masks else None
            scale = min(1.0, LARGEST_SIDE / max(found.size_wh))
            size_wh = (max(1, round(found.size_wh[0] * scale)), max(1, round(found.size_wh[1] * scale)))
            drawn = draw_overlay(pixels, size_wh, mask, [region.box_xyxy for region in found.regions])
            name = f"{samples.stage}/{sample.file}"
            self.attempt(lambda name=name, drawn=drawn: self._tracker.picture(name, drawn, samples.epoch))  # type: ignore[misc]

    def attempt(self, log: Callable[[], None]) -> None:
        """Logs, or says once why that is not possible."""
        if not self._works:
            return
        try:
            log()
        except Exception as error:  # the libraries raise whatever their server and disk make them
            self._works = False
            logger.warning("The training is not logged any more: %s", error)


def _both(first: Callable[[Any], None] | None, second: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(told: Any) -> None:
        if first is not None:
            first(told)
        second(told)

    return call


def _missing(extra: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"Logging to {extra} needs a package that is not installed ({error}): pip install 'boxstrap[{extra}]'."
    )

"""`boxstrap train`: learn a localizer from a folder of labelled pictures."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.options import (
    DeviceOption,
    ImagesArgument,
    JsonOption,
    MethodOption,
    checked_backbone,
    choice,
    examples,
    method_options,
    one_of,
)
from backend.commands.training_display import duration, notices, showing
from backend.processes.malloc import keep_freed_memory
from backend.settings import TRACKERS, Settings
from backend.signals import Interrupted, StopRequest
from backend.terminal import say, warn_of, write_json, write_result
from wsol_core.config import TrainConfig
from wsol_core.errors import ConfigError, DataError, StorageError, TrainingCancelled, WeightsError
from wsol_core.registry import BACKBONES, METHODS, TIMM
from wsol_core.training.progress import TrainingHooks

if TYPE_CHECKING:
    from wsol_core.data.folder import DataFolder
    from wsol_core.localization.model_card import ModelCard

EXAMPLES = examples(
    "boxstrap train pictures --out model",
    "boxstrap train pictures --out model --minutes 15 --boxes-per-class 5",
    "boxstrap train defects --out model --negatives flawless --negatives other-parts",
    "boxstrap train pictures --out model --method bas --backbone resnet50 --epochs 20",
    "boxstrap train pictures --out model --backbone timm:vit_small_patch14_dinov2 --weights dinov2_vits14.pth",
    "boxstrap train pictures --out model --method bas --option alpha=0.5 --option beta=1.2",
    "boxstrap train pictures --out model --resume",
    "torchrun --nproc-per-node 2 --no-python boxstrap train pictures --out model",
)
STOPPING = "\nStopping at the next step and saving; press Ctrl-C again to end at once, without saving.\n"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one training reads and writes, but for its settings. `boxes_per_class`: None is all of them."""

    images: Path
    out: Path
    negatives: tuple[Path, ...]
    boxes_per_class: int | None
    resume: bool
    weights: Path | None
    log: str


def command(
    images: ImagesArgument,
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="Folder for the model.")],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=one_of(METHODS),
            help=f"Localization method: {', '.join(METHODS)}.",
            show_default="boxstrap",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=checked_backbone,
            help=f"Backbone network: {', '.join(BACKBONES)}, or timm:NAME. tiny needs no pretrained weights.",
            show_default="mobilenet_v2",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Epochs, all stages together.", show_default="enough steps"),
    ] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="Minutes to train; excludes --epochs.")] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            "--negatives", "--backgrounds", metavar="DIR", help="Pictures that show none of the classes; repeatable."
        ),
    ] = None,
    boxes_per_class: Annotated[
        str, typer.Option(metavar="N|all", help="Learn from the boxes and masks of so many pictures a class.")
    ] = "0",
    seed: Annotated[int | None, typer.Option(metavar="S", help="Random seed.", show_default="0")] = None,
    device: DeviceOption = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Images in a batch.", show_default="32")
    ] = None,
    side: Annotated[
        int | None, typer.Option(metavar="N", help="Side in pixels that images are resized to.", show_default="224")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights of your own for the backbone, .pt or .safetensors: a state dict."),
    ] = None,
    no_pretrained: Annotated[bool, typer.Option("--no-pretrained", help="Start from random weights.")] = False,
    option: MethodOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Begin with a recipe's settings; see `boxstrap reproduce --help`."),
    ] = None,
    log: Annotated[
        str | None,
        choice(TRACKERS, help="Log losses and sample pictures there."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in MODEL.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Learn boxes and masks from the class labels of IMAGES."""
    if epochs is not None and minutes is not None:
        raise typer.BadParameter("give --epochs or --minutes, not both: each of them rules how long training lasts.")
    if weights is not None and (no_pretrained or resume):
        raise typer.BadParameter("weights are what a new training begins with.", param_hint="'--weights'")
    asked = {
        "method": method,
        "backbone": backbone,
        "epochs": epochs,
        "minutes": minutes,
        "seed": seed,
        "device": device,
        "batch_size": batch_size,
        "side_px": side,
        "pretrained": False if no_pretrained else None,
    }
    given = with_options({name: value for name, value in asked.items() if value is not None}, recipe, option)
    inputs = Inputs(images, out, tuple(negatives or ()), parse_count(boxes_per_class), resume, weights, "")
    settings = Settings.from_env()
    inputs = replace(inputs, log=log or settings.train_log)
    config = resumed_config(out, given) if resume else checked_config(given)
    keep_freed_memory()
    start = time.monotonic()
    card = run(config, inputs, settings, as_json)
    if settings.is_main:
        show_card(card, inputs, time.monotonic() - start, as_json)


def parse_count(text: str) -> int | None:
    """`N|all` as a number, None for all."""
    if text == "all":
        return None
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is neither a number nor all.", param_hint="'--boxes-per-class'")
    return int(text)


def with_options(given: Mapping[str, Any], recipe: str | None, pairs: Sequence[str] | None) -> dict[str, Any]:
    """The settings of a recipe, if one is named, with those `given` in their place, and the options of both."""
    begun: dict[str, Any] = {}
    if recipe is not None:
        from wsol_core.recipes.recipe import read_recipe

        begun = read_recipe(recipe).train.to_dict()
    method = given.get("method", begun.get("method", TrainConfig().method))
    kept = begun.get("options", {}) if method == begun.get("method") else {}
    options = {**kept, **method_options(method, pairs)}
    return {**begun, **given, **({"options": options} if options or recipe else {})}


def checked_config(given: Mapping[str, Any]) -> TrainConfig:
    """The settings of the command line; what has no meaning is a usage error."""
    try:
        return TrainConfig(**given)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


def resumed_config(out: Path, given: Mapping[str, Any]) -> TrainConfig:
    """The settings that the training in `out` began with, but for those given anew; its length stays as planned."""
    from wsol_core.localization.model_folder import is_finished
    from wsol_core.training.checkpoint import resume_config

    if is_finished(out):
        say(f"The training in {out} has finished; nothing is left to do.")
    begun = resume_config(out)
    length = {"epochs", "minutes"}
    for name in sorted(length & set(given)):
        if given[name] != getattr(begun, name):
            say(f"--{name} {given[name]} has no effect: the training goes on as it was planned.", "Warning", "yellow")
    return replace(begun, **{name: value for name, value in given.items() if name not in length})


def run(config: TrainConfig, inputs: Inputs, settings: Settings, as_json: bool) -> ModelCard:
    """Train, showing progress; a first Ctrl-C ends it at the next step with a checkpoint."""
    stop = StopRequest(STOPPING if settings.is_main else "")
    silent = not settings.is_main
    with stop.listening(), showing(as_json, silent) as on_progress:
        data, backgrounds = read_pictures(inputs, not silent)
        if not inputs.resume and inputs.weights is None:
            check_weights(config, settings.weights_dir)
        # Loading torch takes seconds; a wrong folder is known without it.
        from backend.jobs.tracking import tracked
        from wsol_core.localization.model_folder import is_started
        from wsol_core.training.distributed import Distributed
        from wsol_core.training.fit import fit

        hooks = TrainingHooks(on_progress, stop.is_asked, notices(as_json, silent))
        try:
            with tracked(hooks, "" if silent else inputs.log, inputs.out, inputs.out.resolve().name, config) as hooks:
                return fit(
                    config,
                    data.samples,
                    data.classes,
                    inputs.out,
                    weights_dir=settings.weights_dir,
                    weights=inputs.weights,
                    backgrounds=backgrounds,
                    hooks=hooks,
                    resume=inputs.resume,
                    distributed=Distributed(settings.rank, settings.world_size, settings.local_rank),
                )
        except TrainingCancelled:
            if silent:
                raise typer.Exit(stop.exit_code) from None
            again = command_to_resume(sys.argv, settings.world_size)
            raise Interrupted(
                f"Stopped; the checkpoint is in {inputs.out}. Go on with:  {again}", stop.exit_code
            ) from None
        except StorageError as error:
            if not is_started(inputs.out):
                raise
            raise StorageError(f"{error} Go on with:  {command_to_resume(sys.argv, settings.world_size)}") from error


def read_pictures(inputs: Inputs, warns: bool) -> tuple[DataFolder, tuple[Path, ...]]:
    """The pictures to learn from, and those that show none of the classes."""
    from wsol_core.data.folder import find_images, read_folder

    data = read_folder(inputs.images, "train", inputs.boxes_per_class)
    warn_of(data.skipped if warns else ())
    negatives = list(data.negatives)
    for folder in inputs.negatives:
        if not (found := find_images(folder)):
            raise DataError(f"There are no pictures in {folder}; name a folder of pictures that show no class.")
        negatives += found
    return data, tuple(negatives)


def check_weights(config: TrainConfig, weights_dir: Path | None) -> None:
    """WeightsError where a folder of weights is named and the backbone's are not in it.

    Without such a folder torchvision may download them, and training from scratch is what is left.
    """
    from wsol_core.networks.pretrained import find_weights

    if not config.wants_weights or weights_dir is None:
        return
    if find_weights(config.backbone, weights_dir) is None and not config.backbone.startswith(TIMM):
        names = f"{config.backbone}.pt nor {config.backbone}.safetensors"
        raise WeightsError(
            f"Neither {names} is in {weights_dir} (WSOL_WEIGHTS_DIR). Put torchvision's weights there, "
            "unset the variable to have them downloaded, or add --no-pretrained to start from random weights."
        )


def command_to_resume(command: list[str], world_size: int = 1) -> str:
    """The command line that goes on with what `command` began."""
    if world_size > 1:
        return "the same torchrun command and --resume"
    again = command[1:] if "--resume" in command else [*command[1:], "--resume"]
    return shlex.join(["boxstrap", *again])


def show_card(card: ModelCard, inputs: Inputs, seconds: float, as_json: bool) -> None:
    """What was learned, on stdout."""
    if as_json:
        write_json({"event": "result", "model": str(inputs.out), "seconds": round(seconds, 1), **card.to_dict()})
        return
    warn_of(card.faults)
    measured = {name.replace("_", " "): f"{value:.3f}".rstrip("0").rstrip(".") for name, value in card.metrics.items()}
    write_result(
        f"{card.config.method} on {card.config.backbone}, trained",
        {
            "model": str(inputs.out),
            "classes": ", ".join(card.classes),
            "time": duration(seconds),
            "threshold": f"{card.threshold:.3f} ({card.threshold_rule})",
            **measured,
        },
        f"boxstrap localize {inputs.out} {inputs.images} --out boxes",
    )

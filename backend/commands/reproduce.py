"""`boxstrap reproduce`: train and measure by a published recipe, and compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.options import DeviceOption, JsonOption, MethodOption, examples, method_options
from backend.commands.train import STOPPING
from backend.commands.training_display import duration, showing
from backend.processes.malloc import keep_freed_memory
from backend.settings import Settings
from backend.signals import Interrupted, StopRequest
from backend.terminal import write_json, write_result, write_table
from wsol_core.errors import TrainingCancelled
from wsol_core.training.progress import TrainingHooks

if TYPE_CHECKING:
    from wsol_core.recipes.reproduce import Reproduction

EXAMPLES = examples(
    "boxstrap reproduce bas-cub-resnet50 CUB_200_2011 --out bas",
    "boxstrap reproduce ornet-ilsvrc ILSVRC --out ornet --batch-size 8",
    "boxstrap reproduce my-recipe.toml cub --out mine --minutes 10",
)


def command(
    recipe: Annotated[str, typer.Argument(metavar="NAME", help="A recipe such as bas-cub-resnet50, or a TOML file.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set as it unpacks, or converted.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for data, model and reproduction.json.")],
    minutes: Annotated[float | None, typer.Option(metavar="M", help="Train so long instead.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="Images in a batch instead.")] = None,
    side: Annotated[int | None, typer.Option(metavar="N", help="Side in pixels of images instead.")] = None,
    option: MethodOption = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Random seed instead.")] = None,
    device: DeviceOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in DIR.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train and measure by a published recipe, and show what came out beside what was published."""
    from wsol_core.recipes.recipe import read_recipe

    chosen = read_recipe(recipe)
    asked = {"minutes": minutes, "batch_size": batch_size, "side_px": side, "seed": seed, "device": device}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    changes["options"] = method_options(chosen.train.method, option)
    keep_freed_memory()
    done = run(recipe, data, out, changes, resume, as_json)
    if as_json:
        write_json({"event": "result", **done.to_dict()})
        return
    show(done, out)


def run(recipe: str, data: Path, out: Path, changes: Mapping[str, Any], resume: bool, as_json: bool) -> Reproduction:
    """Train and measure, showing progress; a first Ctrl-C ends it at the next step or image."""
    from wsol_core.recipes.recipe import read_recipe
    from wsol_core.recipes.reproduce import reproduce

    stop = StopRequest(STOPPING)

    def stop_where_asked(*_: int) -> None:
        if stop.is_asked():
            raise TrainingCancelled("The measuring was stopped; the model is trained.")

    with stop.listening(), showing(as_json, silent=False) as shown:
        try:
            return reproduce(
                read_recipe(recipe),
                data,
                out,
                changes=changes,
                weights_dir=Settings.from_env().weights_dir,
                hooks=TrainingHooks(shown, stop.is_asked),
                resume=resume,
                on_measured=stop_where_asked,
            )
        except TrainingCancelled:
            raise Interrupted(f"Stopped; add --resume to go on in {out}.", stop.exit_code) from None


def show(done: Reproduction, out: Path) -> None:
    """The figures, then each deviation, on stdout."""
    write_result(
        done.title,
        {
            "source": done.source,
            "folder": str(out),
            "training": duration(done.seconds),
            "threshold": f"{done.threshold:.3f} ({done.threshold_rule})",
        },
    )
    rows = [
        (
            name,
            f"{published:.2f}",
            "-" if came is None else f"{came:.2f}",
            "-" if came is None else f"{came - published:+.2f}",
        )
        for name, published, came in done.rows()
    ]
    write_table(("percent", "published", "came out", "difference"), rows)
    write_table(("deviations",), [(line,) for line in done.deviations])

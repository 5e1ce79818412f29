"""Options that several commands share, and the checks that only the command line needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON on stdout, for programs.")]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Only pictures of this split, e.g. test.", show_default="all"),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", help="Device to compute on.", show_default="auto"),
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `boxstrap train` wrote.")]
ImagesArgument = Annotated[
    Path,
    typer.Argument(metavar="IMAGES", help="Folder with a sub-folder per class, or with an annotations.jsonl."),
]


def examples(*commands: str) -> str:
    """The end of a command's help: one command a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  [cyan]{command}[/cyan]" for command in commands)])


def one_of(choices: Collection[str]) -> Callable[[str | None], str | None]:
    """A check that turns any other value into a usage error that names the choices."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"{value!r} is unknown; choose one of {', '.join(choices)}.")
        return value

    return check

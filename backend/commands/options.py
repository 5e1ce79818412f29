"""Options that several commands share, and the checks that only the command line needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from wsol_core.errors import ConfigError
from wsol_core.registry import BACKBONES, TIMM, is_backbone

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON on stdout, for programs.")]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Only pictures of this split, e.g. test.", show_default="all"),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", help="Device to compute on.", show_default="auto"),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over what an earlier call wrote.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be written into Label Studio, and write nothing.")
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the method, such as alpha=0.5; repeatable."),
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `boxstrap train` wrote.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Label Studio's number of the project.")]
ImagesArgument = Annotated[
    Path,
    typer.Argument(metavar="IMAGES", help="Folder with a sub-folder per class, or with an annotations.jsonl."),
]


def examples(*commands: str) -> str:
    """The end of a command's help: one command a line."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  [cyan]{command}[/cyan]" for command in commands)])


def check_unwritten(path: Path, force: bool) -> None:
    """ConfigError where an earlier result is there and may not be written over."""
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already; name another one, or add --force to write over it.")


def one_of(choices: Collection[str]) -> Callable[[str | None], str | None]:
    """A check that turns any other value into a usage error that names the choices."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"{value!r} is unknown; choose one of {', '.join(choices)}.")
        return value

    return check


def choice(choices: Collection[str], *names: str, help: str, show_default: str | bool = True) -> Any:
    """An option that takes one of a few values, which its help lists. Args: names: as in typer.Option."""
    return typer.Option(
        *names, metavar="|".join(choices), callback=one_of(choices), help=help, show_default=show_default
    )


def each_one_of(choices: Collection[str]) -> Callable[[list[str]], list[str]]:
    """As `one_of`, for an argument that takes several values."""
    check = one_of(choices)

    def check_all(values: list[str]) -> list[str]:
        for value in values:
            check(value)
        return values

    return check_all


def checked_backbone(name: str | None) -> str | None:
    """`name` if there may be such a backbone, else a usage error that names the choices."""
    if name is not None and not is_backbone(name):
        raise typer.BadParameter(
            f"{name!r} is unknown; choose one of {', '.join(BACKBONES)}, or {TIMM}NAME for a network of timm."
        )
    return name


def method_options(method: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """The options of `--option NAME=VALUE`, as plain values; what has no meaning is a usage error."""
    if not pairs:
        return {}
    # Loads torch, which takes seconds: only the method's class knows its options.
    from wsol_core.methods.build import method_options as of_method

    values = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        if nameless := [pair for pair in pairs if "=" not in pair]:
            raise ConfigError(f"{nameless[0]!r} has no value; write it as NAME=VALUE.")
        options = of_method(method, values)
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="'--option'") from error
    plain = {name: getattr(options, name) for name in values}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

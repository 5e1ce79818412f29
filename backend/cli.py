"""The program `boxstrap`: its commands (see commands/), and how each kind of failure ends.

Exit codes: 0 done, 1 a sentence on stderr says what is wrong, 2 the command line has no meaning, 130 Ctrl-C.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from backend.commands import (
    accept,
    classes,
    convert,
    doctor,
    draw,
    evaluate,
    export,
    import_folder,
    jobs,
    localize,
    masks,
    models,
    policy,
    report,
    reproduce,
    service,
    train,
)
from backend.commands.options import examples
from backend.errors import BackendError
from backend.settings import Settings
from backend.signals import CTRL_C, Interrupted
from backend.terminal import logs_on_stderr, say, stderr_console
from wsol_core import __version__
from wsol_core.errors import (
    ExportExistsError,
    MissingCheckpointError,
    TrainingExistsError,
    UnfinishedTrainingError,
    WsolError,
)

FAILED = 1
# What the library's messages cannot say, since they name no option of this program.
OPTION_OF_ERROR: dict[type[Exception], str] = {
    ExportExistsError: "To replace it, add --force.",
    MissingCheckpointError: "Leave --resume out to begin it.",
    TrainingExistsError: "To resume, add --resume.",
    UnfinishedTrainingError: "To resume, run boxstrap train with --resume.",
}


@dataclass
class Session:
    """What holds for one run of the program."""

    debug: bool = False


app = typer.Typer(
    name="boxstrap",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "boxstrap draw pictures",
        "boxstrap train pictures --out model --backbone tiny --minutes 3",
        "boxstrap localize model pictures --split test --out boxes",
        "boxstrap evaluate model pictures --split test --report report",
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"boxstrap {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and all logs (or BOXSTRAP_DEBUG=1).")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Boxes and masks from class labels alone."""
    session: Session = ctx.ensure_object(Session)
    session.debug = debug or Settings.from_env().debug
    ctx.with_resource(logs_on_stderr(session.debug))


app.command("train", epilog=train.EXAMPLES)(train.command)
app.command("localize", epilog=localize.EXAMPLES)(localize.command)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.command)
app.command("export", epilog=export.EXAMPLES)(export.command)
app.command("convert", epilog=convert.EXAMPLES)(convert.command)
app.command("reproduce", epilog=reproduce.EXAMPLES)(reproduce.command)
app.command("draw", epilog=draw.EXAMPLES)(draw.command)
app.command("import", epilog=import_folder.EXAMPLES)(import_folder.command)
app.command("up", epilog=service.UP_EXAMPLES)(service.up)
app.command("serve", epilog=service.SERVE_EXAMPLES)(service.serve)
app.command("worker", epilog=service.WORKER_EXAMPLES)(service.worker)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.command)
app.command("preannotate", epilog=jobs.PREANNOTATE_EXAMPLES)(jobs.preannotate)
app.command("masks", epilog=masks.EXAMPLES)(masks.command)
app.command("accept", epilog=accept.EXAMPLES)(accept.command)
app.command("report", epilog=report.EXAMPLES)(report.command)
app.command("policy", epilog=policy.POLICY_EXAMPLES)(policy.policy)
app.command("classes", epilog=classes.EXAMPLES)(classes.command)
app.command("retrain", epilog=policy.RETRAIN_EXAMPLES)(policy.retrain)
app.add_typer(models.app, name="models")
app.add_typer(jobs.app, name="jobs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments` (None: the process's own); its exit code. Expected errors are one sentence."""
    session = Session()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="boxstrap", obj=session)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except Interrupted as end:
        say(str(end))
        return end.exit_code
    except (WsolError, BackendError) as error:
        return _fail(f"{error} {OPTION_OF_ERROR.get(type(error), '')}".rstrip(), session)
    except MemoryError:
        return _fail("Memory ran out; try a smaller --batch-size, or close other programs.", session)
    except OSError as error:
        return _fail(_storage_sentence(error), session)
    except KeyboardInterrupt:
        return CTRL_C
    except Exception as error:
        hint = "This is a fault of the program; `boxstrap --debug COMMAND ...` shows where it happened."
        return _fail(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}. {hint}", session)
    return 0


def _fail(sentence: str, session: Session) -> int:
    """Says what is wrong; the traceback of the exception being handled only for those who asked."""
    if session.debug:
        stderr_console().print_exception()
    say(sentence, "Error", "bold red")
    return FAILED


def _storage_sentence(error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    step = "free some space or name another folder" if full else "check the path and its permissions"
    what = f"{error.filename}: " if error.filename else ""
    return f"{what}{error.strerror or error}; {step}."

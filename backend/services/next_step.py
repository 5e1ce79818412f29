"""What a person can do next for a project, in a sentence. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.wording import a_few, counted, short_name

START, PREANNOTATE, ACTIVATE, OPEN = "train", "preannotate", "activate", "open"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a project stands. Counts are of tasks.

    works: a training waits or runs. writes: predictions are being written. bare: they are written, and no task shows
    any. failed: the newest training did. live: the version that predicts; suggested: one that waits for a person.
    faults: why `live` is unreliable. labelled: with a class; lacking: classes without enough pictures for a first
    training. corrected: since the last training. reviewed: accepted or corrected. by_itself: trainings start without
    being told.
    """

    works: bool = False
    writes: bool = False
    failed: bool = False
    bare: bool = False
    live: str | None = None
    suggested: str | None = None
    versions: int = 0
    faults: Sequence[str] = ()
    labelled: int = 0
    lacking: Sequence[str] = ()
    corrected: int = 0
    reviewed: int = 0
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class NextStep:
    """A sentence, and the `action` that does it: one of this module's names, "" where it is done elsewhere."""

    sentence: str
    action: str = ""


def next_step(project: Standing) -> NextStep | None:
    """Return what to do; None while a training waits or runs."""
    if project.works:
        return None
    if project.failed:
        return NextStep("The last training failed. Mend what it says, then start another one.", START)
    if not project.versions:
        return _before_the_first(project)
    if project.writes:
        written = f"Predictions of {short_name(project.live)} are being written"
        return NextStep(f"{written}. Look at the first of them.", OPEN)
    if project.suggested:
        better = f" if you like it better than {short_name(project.live)}" if project.live else ""
        return NextStep(f"Look at version {short_name(project.suggested)}, and activate it{better}.", ACTIVATE)
    if project.live is None:
        return NextStep("No version predicts. Activate one.")
    return _with_predictions(project)


def _before_the_first(project: Standing) -> NextStep:
    if not project.labelled:
        return NextStep(
            "Choose classes for some pictures in Label Studio and submit them, five or more of each class; "
            "then start a training.",
            OPEN,
        )
    has = f"{counted(project.labelled, 'picture')} {'has' if project.labelled == 1 else 'have'} a class"
    if project.lacking:
        return NextStep(f"{has}, but few or none show {a_few(project.lacking)}. Label some more, then train.", OPEN)
    return NextStep(f"{has}. Start the first training.", START)


def _with_predictions(project: Standing) -> NextStep:
    if project.faults:
        return NextStep(
            f"Version {short_name(project.live)} is unreliable; the project's page says why, and what would help. "
            "Then start another training.",
            START,
        )
    if project.corrected and not project.by_itself:
        corrected = f"{counted(project.corrected, 'task')} {'was' if project.corrected == 1 else 'were'} corrected"
        return NextStep(f"{corrected} since the last training. Start another one to learn from that.", START)
    if project.bare:
        return NextStep(
            "No task shows anything yet. Draw boxes on some pictures in Label Studio and submit them: the next "
            'training learns from that. 0 in "Show objects that score at least", on the project\'s page, shows all '
            "that was found.",
            OPEN,
        )
    if not project.reviewed:
        return NextStep(
            "Open predicted tasks in Label Studio, correct and submit them: the next training learns from that.", OPEN
        )
    return NextStep("Go on with correcting tasks in Label Studio.", OPEN)

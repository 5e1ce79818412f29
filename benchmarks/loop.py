"""A simulated project, as a real one: an annotator who knows the truth corrects, Boxstrap learns from it, in rounds.

    python -m benchmarks.loop DATA [--rounds 5] [--tasks 60] [--order ranking|random] [--home DIR] [--out FILE.json]

A real Label Studio (the one that `make test` installs) and a real `boxstrap up` with RQ jobs. The train split of DATA,
a folder with annotations.jsonl, becomes tasks with a class each. A version that learned from the classes alone is
published first; then every round the annotator submits the next tasks, a training is started, and whatever the gate
lets through predicts the tasks that are open. The test split never enters Label Studio: every version is measured on
it. The same --home again keeps Label Studio and the first model, and makes another project: so orders are compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.simulated_project import SimulatedProject
from benchmarks.timing import machine
from demo.boxstrap_process import Boxstrap
from demo.label_studio_server import LabelStudioServer, kept_login
from demo.local_servers import free_port
from demo.project import DemoProject
from wsol_core.localization.model_folder import is_finished

PROGRAM = Path("build/label-studio/bin/label-studio")
# Trainings start when the simulation says so, and last as long as it says.
UNSET = ("TRAIN_EPOCHS", "NUM_TRAIN_EPOCHS", "TRAIN_CRON", "TRAIN_QUIET_HOURS")
COLUMNS = {
    "round": "{round}",
    "tasks": "{work[tasks]}",
    "box IoU": "{work[box_iou]:.3f}",
    "mask IoU": "{work[mask_iou]:.3f}",
    "accepted": "{work[acceptance_rate]:.2f}",
    "corrections a task": "{work[corrections_per_task]:.2f}",
    "of masks": "{work[mask_corrections_per_task]:.2f}",
    "corrections so far": "{corrections_so_far}",
    "version": "{version}",
    "live": "{live}",
    "test MaxBoxAccV2": "{test[max_box_acc_v2]:.3f}",
    "test mask IoU": "{test[mask_iou]:.3f}",
    "test accepted": "{test[acceptance_rate]:.2f}",
    "test corrections a picture": "{test[corrections_per_task]:.2f}",
    "seconds": "{seconds[all]:.0f}",
}
Json = dict[str, Any]


def main() -> None:
    """Prints the table while it grows, and keeps all figures in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder with annotations.jsonl")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=60, help="that the annotator submits in each round")
    parser.add_argument("--order", choices=("ranking", "random"), default="ranking")
    parser.add_argument("--seed", type=int, default=0, help="of the random order")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--minutes-first", type=float, default=6, help="that the first version is trained")
    parser.add_argument("--minutes", type=float, default=4, help="TRAIN_MINUTES of the others; they take half of it")
    parser.add_argument("--first", type=Path, metavar="MODEL", help="a trained model instead, as the first version")
    parser.add_argument("--home", type=Path, default=Path("build/loop"), help="where everything is kept")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end, too
    with ExitStack() as running:
        run(given, running)


def run(given: argparse.Namespace, running: ExitStack) -> None:
    """All rounds; what is started ends with `running`."""
    home, pictures = given.home.resolve(), given.data.resolve()
    first = (given.first or home / f"first-{pictures.name}-{given.backbone}-{given.minutes_first:g}").absolute()
    if given.first is None and not is_finished(first):
        train_first(given, first)
    login = kept_login(home / "login.json", "bench@example.com")
    server = LabelStudioServer(PROGRAM.absolute(), home / "label-studio", free_port(8080), login, pictures)
    running.callback(server.stop)
    server.start()
    settings = {"BOXSTRAP_BACKBONE": given.backbone, "TRAIN_MINUTES": f"{given.minutes:g}", "BOXSTRAP_GATE": "auto"}
    settings |= {"START_TRAINING_EACH_N_UPDATES": "0", "PREANNOTATE": "1", **dict.fromkeys(UNSET, "")}
    boxstrap = Boxstrap(home, server.url, login.token, tiny=given.backbone == "tiny", settings=settings)
    running.callback(boxstrap.stop)
    boxstrap.start()
    label_studio = running.enter_context(closing(DemoProject(server.url, login.token)))
    project = SimulatedProject(label_studio, boxstrap, home, pictures, given.order, given.seed)
    facts = {name: value for name, value in vars(given).items() if not isinstance(value, Path)}
    rows: list[Json] = []
    print(f"{machine()}, {given.backbone}, {pictures.name}, order: {given.order}, project {project.number}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for number in range(given.rounds + 1):
        row = {"round": number, **(project.next_round(given.tasks) if number else project.publish_first(first))}
        rows.append(row)
        print("| " + " | ".join(cell(text, row) for text in COLUMNS.values()) + " |", flush=True)
        if given.out is not None:
            report = {"machine": machine(), "pictures": pictures.name, **facts, "project": project.number, "rows": rows}
            given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if not project.open:
            break


def cell(text: str, row: Json) -> str:
    """`text` filled from the row; "-" for what is not known."""
    try:
        return text.format(**row)
    except (TypeError, KeyError):
        return "-"


def train_first(given: argparse.Namespace, out: Path) -> None:
    """The model that knows the classes alone."""
    shutil.rmtree(out, ignore_errors=True)
    options = ["--out", out, "--backbone", given.backbone, "--minutes", given.minutes_first, "--json"]
    command = [sys.executable, "-m", "backend", "train", given.data, *options]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

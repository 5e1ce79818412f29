"""Whether two checkouts learn and predict the same, bit for bit: one small training of every method in each.

    git worktree add /tmp/before HEAD~1
    python -m benchmarks.equality /tmp/before [--boxes-per-class 2] [--methods bas,cam]

Each checkout draws the pictures, trains `tiny` for a fixed number of epochs with a fixed seed on the CPU, and then
localizes. Compared are the drawn pictures, the weights by tensor name, the model card without its times and prose, and
every predicted box, mask and map. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors

ROOT = Path(__file__).resolve().parent.parent
METHODS = "boxstrap,ornet,bas,wsl_bg,cam"
COMMAND = "import sys; from backend.cli import main; sys.exit(main(sys.argv[1:]))"
TIMES = ("train_seconds",)  # metrics of a card that no two runs share
PROSE = ("threshold_rule", "code_version", "faults")  # entries of a card that do not change what a model predicts
RENAMED = {"area.price": "area.multiplier"}  # tensors by their names of 0.1 -> now


def main() -> int:
    """Prints a line per method; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--epochs", default="6")
    parser.add_argument("--images", default="60")
    parser.add_argument("--boxes-per-class", default="0")
    arguments = parser.parse_args()
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        outputs = {}
        for name, checkout in (("before", arguments.before.resolve()), ("now", ROOT)):
            outputs[name] = Path(folder) / name
            boxstrap(checkout, "draw", outputs[name] / "pictures", "--images", arguments.images, "--classes", "3")
        for method in arguments.methods.split(","):
            for name, checkout in (("before", arguments.before.resolve()), ("now", ROOT)):
                train(checkout, outputs[name], method, arguments)
        differing = differences(outputs["before"], outputs["now"])
        for part in ("pictures", *arguments.methods.split(",")):
            own = [file for file in differing if file.startswith(part + "/")]
            count = sum(path.is_file() for path in (outputs["now"] / part).rglob("*"))
            print(f"{part}: {count} files, " + (f"DIFFERENT: {', '.join(own[:5])}" if own else "equal"), flush=True)
            equal &= not own and count > 0
    return 0 if equal else 1


def train(checkout: Path, out: Path, method: str, arguments: argparse.Namespace) -> None:
    """Train `method` on the drawn pictures of `out`, and localize them with maps."""
    pictures, model = out / "pictures", out / method / "model"
    options = ["--backbone", "tiny", "--epochs", arguments.epochs, "--device", "cpu", "--method", method, "--seed", "3"]
    boxes = ["--boxes-per-class", arguments.boxes_per_class]
    # Pictures with objects are no backgrounds; here it only matters that both checkouts get the same.
    boxstrap(checkout, "train", pictures, "--out", model, *options, *boxes, "--backgrounds", pictures / "images")
    boxstrap(checkout, "localize", model, pictures, "--out", out / method / "boxes", "--maps", "--device", "cpu")


def boxstrap(checkout: Path, *arguments: str | Path) -> None:
    """Run the command as `checkout` has it."""
    subprocess.run([sys.executable, "-c", COMMAND, *map(str, arguments)], cwd=checkout, check=True, capture_output=True)


def differences(before: Path, now: Path) -> list[str]:
    """Names of the files that only one of the folders has, or that differ."""
    names = {str(path.relative_to(side)) for side in (before, now) for path in side.rglob("*") if path.is_file()}
    return sorted(name for name in names if content(before / name) != content(now / name))


def content(path: Path) -> object:
    """What is compared of a file; None where there is none."""
    if not path.is_file():
        return None
    if path.name == "model.safetensors":
        tensors = dict(safetensors.deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
        return {RENAMED.get(name, name): tensor for name, tensor in tensors.items()}
    if path.name == "model.json":
        card = json.loads(path.read_text(encoding="utf-8"))
        metrics = {name: value for name, value in card["metrics"].items() if name not in TIMES}
        config = {name: value for name, value in card["config"].items() if name != "options" or value}
        rest = {name: value for name, value in card.items() if name not in PROSE}
        return rest | {"metrics": metrics, "config": config}
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())

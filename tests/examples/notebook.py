"""Runs a notebook's code cells in order, without Jupyter, and can write what they show into the file.

    python -m tests.examples.notebook examples/quickstart.ipynb [--parameters "EPOCHS = 1"] [--write]

`--parameters` is run after the cell with the tag "parameters", as papermill does.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any


def run_cell(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of one cell: what it prints, and the value of a last expression."""
    tree, printed, value = ast.parse(source), io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        outputs.append({"output_type": "display_data", "data": shown(value), "metadata": {}})
    return outputs


def shown(value: Any) -> dict[str, Any]:
    """A value as Jupyter shows it; images as JPEG, which is small."""
    if hasattr(value, "_repr_jpeg_"):
        return {"image/jpeg": base64.b64encode(value._repr_jpeg_()).decode(), "text/plain": ["<image>"]}
    return {"text/plain": repr(value).splitlines(True)}


def run(notebook: dict[str, Any], parameters: str) -> None:
    """Run every code cell in one namespace, and keep its outputs in the cell."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = run_cell("".join(cell["source"]), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            run_cell(parameters, names)


def main() -> None:
    """Run one notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--parameters", default="")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    notebook = json.loads(given.notebook.read_text(encoding="utf-8"))
    run(notebook, given.parameters)
    if given.write:
        given.notebook.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

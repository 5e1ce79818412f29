"""Writes docs/settings.md from backend.settings: `python -m docs.settings`."""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from backend.settings import Settings

PAGE = Path(__file__).with_name("settings.md")


def table() -> str:
    """All variables as a Markdown table."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for part in fields(Settings):
        names = " or ".join(f"`{name}`" for name in part.metadata["names"])
        rows.append(f"| {names} | {part.metadata['meaning']} | {_default(part)} |")
    return "\n".join(rows)


def _default(part: Field[Any]) -> str:
    if part.metadata["shown"] is not None:
        return str(part.metadata["shown"])
    if part.default is None or part.default in ((), ""):
        return "none"
    return str(int(part.default) if isinstance(part.default, bool) else part.default)


def page() -> str:
    """The whole page."""
    return f"""# Settings

All of them are environment variables, or lines of a file `boxstrap.toml` in the folder where a command starts
(`BOXSTRAP_CONFIG` names another one), by the same names; what the environment says goes first:

```toml
LABEL_STUDIO_URL = "http://localhost:8080"
TRAIN_MINUTES = 20
PREANNOTATE = true
IMAGE_HOSTS = ["10.0.0.0/8", "pictures.local"]
```

This table is made from `backend/settings.py` by `python -m docs.settings`.

{table()}

A control of the labeling config can have its own, which go before the variables:

| attribute | meaning |
|---|---|
| `model_score_threshold` | regions that score less are left out, 0 to 1 |
| `model_max_regions` | at most so many regions a picture, the surest |
| `model_min_area` | regions smaller than this share of the picture are left out |
| `model_skip` | `true`: this control is not filled |
| `predicted_values` | on a `<Label>` or `<Choice>`: other names of the class, separated by commas |
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""Writes docs/settings.md from backend.settings: `python -m docs.settings`."""

from __future__ import annotations

from pathlib import Path

from backend.settings import Settings

PAGE = Path(__file__).with_name("settings.md")


def page() -> str:
    """The whole page."""
    return f"""# Settings

All of them are environment variables. This table is made from `backend/settings.py` by `python -m docs.settings`.

{Settings.table()}

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

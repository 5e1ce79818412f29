"""Pictures for the page, with what was found on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.jobs.gallery import drawable
from tests.wsol_core.exports.exported import image_file
from wsol_core.records import Localization, Region


@pytest.mark.parametrize(
    ("finds", "given", "shown"), [(True, ("fish",), "crab"), (False, ("fish",), "fish"), (False, (), "crab")]
)
def test_a_picture_without_objects_has_the_class_that_people_gave_it(
    finds: bool, given: tuple[str, ...], shown: str, tmp_path: Path
) -> None:
    region = Region("crab", (30, 20, 80, 40), 0.9, (), np.ones((90, 120), np.bool_))
    found = Localization("a.png", (120, 90), {"crab": 0.7, "fish": 0.3}, (region,) if finds else ())
    made = drawable(7, image_file(tmp_path / "a.png"), found, given)
    assert (made.shown.labels, made.shown.objects) == ((shown,), int(finds))
    assert made.jpeg().startswith(b"\xff\xd8")

"""The output folder: one line an image, masks and maps beside it, and never half of predictions.jsonl."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsol_core.errors import StorageError
from wsol_core.localization.predictions_file import write_predictions
from wsol_core.records import Localization, Region, Unreadable

MASK = np.zeros((6, 10), np.bool_)
MASK[2:5, 3:7] = True
POLYGON = ((3.5, 2.5), (6.5, 2.5), (6.5, 4.5))
CAT = Region("cat", (3, 2, 7, 5), 0.75, POLYGON, MASK)
CAT_MAP, DOG_MAP = (np.full((224, 224), value, np.float32) for value in (0.25, 0.5))
FOUND = Localization("pets/a.jpg", (10, 6), {"cat": 0.75, "dog": 0.25}, (CAT, CAT), {"cat": CAT_MAP})
TORN = Unreadable("pets/b.jpg", "pets/b.jpg cannot be read.")


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_image_is_a_line_in_order(tmp_path: Path) -> None:
    done: list[int] = []
    summary = write_predictions([FOUND, TORN], tmp_path / "out", on_image=done.append)
    region = {
        "label": "cat",
        "box_xyxy": [3, 2, 7, 5],
        "score": 0.75,
        "keep": None,
        "polygon": list(map(list, POLYGON)),
    }
    assert lines(tmp_path / "out") == [
        {
            "file": "pets/a.jpg",
            "width": 10,
            "height": 6,
            "predicted_label": "cat",
            "scores": {"cat": 0.75, "dog": 0.25},
            "regions": [{**region, "mask": f"masks/pets__a.jpg__{number}.png"} for number in (0, 1)],
            "left_out": 0,
        },
        {"file": "pets/b.jpg", "error": "pets/b.jpg cannot be read."},
    ]
    assert (summary.images, summary.regions, summary.unreadable) == (2, 2, ("pets/b.jpg cannot be read.",))
    assert done == [1, 2]


def test_lines_say_where_images_lie_as_seen_from_the_output(tmp_path: Path) -> None:
    write_predictions([FOUND], tmp_path / "out", images=tmp_path / "pictures")
    assert lines(tmp_path / "out")[0]["path"] == "../pictures/pets/a.jpg"


def test_masks_are_black_and_white_images(tmp_path: Path) -> None:
    write_predictions([FOUND], tmp_path)
    with Image.open(tmp_path / lines(tmp_path)[0]["regions"][0]["mask"]) as image:
        assert image.mode == "1"
        assert (np.asarray(image) == MASK).all()
    assert not (tmp_path / "maps").exists()


def test_the_map_has_the_images_name(tmp_path: Path) -> None:
    write_predictions([FOUND], tmp_path, maps=True)
    saved = np.load(tmp_path / "maps" / "pets__a.jpg.npy")
    assert (saved.dtype, saved.shape) == (np.float32, (224, 224))
    assert (saved == CAT_MAP).all()
    assert len(list((tmp_path / "maps").iterdir())) == 1


def test_of_several_classes_the_first_ones_map_has_the_images_name_and_each_its_own(tmp_path: Path) -> None:
    both = Localization("a.jpg", (10, 6), FOUND.scores, (), {"a/dog": DOG_MAP, "cat": CAT_MAP})
    write_predictions([both], tmp_path, maps=True)
    saved = {path.name: float(np.load(path)[0, 0]) for path in (tmp_path / "maps").iterdir()}
    assert saved == {"a.jpg.npy": 0.5, "a.jpg__a__dog.npy": 0.5, "a.jpg__cat.npy": 0.25}


def test_an_interrupted_run_leaves_the_previous_predictions(tmp_path: Path) -> None:
    write_predictions([FOUND], tmp_path)

    def interrupted() -> Iterator[Localization]:
        yield FOUND
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(interrupted(), tmp_path)
    assert len(lines(tmp_path)) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_one_sentence_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        StorageError, match=r"a\.jpg__0\.png could not be written: No space left on device\. Make room or name another"
    ):
        write_predictions([FOUND], tmp_path)
    assert not (tmp_path / "predictions.jsonl").exists()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match=r"out.* could not be written"):
        write_predictions([FOUND], tmp_path / "out")


def test_many_images_are_taken_one_after_the_other(tmp_path: Path) -> None:
    taken, ahead = [0], []

    def many() -> Iterator[Localization]:
        for i in range(60):
            taken[0] += 1
            yield Localization(f"{i}.jpg", (10, 6), {"cat": 1.0}, (CAT,))

    write_predictions(many(), tmp_path, on_image=lambda done: ahead.append(taken[0] - done))
    assert max(ahead) <= 2 * 8 + 1
    assert [line["file"] for line in lines(tmp_path)] == [f"{i}.jpg" for i in range(60)]

"""Tasks of several pages in a real Label Studio: each page is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.services.training import TrainingService
from backend.storage.version_facts import VersionFacts
from tests.backend.support.real_services import Nursery
from tests.label_studio.conftest import Place
from tests.label_studio.own_workers import workshop
from tests.label_studio.servers import eventually

pytestmark = pytest.mark.slow

LABELS = '<Label value="ladybird"/><Label value="fish"/>'
LISTED = f"""<View><Image name="image" valueList="$pages"/>
<RectangleLabels name="box" toName="image">{LABELS}</RectangleLabels>
<BrushLabels name="mask" toName="image">{LABELS}</BrushLabels></View>"""
REPEATED = f"""<View><Repeater on="$pages" indexFlag="{{{{idx}}}}" mode="pagination">
<Image name="image_{{{{idx}}}}" value="$pages[{{{{idx}}}}].url"/>
<RectangleLabels name="box_{{{{idx}}}}" toName="image_{{{{idx}}}}">{LABELS}</RectangleLabels>
<BrushLabels name="mask_{{{{idx}}}}" toName="image_{{{{idx}}}}">{LABELS}</BrushLabels></Repeater></View>"""

Json = dict[str, Any]


@dataclass(frozen=True)
class Paged:
    """A project with one task of two pages, and its prediction."""

    project: int
    prediction: Json


@pytest.fixture(scope="module")
def pictures(place: Place) -> list[Path]:
    return [place.drawn[name][0] for name in ("ladybird", "fish")]


@pytest.fixture(scope="module")
def predicted(place: Place, nursery: Nursery, model: Path, pictures: list[Path]) -> Iterator[dict[str, Paged]]:
    """A project by `valueList` and one by `Repeater`, of pictures that Label Studio serves, as a browser needs it."""
    addresses = [f"/data/local-files/?d={path.relative_to(place.folder.parent)}" for path in pictures]
    with workshop(place, nursery) as at:
        at.workers.start("predict")
        found = {}
        for title, config, pages in (
            ("list", LISTED, addresses),
            ("repeater", REPEATED, [{"url": address} for address in addresses]),
        ):
            number = place.person.make(f"pages by {title}", config)
            place.person.serve_local_files(number, place.folder)
            place.person.import_tasks(number, [{"pages": pages}])
            version = at.stores.models.publish(str(number), model, VersionFacts(run="pages"))
            TrainingService(at.settings, at.stores, at.queue).preannotate(str(number))
            [prediction] = eventually(lambda: place.person.predictions(number, version), 120, title)  # noqa: B023
            found[title] = Paged(number, prediction)
        yield found


def page_of(result: Json) -> int:
    return int(result.get("item_index", result["to_name"].rpartition("_")[2]))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("list", [(name, "image", index) for name in ("box", "mask") for index in (0, 1)]),
        ("repeater", [(f"{name}_{page}", f"image_{page}", None) for name in ("box", "mask") for page in (0, 1)]),
    ],
)
def test_each_page_is_predicted_in_its_own_size(
    predicted: dict[str, Paged], pictures: list[Path], title: str, expected: list[Any]
) -> None:
    paged = predicted[title]
    results = paged.prediction["result"]
    assert sorted({(each["from_name"], each["to_name"], each.get("item_index")) for each in results}) == expected
    for number, path in enumerate(pictures):
        with Image.open(path) as picture:
            own = [each for each in results if page_of(each) == number]
            assert {(each["original_width"], each["original_height"]) for each in own} == {picture.size}

"""From an image's maps to its regions, by the ways that a model's card names. Torch-free."""

from __future__ import annotations

from wsol_core.localization.image_maps import ImageMaps
from wsol_core.localization.instances import ObjectFields, find_objects, object_regions
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.object_cuts import snap_to_edges
from wsol_core.localization.outline_contrast import with_contrast
from wsol_core.localization.regions import enlarged, extract_regions, findable_size
from wsol_core.localization.whole_parts import give_whole_parts
from wsol_core.records import Region


def uncalibrated_regions(image: ImageMaps, card: ModelCard) -> list[Region]:
    """The objects that the method tells apart, or the connected parts of maps where there are no `fields`.

    Scores rank them, and are no probabilities yet; `ModelCard.judged` makes those of scores and contrasts.
    """
    size_wh = findable_size(image.size_wh)
    found = _parts(image, card, size_wh) if image.fields is None else _objects(image, image.fields, card, size_wh)
    found = [with_contrast(region, image.pixels) for region in found]
    return found if size_wh == image.size_wh else [enlarged(region, image.size_wh) for region in found]


def _objects(image: ImageMaps, fields: ObjectFields, card: ModelCard, size_wh: tuple[int, int]) -> list[Region]:
    asked = {card.classes.index(label): score_map for label, score_map in image.maps.items()}
    found = find_objects(fields, list(asked), list(asked.values()), card.most_inside)
    if card.whole_parts:
        found = give_whole_parts(found, asked, {index: card.threshold_of(card.classes[index]) for index in asked})
    if card.cut_objects:
        found = snap_to_edges(found, image.pixels)
    return object_regions(found, size_wh, card.classes, {index: image.presence(card.classes[index]) for index in asked})


def _parts(image: ImageMaps, card: ModelCard, size_wh: tuple[int, int]) -> list[Region]:
    return [
        region
        for label, score_map in image.maps.items()
        for region in extract_regions(score_map, size_wh, label, card.threshold_of(label), image.presence(label))
    ]

"""The labeling config that new projects get: the class from the task's data, boxes and masks for people to correct."""

from __future__ import annotations

import html
from collections.abc import Sequence

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf", "#8c564b", "#e377c2", "#bcbd22", "#7f7f7f")
IMAGE_KEY, LABEL_KEY = "image", "label"  # of a task's data


def label_tags(classes: Sequence[str]) -> str:
    """A Label tag for each class, with a colour of its own as far as there are ten."""
    return "".join(
        f'<Label value="{html.escape(name, quote=True)}" background="{COLOURS[index % len(COLOURS)]}"/>'
        for index, name in enumerate(classes)
    )


def recommended_config(classes: Sequence[str]) -> str:
    """Return a config with smart controls for all classes.

    Masks are bitmasks: many brush masks on a picture freeze Label Studio's editor.
    """
    labels = label_tags(classes)
    return f"""<View>
  <Header value="Class: ${LABEL_KEY}"/>
  <Image name="image" value="${IMAGE_KEY}" zoom="true" zoomControl="true"/>
  <RectangleLabels name="box" toName="image" smart="true">{labels}</RectangleLabels>
  <BitmaskLabels name="mask" toName="image" smart="true">{labels}</BitmaskLabels>
  <KeyPointLabels name="point" toName="image" smart="true">{labels}</KeyPointLabels>
</View>"""

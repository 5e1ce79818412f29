"""A labeling config with every control that takes regions, and the picture size that its annotations name."""

from __future__ import annotations

from backend.labelstudio.label_config import LabelConfig

CONFIG = LabelConfig.parse(
    '<View><Image name="image" value="$image"/>'
    '<Choices name="class" toName="image"><Choice value="crab"/><Choice value="fish"/></Choices>'
    '<RectangleLabels name="box" toName="image"><Label value="crab"/><Label value="fish"/></RectangleLabels>'
    '<BrushLabels name="brush" toName="image"><Label value="crab"/><Label value="fish"/></BrushLabels>'
    '<BitmaskLabels name="bits" toName="image"><Label value="crab"/></BitmaskLabels>'
    '<PolygonLabels name="outline" toName="image"><Label value="crab"/></PolygonLabels></View>'
)
SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}

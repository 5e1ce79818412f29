"""`make readers SOURCE=...`: other programs load exports, and train one epoch on them.

Runs in an environment of its own, with ultralytics, supervision, datumaro, pycocotools and torchvision; nothing of
Boxstrap is imported. The argument is a folder with exports in the folders coco, voc, yolo and yolo-seg.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def pycocotools_evaluates(coco: Path) -> None:
    """What was exported, taken for predictions, is found completely."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for path in sorted((coco / "annotations").glob("*.json")):
        truth = COCO(str(path))
        for kind in ("bbox", "segm"):
            found = truth.loadRes([{**each, "score": 1.0} for each in truth.dataset["annotations"]])
            evaluation = COCOeval(truth, found, kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert evaluation.stats[0] > 0.99, (path, kind, evaluation.stats[0])


def torchvision_trains(coco: Path) -> None:
    """One epoch of a detector on the training split; its loss is a number."""
    import torch
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn as detector
    from torchvision.transforms import v2

    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    path = next(iter(sorted((coco / "annotations").glob("*train*.json"))))
    data: Any = CocoDetection(str(coco / "images"), str(path), transforms=to_tensor)
    classes = len(data.coco.getCatIds())
    data = wrap_dataset_for_transforms_v2(data, target_keys=("boxes", "labels"))
    model = detector(weights=None, weights_backbone=None, num_classes=classes + 1).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
    total = 0.0
    for image, target in data:
        if "boxes" not in target:  # a picture of the background
            target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
        losses = sum(model([image], [target]).values())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        total += float(losses.detach())
    assert total == total and total > 0, total
    print(f"torchvision: one epoch of {len(data)} pictures, mean loss {total / len(data):.3f}")


def ultralytics_trains(data: Path, model: str, task: str) -> None:
    """One epoch, and the validation after it."""
    from ultralytics import YOLO  # type: ignore[import-not-found]

    done = YOLO(model, task=task).train(
        data=str(data / "data.yaml"), epochs=1, imgsz=160, batch=4, workers=0, device="cpu", plots=False,
        project=str(data.parent / "runs"), exist_ok=True, pretrained=False, amp=False,
    )  # fmt: skip
    print(f"ultralytics, {task}: {done.results_dict}")


def supervision_opens(yolo: Path, coco: Path) -> None:
    """The same number of objects in both formats."""
    import supervision  # type: ignore[import-not-found]

    one = supervision.DetectionDataset.from_yolo(
        str(yolo / "images" / "train"), str(yolo / "labels" / "train"), str(yolo / "data.yaml")
    )
    path = next(iter(sorted((coco / "annotations").glob("*train*.json"))))
    other = supervision.DetectionDataset.from_coco(str(coco / "images"), str(path))
    counts = [sum(len(found) for _, _, found in data) for data in (one, other)]
    assert counts[0] == counts[1] > 0 and one.classes == other.classes, (counts, one.classes, other.classes)
    print(f"supervision: {len(one)} pictures, {counts[0]} objects, {one.classes}")


def datumaro_reads(folder: Path) -> None:
    """The same boxes in COCO, VOC and YOLO; CVAT imports with it."""
    import datumaro  # type: ignore[import-not-found]

    boxes = {}
    for name in ("coco", "voc", "yolo"):
        data = datumaro.Dataset.import_from(str(folder / name), name)
        kinds = [each.type for item in data for each in item.annotations]
        boxes[name] = kinds.count(datumaro.AnnotationType.bbox)
    assert len(set(boxes.values())) == 1 and boxes["coco"], boxes
    print(f"datumaro: {boxes} boxes")


def main() -> None:
    """All of them; the first that cannot ends it."""
    folder = Path(sys.argv[1]).resolve()
    pycocotools_evaluates(folder / "coco")
    supervision_opens(folder / "yolo", folder / "coco")
    datumaro_reads(folder)
    torchvision_trains(folder / "coco")
    ultralytics_trains(folder / "yolo", "yolo11n.yaml", "detect")
    ultralytics_trains(folder / "yolo-seg", "yolo11n-seg.yaml", "segment")


if __name__ == "__main__":
    main()

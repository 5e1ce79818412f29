"""The constants of single objects: those of stage "separate", of the exam after it, and of prediction by centres."""

from __future__ import annotations

from benchmarks.ablated_constant import Constant, From

COMPOSITES, KNOWN, AREAS = "data.composites", "methods.pseudo_objects", "methods.least_areas"
MELTED = "methods.melted_parts"
LOSSES, HEAD = "methods.instance_losses", "networks.instance_head"
INSTANCES, EXAM = "localization.instances", "training.object_exam"
CUTS_OF_OBJECTS, PARTS = "localization.object_cuts", "localization.whole_parts"
VIEW_EXAM = "training.view_exam"
CLOSER, CLOSER_EXAM = "localization.closer_look", "training.closer_exam"
CONTRAST = "localization.outline_contrast"

OBJECT_CONSTANTS = (
    # A checkpoint keeps its stage's learning rates, so another one has to be there before the stage begins.
    Constant("methods.boxstrap", "SEPARATE_LR", (1e-3, 1e-2), "the learning rate of the instance head", From.LOCALIZE),
    Constant("methods.separation", "BOX_WEIGHT", (1.0, 4.0), "the weight of the boxes' loss", From.SEPARATE),
    Constant(
        LOSSES, "SPREAD", (0.1, 0.2), "the standard deviation of a centre's bump, of the box's sides", From.SEPARATE
    ),
    Constant(
        LOSSES,
        "HALF_COVERED",
        (0.25, 0.75),
        "the share of a cell from which an object has it as its own",
        From.SEPARATE,
    ),
    Constant(LOSSES, "LOG_SIDES", (0.0, 1.0), "the weight of the sides' logarithms beside GIoU", From.SEPARATE),
    Constant(HEAD, "WIDTH", (32, 96), "the instance head's channels"),
    Constant(HEAD, "DILATION", (1, 4), "the dilation of the instance head's last convolution"),
    Constant(HEAD, "RARE", (0.1, 0.001), "the probability of a centre before any training"),
    Constant(HEAD, "TYPICAL_SIDE", (0.15, 0.6), "the box that untrained places predict, of the image's side"),
    Constant(
        KNOWN, "SMALLEST", (0.001, 0.02), "the least area of a part that may be an object, of the image", From.SEPARATE
    ),
    Constant(KNOWN, "LARGEST", (0.4, 1.0), "the largest such area", From.SEPARATE),
    Constant(KNOWN, "LEAST_SOLIDITY", (0.0, 0.8), "the share of its convex hull that such a part fills", From.SEPARATE),
    Constant(KNOWN, "CUTOUT_SOLIDITY", (0.65, 0.9), "the same for a part that is cut out", From.SEPARATE),
    Constant(KNOWN, "MOST_EDGE", (0.0, 1.0), "the most of a cutout's outline at the image's edge", From.SEPARATE),
    Constant(
        KNOWN,
        "UNSURE",
        (0.05, 0.4),
        "the value of a map from which a place without an object is unknown",
        From.SEPARATE,
    ),
    Constant(
        KNOWN, "LEAST_SHARE", (0.5, 0.9), "the share of a part's class among the classes of its image", From.SEPARATE
    ),
    Constant(KNOWN, "COMPOSED", (0.0, 0.8), "the share of images that become composites", From.SEPARATE),
    Constant(
        KNOWN,
        "GOOD_FIT",
        (0.3, 0.9),
        "the share of a drawn box that the map in it spans to be its object's mask",
        From.SEPARATE,
        "boxes",
    ),
    Constant(
        AREAS, "LEAST_AREA", (0.0, 0.4), "the least area of an object, of the typical one of its class", From.SEPARATE
    ),
    Constant(
        AREAS,
        "ALL_CLASSES",
        (0, 16),
        "parts of a class that weigh as much as those of all classes together",
        From.SEPARATE,
    ),
    Constant(MELTED, "LOOKS", ((0.1, 0.25), (0.4, 0.6)), "when doubts are counted, of the stage", From.SEPARATE),
    Constant(MELTED, "LEARNED", (0, 100), "the steps of the head before its doubts count", From.SEPARATE),
    Constant(MELTED, "FURTHER", (0.5, 1.0), "the side of the images at the second look", From.SEPARATE),
    Constant(
        MELTED, "DOUBT", (0.7, 0.9), "the agreement, of the batch's upper quartile, below which is doubt", From.SEPARATE
    ),
    Constant(MELTED, "NO_DOUBTS", (0.0, 1.0), "the share of doubted parts from which some are left out", From.SEPARATE),
    Constant(
        MELTED, "OUT_PER_DOUBT", (2.0, 12.0), "the share left out for each share of further doubts", From.SEPARATE
    ),
    Constant(MELTED, "MOST_OUT", (0.3, 0.8), "the most that is left out", From.SEPARATE),
    Constant(COMPOSITES, "SCALES", ((1.0, 1.0), (0.3, 1.5)), "the sizes of pastes, of their own", From.SEPARATE),
    Constant(COMPOSITES, "MOST_PASTES", (1, 4), "the most pastes of a composite", From.SEPARATE),
    Constant(COMPOSITES, "SAME_CLASS", (0.0, 1.0), "the share of pastes that are of one class", From.SEPARATE),
    Constant(COMPOSITES, "TOUCHING", (0.0, 1.0), "the share of pastes that are put beside an object", From.SEPARATE),
    Constant(
        COMPOSITES, "MOST_OVERLAP", (0.05, 0.4), "the most that two objects share, of the smaller one", From.SEPARATE
    ),
    Constant(
        COMPOSITES, "LEAST_VISIBLE", (0.3, 0.8), "the share of an object below which it becomes unknown", From.SEPARATE
    ),
    Constant(COMPOSITES, "LEAST_PIXELS", (20, 200), "the least pixels of a paste", From.SEPARATE),
    Constant(COMPOSITES, "PATCHES", (0.0, 0.5), "the share of pastes that are background", From.SEPARATE),
    Constant(
        COMPOSITES, "STEP_PX", (2, 8), "the pixels by which a paste is moved away from its neighbour", From.SEPARATE
    ),
    Constant(
        INSTANCES, "LEAST_CENTRE", (0.05, 0.3), "the least probability of a peak, where the exam chose less", From.END
    ),
    Constant(
        INSTANCES,
        "FAINT_CENTRE",
        (0.01, 0.1),
        "the least probability of the only peak of a class that is there",
        From.END,
    ),
    Constant(INSTANCES, "MOST_OBJECTS", (5, 40), "the most objects of an image", From.END),
    Constant(INSTANCES, "SAME_OBJECT", (0.4, 0.7), "the IoU above which two peaks' boxes are one object", From.END),
    Constant(
        INSTANCES,
        "LEAST_AGREEMENT",
        (0.15, 0.5),
        "the IoU from which a place's box makes it part of an object",
        From.END,
    ),
    Constant(INSTANCES, "GRID", (28, 112), "the places a side on which that is decided", From.END),
    Constant(
        INSTANCES, "LEVELS", ((0.35,), (0.25, 0.45, 0.65)), "the levels at which an object's mask may begin", From.END
    ),
    Constant(
        INSTANCES, "TRUSTED", (0.2, 0.6), "the IoU of mask and peak's box from which the mask's box counts", From.END
    ),
    Constant(
        EXAM,
        "MOST_INSIDE",
        ((1.0,), (1.0, 0.5)),
        "the shares of the smaller of two peaks' boxes in the other that the exam tries",
        From.END,
    ),
    Constant(
        EXAM, "CLEARLY", (0.0, 0.05), "the F1 by which less than all of a box in another one has to be better", From.END
    ),
    Constant(EXAM, "FEW", (0.0, 1.0), "the share of the known objects that may be lost by that", From.END),
    Constant(EXAM, "FLOORS", ((0.1,), (0.5,)), "the probabilities of a centre that the exam tries", From.END),
    Constant(EXAM, "ROUNDS", (1, 4), "how often each image is seen", From.END),
    Constant(EXAM, "FEWEST_OBJECTS", (1, 50), "the known objects that an exam needs", From.END),
    Constant(EXAM, "HANDICAP", (0.0, 1.0), "the share of the parts' F1 that centres need", From.END),
    Constant(
        EXAM, "MOSTLY", (0.25, 0.75), "the share of a region on unknown places from which it is left out", From.END
    ),
    Constant(CUTS_OF_OBJECTS, "MARGIN", (0.25, 0.6), "what a cut sees around an object, of its box's sides", From.END),
    Constant(
        CUTS_OF_OBJECTS, "BACKGROUND_FROM", (0.3, 0.9), "the share of that margin that may be the object's", From.END
    ),
    Constant(CUTS_OF_OBJECTS, "MOST_PX", (64, 128), "the most pixels of a side of what is cut", From.END),
    Constant(
        CUTS_OF_OBJECTS,
        "CERTAIN",
        (0.75, 0.97),
        "the value of its map above which a pixel stays the object's",
        From.END,
    ),
    Constant(
        CUTS_OF_OBJECTS,
        "OTHERS",
        (0.15, 0.5),
        "the value of another object's map above which a pixel is not its",
        From.END,
    ),
    Constant(
        CUTS_OF_OBJECTS, "SAME_BOX", (0.6, 0.8), "the IoU with the box before, below which a cut is refused", From.END
    ),
    Constant(
        PARTS, "SAME_BOX", (0.3, 0.7), "the IoU of an object's and its part's box from which it may get it", From.END
    ),
    Constant(
        PARTS, "NEIGHBOUR", (0.1, 0.6), "the share of another object in a part, which then is not one's", From.END
    ),
    Constant(VIEW_EXAM, "MOST_IMAGES", (24, 96), "the most images that tell how objects are made", From.END),
    Constant(VIEW_EXAM, "ZOOM", (0.8, 1.0), "the size of the other, mirrored view", From.END),
    Constant(VIEW_EXAM, "FEWEST_OBJECTS", (8, 32), "the objects in both views that it needs", From.END),
    Constant(VIEW_EXAM, "STEADIER", (-1.0, 1.0), "the mean IoU of two views' boxes that cuts have to gain", From.END),
    Constant(VIEW_EXAM, "UNSTEADY", (-1.0, 1.0), "the mean IoU that whole parts may lose at most", From.END),
    Constant(CLOSER, "LOOKS", (1, 3), "the most looks from closer up", From.END),
    Constant(CLOSER, "CLOSE", (1.5, 1.8), "the side of what is looked at, of a box's longer side", From.END),
    Constant(
        CONTRAST, "AROUND", (1.4, 2.0), "the side of what an outline is compared with, of a box's longer side", From.END
    ),
    Constant(CONTRAST, "LEAST_PX", (32, 96), "the least side of what is looked at", From.END),
    Constant(CONTRAST, "SIDE_PX", (64, 128), "the side at which an outline is measured", From.END),
    Constant(CONTRAST, "BLUR_PX", (0.5, 3.0), "the blur before", From.END),
    Constant(CONTRAST, "BAND_PX", (2, 8), "the width of the bands on both sides of an outline", From.END),
    Constant(CONTRAST, "EVEN", (1.0, 20.0), "the deviation of colours, of 255, that counts as none", From.END),
    Constant(
        CLOSER_EXAM, "MOST_IMAGES", (16, 64), "the most images that tell whether closer looks are taken", From.END
    ),
    Constant(CLOSER_EXAM, "FEWEST_OBJECTS", (6, 24), "the objects that it needs", From.END),
    Constant(
        CLOSER_EXAM, "CLEARER", (0.0, 100.0), "times the first outlines' contrast that the last ones need", From.END
    ),
    Constant(
        "localization.worth", "TYPICAL_CONTRAST", (0.5, 1.5), "the contrast of outlines that says nothing", From.END
    ),
    Constant("training.calibration", "MOST_EXAMINED", (24, 48), "the most images of the exam", From.END),
)

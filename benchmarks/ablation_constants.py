"""The constants that benchmarks.ablation varies: where each lies, what it is, and the values to try instead."""

from __future__ import annotations

from benchmarks.ablated_constant import Constant, From
from benchmarks.ablation_objects import OBJECT_CONSTANTS
from wsol_core.data.transforms import Augmentation

STUDENT, EVIDENCE = "methods.self_training", "methods.class_evidence"
BOXSTRAP, AREA, LOSSES = "methods.boxstrap", "methods.area_multiplier", "methods.losses"
GRABCUT, REGIONS, REFINEMENT = "ops.grabcut", "localization.regions", "localization.refinement"
COMMON, THRESHOLDS, INTERACTIVE = "methods.co_localization", "localization.thresholds", "localization.interactive"
MARGINS = "training.box_margins"

CONSTANTS = (
    Constant(BOXSTRAP, "FRESH_LR", (1e-2, 4e-2), "the learning rate of features that began as noise", needs="fresh"),
    Constant(BOXSTRAP, "PRETRAINED_LR", (1e-3, 4e-3), "the learning rate of pretrained features", needs="pretrained"),
    Constant(BOXSTRAP, "CLASSIFY_LR", (5e-3, 2e-2), "the learning rate of the classifier's head and coarse generator"),
    Constant(BOXSTRAP, "LOCALIZE_LR", (1e-2, 4e-2), "the learning rate of the fine generator"),
    Constant(BOXSTRAP, "WEIGHT_DECAY", (1e-4, 2e-3), "the weight decay of everything"),
    Constant(BOXSTRAP, "HEAD_STD", (0.001, 0.05), "the spread of the classifier's fresh weights"),
    Constant(BOXSTRAP, "CLASSIFIER_ALONE", (0.0, 0.5), "the share of stage classify before suppression begins"),
    Constant(
        BOXSTRAP,
        "ENOUGH_STEPS",
        (
            {"classify": 75, "localize": 250, "separate": 150},
            {"classify": 300, "localize": 250, "separate": 150},
        ),
        "the least steps of each stage on pretrained features, and of classify the least limit",
        needs="pretrained",
    ),
    Constant(
        BOXSTRAP,
        "SEVERAL_CLASSES",
        (1, 3),
        "the times that classify takes those steps where images have several classes",
        needs="pretrained",
    ),
    Constant(BOXSTRAP, "GUIDANCE", (0.0, 1.0), "the weight of foreground guidance"),
    Constant(BOXSTRAP, "ENTROPY", (0.0, 1.0), "the weight of the weighted entropy"),
    Constant(BOXSTRAP, "EMPTINESS", (0.1, 1.0), "the weight of empty maps on background images", needs="backgrounds"),
    Constant(BOXSTRAP, "MOSAIC_EVERY", (2, 8), "one image of so many makes a mosaic"),
    Constant(
        BOXSTRAP,
        "HINT_UNTIL",
        (0.25, 1.0),
        "when the hint of where objects are has faded, pretrained features",
        needs="pretrained",
    ),
    Constant(
        BOXSTRAP,
        "MIDDLE_BALANCE",
        (1.0, 2.0),
        "the weight of a middle cell against a border cell, fresh features",
        needs="fresh",
    ),
    Constant(
        COMMON,
        "RING",
        (0, 1),
        "the cells around an image that its mirror image fills, before features are compared",
        needs="pretrained",
    ),
    Constant(COMMON, "MEANS_MOMENTUM", (0.02, 0.5), "the newest batch's share of the means", needs="pretrained"),
    Constant(
        COMMON,
        "LEAST_TOLD",
        (0.5, 0.9),
        "the share of images, whose middles are told from their borders, from which the hint counts",
        needs="pretrained",
    ),
    Constant(COMMON, "SOFTNESS", (0.5, 1.0), "the exponent of common maps before they are cut", needs="pretrained"),
    Constant(BOXSTRAP, "SMOOTHNESS", (0.0, 1.0), "the weight of the pairwise colour term on coarse maps"),
    Constant(
        STUDENT,
        "PAIRS_RAMP",
        (1, 100),
        "the pairwise term of drawn boxes rises this many times as fast as the stage",
        From.LOCALIZE,
        "boxes",
    ),
    Constant(
        STUDENT,
        "STUDENT_FROM",
        (0.0, 0.6),
        "the share of stage localize from which the student teaches itself",
        From.LOCALIZE,
    ),
    Constant(
        STUDENT,
        "STUDENT_FULL",
        (0.4, 1.0),
        "the share of stage localize from which it does so in full",
        From.LOCALIZE,
    ),
    Constant(STUDENT, "STUDENT_MOST", (0.0, 0.7), "the student's largest share of its own teacher", From.LOCALIZE),
    Constant(STUDENT, "CUT_SHARE", (0.5, 1.0), "the graph cut's share of a pseudo mask", From.LOCALIZE),
    Constant(
        EVIDENCE,
        "EVIDENT",
        (0.1, 0.5),
        "the share of an activation map's peak from which nothing is dimmed",
        From.LOCALIZE,
    ),
    Constant(EVIDENCE, "LEAST_EVIDENCE", (0.01, 0.3), "the least evidence before the power", From.LOCALIZE),
    Constant(
        EVIDENCE,
        "EVIDENCE_POWER",
        (0.0, 1.0),
        "the power of the evidence, for a class of probability 1; 0 dims nothing",
        From.LOCALIZE,
    ),
    Constant(
        BOXSTRAP,
        "Boxstrap.augmentation",
        (Augmentation(), Augmentation(zoom=(0.875, 1.5))),
        "the views that images are seen in",
    ),
    Constant(AREA, "AreaConstraint(low)", (0.02, 0.12), "the mean area below which a class's maps are pushed up"),
    Constant(AREA, "AreaConstraint(high)", (0.25, 0.5), "the mean area above which they are pushed down"),
    Constant(AREA, "AreaConstraint(base)", (0.0, 1.0), "the weight of area inside the band"),
    Constant(AREA, "RATE", (0.0, 1.0), "how fast multipliers move outside the band"),
    Constant(AREA, "DECAY", (0.5, 0.99), "what is left of a multiplier after a step inside the band"),
    Constant(AREA, "MOMENTUM", (0.02, 0.5), "the newest batch's share of a class's running mean area"),
    Constant(AREA, "LARGEST", (0.6, 1.0), "the area from which a single map pays more"),
    Constant(AREA, "LARGEST_WEIGHT", (0.0, 5.0), "the weight of that"),
    Constant(LOSSES, "weighted_entropy(sigma)", (0.05, 0.2), "the width of the entropy's window around 0.5"),
    Constant(LOSSES, "pairwise_loss(dilation)", (1, 4), "the distance of the neighbours that are compared, in cells"),
    Constant(
        LOSSES, "pairwise_loss(similar)", (0.1, 0.6), "the colour similarity from which neighbours belong together"
    ),
    Constant("methods.mosaics", "GRID", (8,), "the mosaic's cells a side"),
    Constant("networks.feature_pyramid", "WIDTH", (32, 96), "the generators' channels"),
    Constant(
        "networks.feature_pyramid", "LOW_LEVEL_SHARE", (0.25, 1.0), "the weight of strides 4 and 8 in the generators"
    ),
    Constant("training.schedule", "WARMUP_SHARE", (0.0, 0.2), "the share of a stage in which the learning rate rises"),
    Constant(
        "methods.pseudo_masks", "CUT_STRIDE", (4,), "the pixels of an image to a side of a pseudo mask's", From.LOCALIZE
    ),
    Constant(
        GRABCUT,
        "CERTAIN_FOREGROUND",
        (0.85, 0.99),
        "the value of a map above which a pixel stays object",
        From.LOCALIZE,
    ),
    Constant(
        GRABCUT,
        "CERTAIN_BACKGROUND",
        (0.02, 0.25),
        "the value of a map below which a pixel stays background",
        From.LOCALIZE,
    ),
    Constant(
        GRABCUT, "LEAST_AGREEMENT", (0.0, 0.7), "the IoU of cut and map below which the map stays uncut", From.LOCALIZE
    ),
    Constant(GRABCUT, "MIN_PIXELS", (1, 100), "the pixels of a kind that a cut needs", From.LOCALIZE),
    Constant(GRABCUT, "graph_cut(iterations)", (2, 3), "GrabCut's iterations", From.LOCALIZE),
    Constant(REFINEMENT, "CUT_SIDE_PX", (64, 224), "the side at which maps are cut for prediction", From.END),
    Constant(REFINEMENT, "OUTLINE_SHARE", (0.0, 0.75), "the cut's share of a refined map", From.END),
    Constant(REGIONS, "extract_regions(min_area)", (0.0, 0.02), "the least area of a region, of the image", From.END),
    Constant(REGIONS, "MIN_SHARE", (0.0, 0.2), "the least area of a region, of the largest one", From.END),
    Constant(REGIONS, "extract_regions(max_regions)", (1, 5), "the most regions of an image", From.END),
    Constant(THRESHOLDS, "CUT_SIDE_PX", (56, 224), "the side at which maps are cut to choose the threshold", From.END),
    Constant(
        THRESHOLDS,
        "PRIOR_IMAGES",
        (0, 20),
        "how many corrected images all classes' threshold counts for",
        From.END,
        "boxes",
    ),
    Constant(
        THRESHOLDS,
        "_PRIOR_WEIGHT",
        (0.2, 20.0),
        "the weight of uncalibrated scores in the calibration",
        From.END,
        "boxes",
    ),
    Constant(
        MARGINS, "PRIOR_OBJECTS", (0, 20), "how many corrected objects without a margin are added", From.END, "boxes"
    ),
    Constant(
        MARGINS,
        "AT_EDGE",
        (0.0, 0.05),
        "of the image: how near to its edge a side tells nothing of margins",
        From.END,
        "boxes",
    ),
    Constant(INTERACTIVE, "MARGIN", (0.1, 0.8), "what is shown around a drawn box, of its sides", From.PROMPT),
    Constant(INTERACTIVE, "CUT_SIDE_PX", (112, 320), "the longer side at which a drawn box is cut", From.PROMPT),
    Constant(
        INTERACTIVE,
        "MAP_LEVELS",
        ((0.0, 0.25, 0.85, 1.0), (0.0, 0.55, 0.85, 1.0), (0.0, 0.4, 0.95, 1.0)),
        "the map's values in a drawn box that become the cut's levels",
        From.PROMPT,
    ),
    Constant(INTERACTIVE, "GOOD_EXTENT", (0.0, 0.8), "the share of a drawn box that its object fills", From.PROMPT),
    Constant(
        INTERACTIVE, "LEAST_EXTENT", (0.05, 0.3), "the least share of a drawn box that a region fills", From.PROMPT
    ),
    Constant(INTERACTIVE, "COLOUR_ITERATIONS", (1, 10), "GrabCut's iterations of a cut by colours alone", From.PROMPT),
    Constant(
        INTERACTIVE,
        "COLOUR_LEVEL",
        (0.55, 0.8),
        "how certain a cut by colours alone takes the box to be object",
        From.PROMPT,
    ),
    Constant(
        INTERACTIVE,
        "POINT_REACHES",
        ((1.0,), (0.25, 0.125)),
        "where a clicked object is looked for, of the image's sides",
        From.PROMPT,
    ),
    *OBJECT_CONSTANTS,
)

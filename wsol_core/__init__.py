"""Boxstrap's learner: boxes and masks from image-level class labels. Importing the package does not load torch."""

__version__ = "0.1.0"

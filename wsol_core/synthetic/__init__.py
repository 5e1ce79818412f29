"""Drawn data sets with exact boxes and masks, to try everything on."""

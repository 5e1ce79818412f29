"""Boxstrap's service: an ML backend for Label Studio, its workers, and the command `boxstrap`. wsol_core learns."""

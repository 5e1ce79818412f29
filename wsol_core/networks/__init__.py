"""Backbones, their pretrained weights, and the generators of activation maps."""

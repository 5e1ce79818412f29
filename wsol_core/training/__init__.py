"""From labelled images to a model folder: `fit`, its loop, and what happens around a step."""

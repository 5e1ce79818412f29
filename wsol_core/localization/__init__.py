"""From a trained method to boxes and masks: predictor, regions, thresholds, model folders."""
